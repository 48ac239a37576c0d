# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Taking the mask off a payload at the speed of C; see the Python twin."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

__all__ = ["unmasked"]


cpdef bytes unmasked(bytes data, Py_ssize_t start, Py_ssize_t end, bytes mask, Py_ssize_t phase):
    """Return ``data`` from ``start`` to ``end`` without its mask."""
    cdef bytes out = PyBytes_FromStringAndSize(NULL, end - start)
    xor_into(
        <unsigned char*>PyBytes_AS_STRING(out),
        <const unsigned char*>PyBytes_AS_STRING(data) + start,
        end - start,
        mask_at(<const unsigned char*>PyBytes_AS_STRING(mask), phase),
    )
    return out
