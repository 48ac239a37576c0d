cimport cython

from pagi.protocol.http2._sender_c cimport HTTP2Sender
from pagi.protocol.http2._stream_c cimport StreamState
from pagi.protocol.http2.kinds cimport ACK, PING, SETTINGS
from pagi.protocol.http2.phases cimport GONE


cdef class ControlReceiver(HTTP2Sender):
    cdef public bint greeted
    cdef long long _highest
    cdef long long _credit
    cdef long long _owed
    cdef long long _own_window
    cdef int _replies

    @cython.locals(state=StreamState)
    cdef _take_credit(self, long long stream_id, long long size)
    @cython.locals(state=StreamState)
    cdef _take_reset(self, long long stream_id, long long code)
    cdef _take_settings(self, int flags, bytes payload)
    cdef _apply_settings(self, bytes payload)
    @cython.locals(state=StreamState)
    cdef _change_windows(self, long long difference)
    cdef _take_ping(self, int flags, bytes payload)
    cdef _count_reply(self)
    cdef _charge_frame(self)
    cdef _charge_reset(self)
    cdef _consume(self, StreamState state, long long size)
    cdef _owe(self, long long size)
    cdef _peer_reset(self, StreamState state, code)
    cdef _stop(self, StreamState state, code, detail)
    cdef _pong(self, data)
