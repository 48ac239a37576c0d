# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Frames on their way out at the speed of C; see the Python twin."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    void* PyUnicode_DATA(object text)

__all__ = ["ascii_frame", "frame", "frame_head"]


cdef bytes _make(int first, const void* payload, Py_ssize_t size, Py_ssize_t copied):
    """Return the head of a frame with ``copied`` bytes of its payload."""
    cdef int more = 0 if size < 126 else 2 if size < 65536 else 8
    cdef bytes out = PyBytes_FromStringAndSize(NULL, 2 + more + copied)
    cdef unsigned char* text = <unsigned char*>PyBytes_AS_STRING(out)
    cdef int index
    text[0] = <unsigned char>first
    text[1] = <unsigned char>(size if more == 0 else 126 if more == 2 else 127)
    for index in range(more):
        text[2 + index] = <unsigned char>(size >> 8 * (more - 1 - index))
    memcpy(text + 2 + more, payload, copied)
    return out


cpdef bytes frame_head(int first, Py_ssize_t size):
    """Return the head of a frame, its length in as few bytes as possible."""
    return _make(first, b"", size, 0)


cpdef bytes frame(int first, bytes payload):
    """Return a frame in one piece."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(payload)
    return _make(first, PyBytes_AS_STRING(payload), size, size)


cpdef bytes ascii_frame(int first, str text):
    """Return the frame of a text in one piece; ``None`` if it is not ASCII."""
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
    if not PyUnicode_IS_COMPACT_ASCII(text):
        return None
    return _make(first, PyUnicode_DATA(text), size, size)
