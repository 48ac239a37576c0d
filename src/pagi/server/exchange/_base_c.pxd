# cython: language_level=3
cimport cython

from pagi.server.exchange._awaitables_c cimport Waiter
from pagi.server.exchange._handles_c cimport ConnectionState, TransportState
from pagi.server.exchange._service_c cimport Service
from pagi.server.exchange._stream_c cimport Stream
from pagi.server.exchange.phases cimport BODY, COMPLETE, IDLE, STARTED


cdef class Exchange:
    cdef Service _service
    cdef Stream _stream
    cdef public object client
    cdef public Py_ssize_t sent
    cdef public ConnectionState connection
    cdef TransportState _transport
    cdef object _scope
    cdef int _phase
    cdef int _status
    cdef bint _asked
    cdef list _body
    cdef bint _request_complete
    cdef object _request_trailers
    cdef bint _final_given
    cdef bint _native
    cdef bint _noticed
    cdef int _disconnect_receives
    cdef Waiter _waiter
    cdef public double started_at

    cpdef start(self, request, dict template)
    cpdef feed(self, data)
    cpdef feed_end(self, trailers)
    cpdef disconnected(self, reason, detail=*, int status=*)
    cpdef shut_down(self, double grace)
    cpdef above_high_water(self)
    cpdef drained(self)
    cpdef app_finished(self, error)
    @cython.locals(body=list, data=bytes, complete=bint)
    cdef dict _take_body(self)
    @cython.locals(size=Py_ssize_t, count=Py_ssize_t)
    cdef bytes _join_some(self, list body)
    cdef dict _take_disconnect(self)
    cdef dict _disconnect_message(self)
    cdef _log(self, reason)
    cpdef _send_server_error(self, error)
    cpdef _truncate(self)
