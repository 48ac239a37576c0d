# cython: language_level=3
from pagi.server.exchange._base_c cimport Exchange


cdef class HTTPExchange(Exchange):
    cdef object _fields
    cdef bint _trailers
    cdef bint _head_only

    cpdef start(self, request, scheme, client, server, extensions)
    cdef _send_start(self, message)
    cdef _send_body(self, message)
    cdef _write_body(self, data, bint end)
    cdef _write_head(self, size)
    cdef _complete(self)
