# cython: language_level=3
cimport cython

from pagi.protocol.websocket._events_c cimport (
    CloseReceived,
    Failed,
    MessageReceived,
    PingReceived,
    PongReceived,
)
from pagi.protocol.websocket._masking_c cimport unmasked
from pagi.protocol.websocket._payload_c cimport Payload, read_text
from pagi.protocol.websocket._sender_c cimport MessageSender
from pagi.protocol.websocket.opcodes cimport (
    CONTINUATION,
    FIN,
    OP_BINARY,
    OP_CLOSE,
    OP_CONTROL,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
    RSV2_RSV3,
)

cdef long long _MAX_SIZE


@cython.final
cdef class WebSocketConnection(MessageSender):
    cdef public bint close_received
    cdef public object close_code
    cdef public str close_reason
    cdef public bint closed
    cdef public bint stopped
    cdef public bint answers_pings

    cdef object _limits
    cdef long long _max_size
    cdef bint _deaf
    cdef bytes _partial
    cdef Py_ssize_t _start
    cdef double _tokens
    cdef double _filled_at

    cdef Payload _payload
    cdef bint _compressed
    cdef Py_ssize_t _fragments
    cdef long long _wire_size
    cdef bint _final
    cdef long long _left
    cdef bytes _mask
    cdef int _phase
    cdef long long _room
    cdef long long _room_size

    cdef object _inflater

    @cython.locals(events=list, start=Py_ssize_t)
    cpdef list receive_data(
        self, bytes data, double now, long long max_messages=*, long long max_size=*
    )
    @cython.locals(
        size=Py_ssize_t, start=Py_ssize_t, first=cython.int, length=cython.longlong,
    )
    cdef _receive(self, bytes data, Py_ssize_t pos, double now, list events)
    @cython.locals(length=cython.int, opcode=cython.int)
    cdef int _read_second(self, int first, int second) except -1
    @cython.locals(limit=cython.longlong, had=cython.longlong)
    cdef _admit(self, int first, long long length)
    @cython.locals(text=str)
    cdef _receive_whole(
        self, int first, bytes data, Py_ssize_t start, Py_ssize_t end, list events
    )
    cdef _deliver(self, content, Py_ssize_t size, list events)
    cdef _begin_frame(self, int first, long long length, bytes mask, double now)
    @cython.locals(payload=Payload, size=Py_ssize_t, end=Py_ssize_t, expected=Py_ssize_t)
    cdef Py_ssize_t _receive_payload(self, bytes data, Py_ssize_t pos, list events) except -1
    cdef _inflate(self, Payload payload, bytes data)
    cdef _add_inflated(self, Payload payload, bytes data)
    @cython.locals(payload=Payload)
    cdef _end_frame(self, list events)
    @cython.locals(content=bytes)
    cdef _receive_control(
        self, int opcode, bytes data, Py_ssize_t start, Py_ssize_t end, double now, list events
    )
    @cython.locals(rate=double)
    cdef _take_token(self, double now)
    cdef _receive_close(self, bytes content, list events)
    cdef _give_up(self, int code, str detail)
    cpdef receive_eof(self)
    cdef _end_reading(self)


@cython.locals(length=cython.longlong, index=Py_ssize_t)
cdef long long _long_length(bytes data, Py_ssize_t start, Py_ssize_t end) except -1
