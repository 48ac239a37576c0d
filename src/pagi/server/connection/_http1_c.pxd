# cython: language_level=3
cimport cython

from pagi.protocol._events_c cimport BodyReceived, BytesReceived, RequestReceived
from pagi.protocol.http1._connection_c cimport HTTP1Connection
from pagi.server.connection._context_c cimport ConnectionContext
from pagi.server.connection._http1_stream_c cimport HTTP1Stream
from pagi.server.exchange._base_c cimport Exchange
from pagi.server.exchange._making_c cimport make_http_exchange
from pagi.server.exchange._websocket_c cimport WebSocketExchange


cdef class HTTP1Driver(HTTP1Stream):
    cdef RequestReceived _request
    cdef double _head_since
    cdef bytes _preface
    cdef bint _served
    cdef double _stopping_since

    cpdef _serve_bytes(self, bytes data)
    @cython.locals(machine=HTTP1Connection)
    cdef _walk(self, list events)
    @cython.locals(exchange=Exchange)
    cdef _handle(self, event)
    @cython.locals(context=ConnectionContext)
    cdef _begin(self, RequestReceived event)
    @cython.locals(exchange=WebSocketExchange)
    cdef _begin_websocket(self, RequestReceived event)
    cdef bytes _without_preface(self, bytes data)
    cdef bint _upgrade(self, RequestReceived request) except -1
    cdef _hand_over(self, driver)
    @cython.locals(exchange=Exchange, request=RequestReceived, template=dict)
    cdef _start(self)
