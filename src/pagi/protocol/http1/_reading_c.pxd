# cython: language_level=3
cimport cython

from pagi.protocol.http1._head_c cimport parse_head


@cython.final
cdef class HeadReader:
    cdef Py_ssize_t _max_head_size
    cdef Py_ssize_t _max_header_count
    cdef Py_ssize_t _max_target_size

    cpdef tuple read(self, bytes data, Py_ssize_t start, Py_ssize_t stream_id)
    cpdef forget(self)
    cpdef check_prefix(self, bytearray tail, Py_ssize_t searched)
