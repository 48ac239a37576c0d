cimport cython

from pagi.protocol.http2._encoder_c cimport HeaderEncoder
from pagi.protocol.http2._frame_c cimport frame_head
from pagi.protocol.http2._stream_c cimport StreamState
from pagi.protocol.http2.kinds cimport (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    WINDOW_UPDATE,
)


cdef class FrameOutput:
    cdef HeaderEncoder _encoder
    cdef list _out
    cdef Py_ssize_t _out_size
    cdef list _ended
    cdef long long _window
    cdef long long _initial_window
    cdef Py_ssize_t _peer_frame_size
    cdef list _ready
    cdef Py_ssize_t _ready_count

    cdef _put(self, int kind, int flags, long long stream_id, bytes payload)
    @cython.locals(block=bytes, flags=cython.int)
    cdef _put_head(self, StreamState state, list wire, bint end)
    @cython.locals(step=Py_ssize_t, position=Py_ssize_t, piece=bytes, last=cython.int)
    cdef _put_long_head(self, long long stream_id, bytes block, int flags)
    cdef _put_reset(self, StreamState state, code)
    cdef _drop(self, StreamState state)
    cdef _put_credit(self, long long stream_id, size)
    @cython.locals(size=Py_ssize_t)
    cdef _put_data(self, StreamState state, bytes data, bint end)
    @cython.locals(size=Py_ssize_t)
    cdef _put_small(self, StreamState state, bytes data)
    cdef _put_trailer(self, StreamState state, list wire)
    cdef _make_ready(self, StreamState state)
    cdef _give_credit(self, StreamState state, long long size)
    cdef _set_urgency(self, StreamState state, int urgency, bint incremental)
    @cython.locals(out=list)
    cdef bytes _take(self, Py_ssize_t limit)
    @cython.locals(ready=list)
    cdef _fill(self, Py_ssize_t limit)
    @cython.locals(position=Py_ssize_t, state=StreamState)
    cdef _fill_from(self, list ready, Py_ssize_t limit)
    @cython.locals(size=cython.longlong, last=cython.bint, end=cython.bint, wire=list)
    cdef _send_some(self, StreamState state)
    @cython.locals(data=bytes, rest=Py_ssize_t, stop=Py_ssize_t)
    cdef _move(self, StreamState state, Py_ssize_t size)
