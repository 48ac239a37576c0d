cimport cython

from pagi.protocol.http2._control_c cimport ControlReceiver
from pagi.protocol.http2._decoder_c cimport HeaderDecoder
from pagi.protocol.http2._head_c cimport Head
from pagi.protocol.http2._stream_c cimport StreamState
from pagi.protocol.http2.kinds cimport (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from pagi.protocol.http2.phases cimport GONE, UNBOUNDED


cdef class HTTP2Receiver(ControlReceiver):
    cdef public bint in_headers
    cdef public long long last_stream_id
    cdef int _stage
    cdef list _parts
    cdef Py_ssize_t _have
    cdef Py_ssize_t _need
    cdef Py_ssize_t _max_frame_size
    cdef HeaderDecoder _decoder
    cdef Py_ssize_t _max_block
    cdef list _block
    cdef int _block_parts
    cdef long long _block_stream
    cdef bint _block_end
    cdef long long _body_stream
    cdef Py_ssize_t _body_left
    cdef bint _body_end

    @cython.locals(
        size=Py_ssize_t, position=Py_ssize_t, rest=Py_ssize_t, part=Py_ssize_t, piece=bytes,
        length=Py_ssize_t, kind=cython.int, flags=cython.int, stream_id=cython.longlong,
    )
    cdef _feed(self, bytes data)
    cdef _keep(self, bytes data, Py_ssize_t position, Py_ssize_t need)
    cdef Py_ssize_t _take_preface(self, bytes data) except -1
    cdef _judge(self, int kind, int flags, Py_ssize_t length, long long stream_id)
    cdef _judge_others(self, int kind, Py_ssize_t length, long long stream_id)
    @cython.locals(state=StreamState)
    cdef _begin_body(self, long long stream_id, Py_ssize_t length, Py_ssize_t size, bint end)
    cdef bint _may_take(
        self, StreamState state, Py_ssize_t length, Py_ssize_t size, bint end
    ) except -1
    cdef _take_body(self, bytes piece)
    cdef _check_closed(self, long long stream_id, bint headers)
    @cython.locals(stop=Py_ssize_t, block=bytes, end=cython.bint)
    cdef _take_headers(
        self, int flags, long long stream_id, bytes data, Py_ssize_t position, Py_ssize_t length
    )
    cdef _check_dependency(self, bytes parent, long long stream_id)
    cdef _take_continuation(self, int flags, bytes payload)
    @cython.locals(head=Head, state=StreamState)
    cdef _end_section(self, long long stream_id, bytes block, bint end)
    cdef _take_frame(self, int kind, int flags, long long stream_id, bytes payload)
    @cython.locals(length=Py_ssize_t, padding=Py_ssize_t, size=Py_ssize_t)
    cdef _take_padded(self, int flags, long long stream_id, bytes payload)
    cdef _open(self, long long stream_id, Head head, bint end)
    cdef _receive_body(self, long long stream_id, bytes data, bint end)
    cdef _receive_trailers(self, StreamState state, Head head, bint end)
    cdef _take_priority(self, bytes payload)
    cdef _peer_leaves(self, code)
