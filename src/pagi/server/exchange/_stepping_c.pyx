# cython: language_level=3
"""The first step of an application's coroutine, in a context and as a task: compiled twin.

What the Python twin does, without an exception for the coroutine that ends and without an
intermediate frame for the context.
"""

from asyncio.tasks import _enter_task, _leave_task

from pagi.server.exchange._stepping_py import _as_coroutine

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


cdef tuple begin(object context, object app, object exchange, object scope):
    cdef PyObject *result = NULL
    PyContext_Enter(context)
    try:
        running = app(scope, exchange.receive, exchange.send)
        if not hasattr(running, "send"):
            running = _as_coroutine(running)
        if pagi_step(running, &result):
            return running, pagi_steal(result)
        return None
    finally:
        PyContext_Exit(context)


def first_step(loop, task, context, app, exchange, scope):
    """Call the application and run it to its first wait; see the Python twin."""
    try:
        _enter_task(loop, task)
    except RuntimeError:
        return ()
    try:
        return begin(context, app, exchange, scope)
    finally:
        _leave_task(loop, task)
