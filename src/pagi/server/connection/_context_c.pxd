# cython: language_level=3
from pagi.server.exchange._service_c cimport Service


cdef class Clock:
    cdef public double now


cdef class ConnectionContext:
    cdef public Service service
    cdef public Clock clock
    cdef public object defaults
    cdef public object flow
    cdef public object http1
    cdef public object http2
    cdef public object http2_settings
    cdef public object timeouts
    cdef public object connections
    cdef public Py_ssize_t max_connections
    cdef public dict openings
    cdef public Py_ssize_t rejected
    cdef public object batch
    cdef public bytearray receive_buffer
    cdef public object shutdown_grace
    cdef public object proxies
    cdef public str scheme
    cdef public object log_rejected
    cdef public object closed
    cdef public object logger
