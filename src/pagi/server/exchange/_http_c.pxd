# cython: language_level=3
from pagi.server.exchange._handles_c cimport ConnectionState, TransportState


cdef class HTTPExchange:
    cdef object _service
    cdef object _stream
    cdef public object client
    cdef public Py_ssize_t sent
    cdef public ConnectionState connection
    cdef TransportState _transport
    cdef object _scope
    cdef int _phase
    cdef int _status
    cdef object _fields
    cdef bint _trailers
    cdef bint _head_only
    cdef bint _app_done
    cdef bint _asked
    cdef list _body
    cdef bint _request_complete
    cdef object _request_trailers
    cdef bint _final_given
    cdef int _disconnect_receives
    cdef object _waiter
    cdef double _started_at

    cpdef start(self, request, scheme, client, server, extensions)
    cpdef feed(self, data)
    cpdef feed_end(self, trailers)
    cpdef disconnected(self, reason, detail=*, status=*)
    cpdef above_high_water(self)
    cpdef drained(self)
    cpdef app_finished(self, error)
    cdef dict _take_body(self)
    cdef _wake(self)
    cdef _send_start(self, message)
    cdef _send_body(self, message)
    cdef _write_body(self, bytes data, bint end)
    cdef _write_head(self, size)
    cdef _complete(self)
    cdef _log(self, reason)
