# cython: language_level=3
from pagi.server.connection._context_c cimport ConnectionContext
from pagi.server.exchange._stream_c cimport Stream


cdef class ConnectionEnds(Stream):
    cdef object _client
    cdef object _client_text
    cdef dict _common
    cdef ConnectionContext _context
    cdef bint _heeds
    cdef object _server
    cdef dict _template
    cdef object _transport
    cdef public object stated

    cdef _meet(self, transport)
    cdef _look_through(self)
    cdef dict _template_for(self, request, exchange)
    cpdef _extensions(self)
