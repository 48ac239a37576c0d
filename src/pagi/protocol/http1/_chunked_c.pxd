cimport cython

from pagi.protocol.http1._chunks_c cimport take_chunks


@cython.final
cdef class ChunkedReader:
    cdef public list pieces
    cdef public list trailers
    cdef public bint done
    cdef public object received
    cdef int _state
    cdef long long _left
    cdef bytearray _line
    cdef Py_ssize_t _trailer_size
    cdef Py_ssize_t _trailer_count
    cdef Py_ssize_t _max_line
    cdef Py_ssize_t _max_trailer_size
    cdef Py_ssize_t _max_trailer_count
    cdef object _max_body_size

    cpdef Py_ssize_t feed(self, bytes data, Py_ssize_t pos) except -1
    cdef Py_ssize_t _feed_small(self, bytes data, Py_ssize_t pos, Py_ssize_t stop) except -1
    cdef Py_ssize_t _feed_data(self, bytes data, Py_ssize_t pos, Py_ssize_t stop) except -1
    cdef Py_ssize_t _feed_data_end(self, bytes data, Py_ssize_t pos) except -1
    cdef Py_ssize_t _feed_size(self, bytes data, Py_ssize_t pos, Py_ssize_t stop) except -1
    cdef _begin_chunk(self, bytes line)
    cdef Py_ssize_t _feed_trailer(self, bytes data, Py_ssize_t pos, Py_ssize_t stop) except -1
    cdef _end_trailer(self, bytes line)
