# cython: language_level=3
from pagi.server.exchange._service_c cimport Service


cdef class Pulse:
    cdef object _alarm
    cdef bytes _comment
    cdef object _end_at
    cdef object _exchange
    cdef object _idle
    cdef double _interval
    cdef object _loop
    cdef double _sent_at
    cdef double _spoke_at

    cpdef keep_alive(self, double interval, bytes comment)
    cpdef spoke(self)
    cpdef end_by(self, double due)
    cpdef stop(self)
    cdef _due(self)
