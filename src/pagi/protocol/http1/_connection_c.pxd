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
from pagi.protocol.http1._chunked_c cimport ChunkedReader
from pagi.protocol.http1._reading_c cimport HeadReader
from pagi.protocol.http1._request_c cimport keeps_alive, read_notes
from pagi.protocol.http1._sender_c cimport ResponseSender
from pagi.protocol.http1.states cimport (
    CHUNKED,
    READ_BODY,
    READ_CLOSED,
    READ_DONE,
    READ_HEAD,
    READ_TUNNEL,
    WRITE_BODY,
    WRITE_DONE,
    WRITE_HEAD,
    WRITE_IDLE,
    WRITE_TRAILERS,
    WRITE_TUNNEL,
)


@cython.final
cdef class HTTP1Connection(ResponseSender):
    cdef public int read_state
    cdef public bint reading_paused
    cdef public bint pending
    cdef public bint peer_may_send
    cdef bint _eof
    cdef bytes _data
    cdef Py_ssize_t _pos
    cdef bytearray _tail
    cdef Py_ssize_t _searched
    cdef int _empty_lines
    cdef long long _left
    cdef ChunkedReader _chunks
    cdef Py_ssize_t _discarded
    cdef object _limits
    cdef HeadReader _heads
    cdef Py_ssize_t _max_pipelined_size
    cdef Py_ssize_t _max_discarded_body

    cpdef rest(self)
    cdef bint _bytes_wait(self)
    cpdef list receive_data(self, bytes data, double now)
    cdef _receive(self, list events)
    cdef _forget_data(self)
    cdef bint _join_tail(self) except -1
    cdef bint _receive_head(self, list events) except -1
    cdef bint _skip_empty_lines(self) except -1
    cdef _keep_partial_head(self)
    cdef bint _is_head_whole(self) except -1
    cdef _begin(self, RequestReceived event, dict notes)
    cdef _receive_body(self, list events)
    cdef _receive_counted(self, list events)
    cdef _deliver_chunks(self, list events)
    cdef _end_request(self, list events, list trailers)
    cpdef list receive_eof(self, double now)
    cdef _run_dry(self, list events)
    cpdef switch(self, Py_ssize_t stream_id, object fields)
    cpdef reset(self, Py_ssize_t stream_id, reason)
    cpdef close(self)
    cpdef list refuse(self, int status, str detail, str reason, object fields=*)
    cdef ConnectionFailed _fail(self, error, object fields)
    cdef _settle(self)
