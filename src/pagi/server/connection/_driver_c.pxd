# cython: language_level=3
cimport cython

from pagi.server.connection._context_c cimport Clock, ConnectionContext
from pagi.server.connection._ends_c cimport ConnectionEnds
from pagi.server.connection._syscalls_c cimport take_bytes
from pagi.server.connection._transport_c cimport SocketTransport


cdef class ConnectionDriver(ConnectionEnds)


cdef class ReadBatch:
    cdef object _loop
    cdef list _drivers
    cdef list _writing
    cdef public bint collecting

    cdef add(self, ConnectionDriver driver)
    cdef flush_later(self, ConnectionDriver driver)
    @cython.locals(driver=ConnectionDriver, drivers=list)
    cpdef _flush(self)
    @cython.locals(driver=ConnectionDriver, drivers=list, group=list)
    cpdef serve(self)


cpdef ReadBatch batch_of(ConnectionContext context)


cdef class ConnectionDriver(ConnectionEnds):
    cdef ReadBatch _batch
    cdef bytes _received
    cdef bint _deferred
    cdef object __weakref__
    cdef Clock _clock
    cdef int _plain_socket
    cdef bint _draining_all
    cdef bint _flush_scheduled
    cdef ConnectionDriver _heir
    cdef double _linger_until
    cdef bint _lost
    cdef object _machine
    cdef double _read_at
    cdef bint _reading
    cdef object _reason
    cdef SocketTransport _own
    cdef object _write
    cdef list _waiters
    cdef bint _walking
    cdef Py_ssize_t _write_mark
    cdef Py_ssize_t _write_moved
    cdef double _write_since

    cpdef get_buffer(self, size_hint)
    cpdef buffer_updated(self, Py_ssize_t size)
    cpdef data_received(self, data)
    cpdef _serve_bytes(self, bytes data)
    cdef _serve_received(self, bint deferred)
    cdef _flush_deferred(self)
    cpdef _opened(self, bint full)
    cpdef _closed(self, reason, detail)
    cpdef _crossed(self, bint high)
    cpdef _check_reading(self, double now)
    @cython.locals(own=SocketTransport)
    cdef _flush_now(self)
    cdef list _take_output(self)
    cdef bint _is_finished(self)
    cpdef _resume_reading(self)
    cpdef _read_rest(self)
    cdef _wake_waiters(self)
    cpdef int _raw_socket(self) except -2
