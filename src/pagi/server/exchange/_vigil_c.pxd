# cython: language_level=3
cdef class Vigil:
    cdef object _alarm
    cdef double _close_at
    cdef object _exchange
    cdef double _idle_at
    cdef double _idle_timeout
    cdef double _interval
    cdef double _last_at
    cdef object _loop
    cdef double _ping_at
    cdef long _ping_count
    cdef double _pinged
    cdef double _pinged_at
    cdef double _stop_at
    cdef double _timeout

    cpdef keep_alive(self, double interval, double timeout)
    cpdef moved(self)
    cpdef answered(self, bytes payload)
    cpdef stop(self, double seconds, double grace)
    cpdef await_close(self, timeout)
    cpdef end(self)
    cdef _due(self)
