# cython: language_level=3
"""Taking received bytes out of the receive buffer: compiled twin."""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_FromStringAndSize

__all__ = ["take_bytes"]


cpdef bytes take_bytes(bytearray buffer, Py_ssize_t size):
    """Return the first ``size`` bytes of ``buffer``, copied once."""
    return PyBytes_FromStringAndSize(PyByteArray_AS_STRING(buffer), min(size, len(buffer)))
