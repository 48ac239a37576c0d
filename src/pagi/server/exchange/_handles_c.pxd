# cython: language_level=3
cimport cython

@cython.freelist(64)
cdef class ConnectionState:
    cdef object _owner
    cdef object _service
    cdef list _callbacks
    cdef list _futures
    cdef public object disconnect_reason
    cdef public object disconnect_detail
    cdef public bint response_started
    cdef public bint response_complete
    cdef public bint aborted
    cdef public object close_code
    cdef public object close_reason
    cdef public object round_trip

    cpdef bint complete(self)
    cpdef disconnect(self, reason, detail)


@cython.freelist(64)
cdef class TransportState:
    cdef object _stream
    cdef object _service
    cdef list _high_callbacks
    cdef list _drain_callbacks

    cpdef above_high_water(self)
    cpdef drained(self)
    cpdef detach(self)
