# cython: language_level=3
"""`HeadReader`: compiled twin.

It keeps nothing: to parse the fields again takes it no longer than to compare and copy them.
"""

from pagi.protocol.http1 import _head_py

__all__ = ["HeadReader"]


cdef class HeadReader:
    """Parses heads."""

    def __init__(self, limits):
        self._max_head_size = limits.max_head_size
        self._max_target_size = limits.max_target_size
        self._max_header_count = limits.max_header_count

    cpdef tuple read(self, bytes data, Py_ssize_t start, Py_ssize_t stream_id):
        """Parse the request head that begins at ``start``; see `parse_head`."""
        return parse_head(
            data,
            start,
            stream_id,
            self._max_head_size,
            self._max_target_size,
            self._max_header_count,
        )

    cpdef forget(self):
        """Keep nothing of the heads that were read."""

    cpdef check_prefix(self, bytearray tail, Py_ssize_t searched):
        """Find what is wrong with a partial head; see `pagi.protocol.http1._head_py`."""
        _head_py.check_prefix(
            tail, 0, len(tail), searched, self._max_head_size, self._max_target_size
        )
