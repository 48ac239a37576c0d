# cython: language_level=3
cimport cython

from pagi.protocol._events_c cimport (
    BodyReceived,
    BytesReceived,
    ConnectionEnded,
    ConnectionFailed,
    MessageComplete,
    RequestReceived,
    StreamReset,
)
from pagi.protocol.http2._connection_c cimport HTTP2Connection
from pagi.server.connection._context_c cimport ConnectionContext
from pagi.server.connection._http2_stream_c cimport HTTP2Output, HTTP2Stream
from pagi.server.exchange._base_c cimport Exchange
from pagi.server.exchange._making_c cimport make_http_exchange
from pagi.server.exchange._websocket_c cimport WebSocketExchange


cdef class HTTP2Driver(HTTP2Output):
    cdef double _announced_at
    cdef double _headers_since
    cdef double _idle_since
    cdef double _pinged_at
    cdef list _starting
    cdef RequestReceived _upgraded

    cdef _begin_upgraded(self)
    cpdef _serve_bytes(self, bytes data)
    cdef _walk(self, events)
    @cython.locals(stream=HTTP2Stream, exchange=Exchange)
    cdef _handle(self, event)
    @cython.locals(stream=HTTP2Stream)
    cdef _begin(self, RequestReceived event)
    @cython.locals(exchange=WebSocketExchange)
    cdef _begin_websocket(self, RequestReceived event, HTTP2Stream stream)
    cdef _refuse(self, long long stream_id, int status, detail, reason, fields)
    @cython.locals(exchange=Exchange, template=dict)
    cdef _start(self, request, HTTP2Stream stream)
    @cython.locals(stream=HTTP2Stream, exchange=Exchange, context=ConnectionContext)
    cdef _stream_reset(self, StreamReset event)
    cdef bint _is_starting(self, HTTP2Stream stream) except -1
    @cython.locals(stream=HTTP2Stream, exchange=Exchange)
    cdef _end_all(self, reason, detail)
    @cython.locals(machine=HTTP2Connection)
    cpdef _check_reading(self, double now)
    @cython.locals(stream=HTTP2Stream)
    cdef _check_streams(self, double now)
    @cython.locals(stream=HTTP2Stream, exchange=Exchange)
    cdef _give_up(self, long long stream_id, reason, detail)
    @cython.locals(machine=HTTP2Connection)
    cdef _check_peer(self, double now)
    cdef _close(self, reason)
