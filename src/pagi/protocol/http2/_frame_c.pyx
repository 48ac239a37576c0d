"""Heads of frames (RFC 9113 §4.1); see the Python twin."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

__all__ = ["frame_head"]


cpdef bytes frame_head(Py_ssize_t size, int kind, int flags, long long stream_id):
    """Return the nine bytes in front of a payload of ``size`` bytes."""
    cdef bytes out = PyBytes_FromStringAndSize(NULL, 9)
    cdef unsigned char* head = <unsigned char*>PyBytes_AS_STRING(out)
    head[0] = size >> 16 & 0xFF
    head[1] = size >> 8 & 0xFF
    head[2] = size & 0xFF
    head[3] = kind
    head[4] = flags
    head[5] = stream_id >> 24 & 0xFF
    head[6] = stream_id >> 16 & 0xFF
    head[7] = stream_id >> 8 & 0xFF
    head[8] = stream_id & 0xFF
    return out
