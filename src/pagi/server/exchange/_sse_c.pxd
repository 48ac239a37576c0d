# cython: language_level=3
cimport cython

from pagi.protocol._events_c cimport RequestReceived
from pagi.server.exchange._http_c cimport HTTPExchange
from pagi.server.exchange._pulse_c cimport Pulse
from pagi.server.exchange._stream_c cimport Stream
from pagi.server.exchange.phases cimport BODY, IDLE


cdef bint _announces_events(list fields) except -1


cdef class SSEExchange(HTTPExchange):
    cdef bint _encodes
    cdef bint _endless
    cdef Pulse _pulse

    cdef dict _make_scope(self, RequestReceived request, dict template)
    cdef _send_start(self, dict message)
    cdef _send_other(self, kind, dict message)
    cdef _send_body(self, dict message)
    cdef _write_head(self, size, long long at_least)
    cdef _complete(self)
    cdef _log(self, reason)
    cdef _start_events(self, dict message)
    @cython.locals(pulse=Pulse)
    cdef _send_event(self, kind, dict message)
    @cython.locals(stream=Stream)
    cdef _write_event(self, bytes data)
    cdef _finish_events(self)
    cpdef write_keepalive(self, bytes comment)
    @cython.locals(stream=Stream)
    cpdef end_events(self, reason)
