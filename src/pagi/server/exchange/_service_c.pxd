# cython: language_level=3
from pagi.server.exchange._opening_c cimport OpenFiles
from pagi.server.exchange._tasks_c cimport AppRunner


cdef class Service:
    cdef list _drain_futures
    cdef public object app
    cdef public object check
    cdef public bint draining
    cdef public OpenFiles files
    cdef public object flow
    cdef public object log_access
    cdef public object logger
    cdef public object loop
    cdef public bint native
    cdef public object sse
    cdef public object websocket
    cdef public object websocket_limits
    cdef public str root_path
    cdef public AppRunner runner
    cdef public dict scope_template
    cdef public object show_error
    cdef public dict state
    cdef public object time
