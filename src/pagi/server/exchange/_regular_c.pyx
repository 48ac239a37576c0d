# cython: language_level=3
"""`RegularFile`: compiled twin.

``os.open`` and ``os.stat`` take three times as long as the system's calls: the second makes an
object with twenty members, of which five are wanted.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrnoWithFilenameObject
from cpython.ref cimport Py_DECREF, PyObject
from libc.errno cimport EINTR, errno

cdef extern from "<unistd.h>":
    int c_close "close"(int descriptor) nogil

cdef extern from "Python.h":
    int PySys_Audit(const char *event, const char *format, ...) except -1
    int PyUnicode_FSConverter(object path, PyObject **encoded) except 0

__all__ = ["RegularFile"]


cdef bytes encoded(object path):
    """Return ``path`` as the system takes it; raises `ValueError` if it has a NUL."""
    cdef PyObject *found = NULL
    PyUnicode_FSConverter(path, &found)
    cdef bytes name = <bytes>found
    Py_DECREF(name)  # the variable has its own reference
    return name


cdef class RegularFile:
    """A regular file, opened for reading; see the Python twin."""

    def __cinit__(self):
        self.descriptor = -1

    def __init__(self, path):
        cdef bytes name = encoded(path)
        cdef const char *text = PyBytes_AS_STRING(name)
        cdef int descriptor
        PySys_Audit("open", "OOi", <PyObject *>path, <PyObject *>None, 0)
        while True:
            with nogil:  # the directory may be far away
                descriptor = pagi_open_regular(text, &self._status)
            if descriptor >= 0:
                break
            if descriptor == -2:
                raise OSError(f"not a regular file: {path!r}")
            if errno != EINTR:
                PyErr_SetFromErrnoWithFilenameObject(OSError, path)
            PyErr_CheckSignals()
        self.descriptor = descriptor
        self.size = self._status.st_size

    cpdef bint is_at(self, path) except -1:
        """Tell whether opening ``path`` would give this file, unchanged since it was opened."""
        cdef bytes name = encoded(path)
        cdef const char *text = PyBytes_AS_STRING(name)
        cdef bint same
        with nogil:
            same = pagi_is_at(text, &self._status)
        return same

    cpdef close(self):
        """Close the descriptor. What fails has no remedy."""
        cdef int descriptor = self.descriptor
        self.descriptor = -1
        if descriptor >= 0:
            with nogil:
                c_close(descriptor)
