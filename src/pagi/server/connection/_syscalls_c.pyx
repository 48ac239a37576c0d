# cython: language_level=3
"""Receiving and sending: compiled twin.

The interpreter is not released around the calls: on a non-blocking socket they take about a
microsecond, less than letting go of it and taking it again under contention. Only for more than
`LARGE` bytes, which the kernel must copy, is it released.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from libc.errno cimport EAGAIN, EINTR, errno

cdef extern from "<sys/socket.h>" nogil:
    enum: MSG_NOSIGNAL
    ssize_t recv(int descriptor, void *buffer, size_t size, int flags)
    ssize_t send(int descriptor, const void *buffer, size_t size, int flags)

__all__ = ["receive", "take_bytes", "transmit"]

cdef enum:
    LARGE = 32768


cpdef bytes take_bytes(bytearray buffer, Py_ssize_t size):
    """Return the first ``size`` bytes of ``buffer``, copied once."""
    return PyBytes_FromStringAndSize(PyByteArray_AS_STRING(buffer), min(size, len(buffer)))


cpdef bytes receive(object sock, int descriptor, bytearray buffer):
    """Return what a non-blocking socket has, at most as much as ``buffer`` holds.

    ``None`` if it has nothing now, empty at the end of the peer's bytes. Raises `OSError`.
    """
    cdef char *start = PyByteArray_AS_STRING(buffer)
    cdef ssize_t size
    while True:
        size = recv(descriptor, start, len(buffer), 0)
        if size >= 0:
            return PyBytes_FromStringAndSize(start, size)
        if errno == EAGAIN:
            return None
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()


cpdef Py_ssize_t transmit(object sock, int descriptor, bytes data) except -1:
    """Give a non-blocking socket bytes; return how many it took. Raises `OSError`."""
    cdef const char *start = PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef ssize_t sent
    while True:
        if size < LARGE:
            sent = send(descriptor, start, size, MSG_NOSIGNAL)
        else:
            with nogil:
                sent = send(descriptor, start, size, MSG_NOSIGNAL)
        if sent >= 0:
            return sent
        if errno == EAGAIN:
            return 0
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()
