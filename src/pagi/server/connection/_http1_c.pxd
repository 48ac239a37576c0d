# cython: language_level=3
from pagi.server.connection._driver_c cimport ConnectionDriver


cdef class HTTP1Driver(ConnectionDriver):
    cdef object _exchange
    cdef object _request
    cdef double _head_since
    cdef double _idle_since
    cdef Py_ssize_t _inbound
    cdef bint _served
    cdef double _stopping_since
    cdef Py_ssize_t _stream_id

    cpdef data_received(self, data)
    cdef _walk(self, list events)
    cdef _handle(self, event)
    cdef _begin(self, event)
    cdef _start(self)
    cpdef write_head(self, status, fields, size, bint trailers)
    cpdef write_body(self, data, bint end)
    cpdef flush(self)
    cpdef response_complete(self)
