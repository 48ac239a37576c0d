# cython: language_level=3
cimport cython

from pagi.protocol.websocket._connection_c cimport WebSocketConnection
from pagi.protocol.websocket._events_c cimport MessageReceived
from pagi.server.exchange._awaitables_c cimport Waiter
from pagi.server.exchange._http_c cimport HTTPExchange
from pagi.server.exchange._service_c cimport Service
from pagi.server.exchange._stream_c cimport Stream
from pagi.server.exchange._vigil_c cimport Vigil
from pagi.server.exchange._websocket_opening_c cimport WebSocketOpening
from pagi.server.exchange.phases cimport BODY, COMPLETE


cdef class WebSocketExchange(WebSocketOpening):
    cdef list _backlog
    cdef int _code
    cdef object _end_reason
    cdef object _failure
    cdef Py_ssize_t _held
    cdef WebSocketConnection _machine
    cdef Py_ssize_t _max_queue
    cdef Py_ssize_t _max_queue_size
    cdef object _peer_reason
    cdef object _pinged
    cdef list _queue
    cdef Py_ssize_t _queued_size
    cdef bint _told
    cdef Vigil _vigil

    cdef _accept(self, dict message)
    @cython.locals(machine=WebSocketConnection, queue=list, arrived=bint, unwanted=bint, waiter=Waiter)
    cdef _read(self, bytes data)
    cdef list _next_events(self, bytes data)
    cdef _handle(self, event)
    cdef _fail(self)
    cdef bint _is_full(self)
    cdef _overflow(self)
    cdef _give_credit(self)
    @cython.locals(event=MessageReceived)
    cdef dict _take_message(self)
    @cython.locals(data=bytes)
    cdef _go_on_reading(self)
    cdef _salvage(self, bytes data)
    cdef dict _disconnect_message(self)
    @cython.locals(machine=WebSocketConnection)
    cdef _send_message(self, dict message)
    @cython.locals(stream=Stream, piece=bytes)
    cdef _write_frames(self)
    cdef _send_close(self, dict message)
    cdef _await_close(self)
    cdef _set_keepalive(self, dict message)
    cpdef send_ping(self, bytes payload)
    cpdef close_for(self, reason, int code, text)
    cpdef lose(self, detail, reason=*)
    cdef _peer_closed(self, code, reason)
    @cython.locals(stream=Stream, piece=bytes)
    cdef _write_end(self)
    cdef _end(self, reason, detail)
    cdef _complete(self)
    cdef _end_vigil(self)
