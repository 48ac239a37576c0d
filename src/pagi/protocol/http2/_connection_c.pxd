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
from pagi.protocol.http2._head_c cimport Head
from pagi.protocol.http2._receiver_c cimport HTTP2Receiver
from pagi.protocol.http2._request_c cimport read_request
from pagi.protocol.http2._stream_c cimport StreamState
from pagi.protocol.http2.kinds cimport PING, RST_STREAM, SETTINGS
from pagi.protocol.http2.phases cimport DONE, GONE, HEAD, TUNNEL


cdef class HTTP2Connection(HTTP2Receiver):
    cdef int _end
    cdef list _events
    cdef object _max_body_size
    cdef object _peer_code
    cdef dict _priorities
    cdef public list closed
    cdef public bint peer_may_send
    cdef public bint pending
    cdef public bint pinged

    cpdef begin(self)
    @cython.locals(state=StreamState)
    cpdef begin_upgraded(self, bytes settings, method)
    @cython.locals(state=StreamState)
    cdef StreamState _new_stream(self, long long stream_id, bint end)
    cpdef bint is_open(self, long long stream_id)
    @cython.locals(state=StreamState)
    cpdef bint awaits_body(self, long long stream_id)
    @cython.locals(found=list)
    cpdef list receive_data(self, bytes data, double now)
    cpdef list receive_eof(self, double now)
    @cython.locals(state=StreamState)
    cdef _open(self, long long stream_id, Head head, bint end)
    cdef _reject(self, long long stream_id, code)
    @cython.locals(event=RequestReceived)
    cdef _begin(self, StreamState state, Head head)
    @cython.locals(state=StreamState, size=Py_ssize_t)
    cdef _receive_body(self, long long stream_id, bytes data, bint end)
    cpdef leave(self, long long stream_id)
    cdef _receive_trailers(self, StreamState state, Head head, bint end)
    @cython.locals(state=StreamState)
    cdef _take_priority(self, bytes payload)
    cdef _prioritize(self, StreamState state, bytes value)
    cdef _peer_reset(self, StreamState state, code)
    cdef _stop(self, StreamState state, code, detail)
    @cython.locals(state=StreamState, ended=list)
    cdef _forget_ended(self)
    cdef _forget(self, StreamState state)
    cdef _peer_leaves(self, code)
    cdef _complete(self)
    cdef _fail(self, code, detail)
    @cython.locals(state=StreamState, found=list)
    cpdef list refuse(self, long long stream_id, int status, detail, reason, fields=*)
    cdef _refuse(self, StreamState state, int status, detail, reason, fields)
    @cython.locals(state=StreamState)
    cpdef consumed(self, long long stream_id, Py_ssize_t size)
    cpdef close(self)
    cdef _put_goaway(self, long long last_stream_id)
    cpdef ping(self)
    cdef _pong(self, data)
