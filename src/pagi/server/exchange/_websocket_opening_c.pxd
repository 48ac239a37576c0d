# cython: language_level=3
from pagi.protocol._events_c cimport RequestReceived
from pagi.server.exchange._http_c cimport HTTPExchange
from pagi.server.exchange.phases cimport IDLE, STARTED


cdef class WebSocketOpening(HTTPExchange):
    cdef object _handshake

    cpdef read_request(self, request)
    cdef dict _make_scope(self, RequestReceived request, dict template)
    cdef _send_before(self, message)
    cdef _send_start(self, dict message)
    cdef _deny(self, int status)
    cdef _accept(self, dict message)
    cdef _switch(self, dict message)
