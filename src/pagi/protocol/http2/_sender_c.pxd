cimport cython

from pagi.protocol.http2._guard_c cimport PeerGuard
from pagi.protocol.http2._output_c cimport FrameOutput
from pagi.protocol.http2._response_c cimport (
    informational_fields,
    length_field,
    response_fields,
    trailer_fields,
)
from pagi.protocol.http2._stream_c cimport StreamState
from pagi.protocol.http2.phases cimport BODY, DONE, GONE, HEAD, TRAILERS, TUNNEL, UNBOUNDED


cdef class HTTP2Sender(FrameOutput):
    cdef public bint finished
    cdef object _limits
    cdef object _defaults
    cdef PeerGuard _guard
    cdef dict _streams
    cdef list _early_ends
    cdef bint _leaving
    cdef bint _over
    cdef bytes _farewell

    @cython.locals(state=StreamState)
    cdef StreamState _expect(self, long long stream_id, int phase)
    @cython.locals(state=StreamState)
    cpdef send_informational(self, long long stream_id, int status, fields)
    @cython.locals(state=StreamState, known=cython.longlong)
    cpdef send_head(
        self, long long stream_id, int status, fields, size=*, bint trailers=*,
        long long at_least=*
    )
    @cython.locals(state=StreamState, size=cython.longlong, whole=cython.bint, wire=list)
    cpdef send_response(self, long long stream_id, int status, fields, bytes data)
    @cython.locals(wire=list, length=cython.longlong)
    cdef list _make_head(self, StreamState state, int status, fields, long long size, bint trailers)
    cdef _take_turns(self, StreamState state)
    cdef _submit_head(self, StreamState state, list wire, bint end)
    cdef _submit_data(self, StreamState state, bytes data, bint end)
    @cython.locals(state=StreamState, size=cython.longlong)
    cpdef send_body(self, long long stream_id, bytes data, bint end=*)
    @cython.locals(state=StreamState)
    cpdef expect_body(self, long long stream_id, long long size)
    @cython.locals(state=StreamState)
    cpdef send_trailers(self, long long stream_id, fields)
    @cython.locals(state=StreamState)
    cpdef switch(self, long long stream_id, fields)
    cdef _end_response(self, StreamState state)
    @cython.locals(state=StreamState)
    cpdef reset(self, long long stream_id, reason)
    cdef _reset(self, StreamState state, code)
    @cython.locals(state=StreamState)
    cdef _stop_uploads(self)
    @cython.locals(state=StreamState)
    cpdef Py_ssize_t buffered(self, long long stream_id) except -1
    @cython.locals(data=bytes)
    cpdef list data_to_send(self, limit=*)
    cdef _forget_ended(self)
    cdef _complete(self)
