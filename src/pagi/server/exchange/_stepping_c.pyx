# cython: language_level=3
"""The first step of an application's coroutine, in a context and as a task: compiled twin.

What the Python twin does, without an exception for the coroutine that ends and without an
intermediate frame for the context.
"""

import asyncio.tasks
from asyncio.tasks import _enter_task, _leave_task

from pagi.server.exchange._stepping_py import as_coroutine

__all__ = ["first_step"]


cdef extern from "Python.h":
    int PyContext_Enter(object) except -1
    int PyContext_Exit(object) except -1

    ctypedef struct PyObject


cdef extern from *:
    """
    #define pagi_steal(pointer) (pointer)

    /* 1: it waits for *result; 0: it ended; -1: it raised */
    static int pagi_step(PyObject *coroutine, PyObject **result) {
        switch (PyIter_Send(coroutine, Py_None, result)) {
        case PYGEN_NEXT:
            return 1;
        case PYGEN_RETURN:
            Py_CLEAR(*result);
            return 0;
        default:
            return -1;
        }
    }
    """
    int pagi_step(object, PyObject **) except -1
    object pagi_steal(PyObject *)


cdef extern from "Python.h":
    bint PyCoro_CheckExact(object)
    object PyContext_Copy(object)


cdef tuple begin(object context, object app, object exchange, object scope):
    cdef PyObject *result = NULL
    PyContext_Enter(context)
    try:
        running = app(scope, exchange.receive, exchange.send)
        if not PyCoro_CheckExact(running) and not hasattr(running, "send"):
            running = as_coroutine(running)
        if pagi_step(running, &result):
            return running, pagi_steal(result), context
        return None
    finally:
        PyContext_Exit(context)


cdef dict _find_current_tasks():
    """Return asyncio's dict of current tasks by loop, where there is one that is alive."""
    tasks = getattr(asyncio.tasks, "_current_tasks", None)
    if type(tasks) is not dict:
        return None
    probe = object()
    _enter_task(probe, probe)
    try:
        return tasks if tasks.get(probe) is probe else None
    finally:
        _leave_task(probe, probe)


# Up to Python 3.13 entering and leaving a task means to set and delete an item of this dict.
cdef dict _current_tasks = _find_current_tasks()


cpdef tuple first_step(loop, task, base, app, exchange, scope):
    """Call the application and run it to its first wait; see the Python twin."""
    if _current_tasks is None:
        try:
            _enter_task(loop, task)
        except RuntimeError:
            return ()
        try:
            return begin(PyContext_Copy(base), app, exchange, scope)
        finally:
            _leave_task(loop, task)
    if loop in _current_tasks:
        return ()
    _current_tasks[loop] = task
    try:
        return begin(PyContext_Copy(base), app, exchange, scope)
    finally:
        del _current_tasks[loop]
