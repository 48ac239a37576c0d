cimport cython

from pagi.protocol.http2.phases cimport HEAD, UNBOUNDED


@cython.final
cdef class StreamState:
    cdef public long long stream_id
    cdef public str method
    cdef public int phase
    cdef public bint peer_done
    cdef public bint extended
    cdef public bint swallow
    cdef public bint trailers
    cdef public long long to_send
    cdef public long long received
    cdef public long long unread
    cdef public bint ranked

    cdef long long frame_body(self, int status, long long length, long long size) except *
    cdef check_count(self, long long size)
