cimport cython

from pagi.protocol._events_c cimport (
    BodyReceived,
    BytesReceived,
    ConnectionEnded,
    ConnectionFailed,
    MessageComplete,
    StreamReset,
)
from pagi.protocol.http2._guard_c cimport FrameGuard
from pagi.protocol.http2._request_c cimport read_request
from pagi.protocol.http2._sender_c cimport HTTP2Sender
from pagi.protocol.http2._stream_c cimport StreamState
from pagi.protocol.http2.phases cimport DONE, GONE, HEAD, TUNNEL

cdef object _REQUEST_RECEIVED, _DATA_RECEIVED, _TRAILERS_RECEIVED, _STREAM_RESET
cdef object _STREAM_CLOSED, _WINDOW_UPDATED


cdef class HTTP2Connection(HTTP2Sender):
    cdef int _end
    cdef list _events
    cdef bint _farewell_due
    cdef object _max_body_size
    cdef public list closed
    cdef public bint greeted
    cdef public bint peer_may_send
    cdef public bint pending
    cdef public bint pinged

    cpdef begin(self)
    cpdef begin_upgraded(self, bytes settings, method)
    cdef _widen(self)
    cpdef bint is_open(self, long long stream_id)
    @cython.locals(state=StreamState)
    cpdef bint awaits_body(self, long long stream_id)
    @cython.locals(guard=FrameGuard, accepted=Py_ssize_t, found=list)
    cpdef list receive_data(self, bytes data, double now)
    cdef _feed(self, bytes data)
    cpdef list receive_eof(self, double now)
    cdef _translate(self, list found)
    @cython.locals(state=StreamState)
    cdef _translate_other(self, kind, event)
    @cython.locals(state=StreamState)
    cdef _begin(self, long long stream_id, tuple headers, bint end)
    @cython.locals(state=StreamState, size=Py_ssize_t)
    cdef _receive_body(self, long long stream_id, bytes data, bint end)
    @cython.locals(state=StreamState)
    cdef _receive_trailers(self, long long stream_id, tuple headers)
    @cython.locals(state=StreamState)
    cdef _stream_reset(self, long long stream_id, code)
    @cython.locals(state=StreamState)
    cdef _stream_closed(self, long long stream_id, code, local_error)
    @cython.locals(guard=FrameGuard)
    cdef _charge(self)
    cdef _connection_closed(self, code)
    cdef _fail(self, code, detail)
    cdef _give_up(self, code, detail)
    cdef _shut(self, bytes farewell, detail)
    @cython.locals(state=StreamState, found=list)
    cpdef list refuse(self, long long stream_id, int status, detail, reason, fields=*)
    cdef _refuse(self, StreamState state, int status, detail, reason, fields)
    @cython.locals(state=StreamState)
    cpdef consumed(self, long long stream_id, Py_ssize_t size)
    cdef _acknowledge(self, long long stream_id, Py_ssize_t size)
    cdef _announce(self)
    cdef _ask(self, bytes data)
    cpdef close(self)
    cpdef ping(self)
    cdef _pong(self, data)
    @cython.locals(data=bytes)
    cdef bytes _pull(self, limit)
