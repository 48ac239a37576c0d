cimport cython


@cython.final
cdef class PeerGuard:
    cdef dict _closed
    cdef dict _closed_before
    cdef Py_ssize_t _max_closed
    cdef double _max_resets
    cdef double _max_idle_frames
    cdef double _resets
    cdef double _idle_frames
    cdef double _time

    @cython.locals(passed=cython.double, share=cython.double)
    cpdef refill(self, double now)
    cpdef sent(self, Py_ssize_t size)
    cpdef bint charge_reset(self)
    cpdef bint charge_frame(self)
    cpdef closed(self, long long stream_id, bint by_us)
    cpdef bint was_closed_by_peer(self, long long stream_id)
    cpdef bint was_closed_by_us(self, long long stream_id)
    cdef int _how(self, long long stream_id)
