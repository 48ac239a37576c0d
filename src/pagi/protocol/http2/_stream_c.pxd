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
    cdef public long long announced
    cdef public long long credit
    cdef public long long owed
    cdef public long long window
    cdef public list queue
    cdef public Py_ssize_t offset
    cdef public Py_ssize_t queued
    cdef public Py_ssize_t parked
    cdef public bint ends
    cdef public list trailer
    cdef public int urgency
    cdef public bint incremental
    cdef public bint ready

    cdef long long frame_body(self, int status, long long length, long long size) except *
    cdef check_count(self, long long size)
