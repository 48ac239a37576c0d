# cython: language_level=3
cimport cython

from pagi.server.connection._syscalls_c cimport take_bytes
from pagi.server.connection._transport_c cimport SocketTransport


@cython.final
cdef class TLSTransport:
    cdef object _backlog
    cdef Py_ssize_t _backlog_size
    cdef bint _begun
    cdef bytearray _buffer
    cdef bint _closing
    cdef bint _deaf
    cdef bint _done
    cdef bint _ended
    cdef object _error
    cdef bint _established
    cdef bint _full
    cdef Py_ssize_t _high
    cdef object _incoming
    cdef Py_ssize_t _low
    cdef SocketTransport _lower
    cdef object _outgoing
    cdef bint _paused
    cdef object _poller
    cdef object _protocol
    cdef bint _reading
    cdef object _records
    cdef bint _resuming
    cdef bint _sealed
    cdef object _tls

    cpdef data_received(self, bytes data)
    cdef _shake_hands(self)
    cdef SocketTransport _lower_transport(self)
    @cython.locals(size=Py_ssize_t)
    cdef _decrypt(self)
    @cython.locals(most=Py_ssize_t, size=Py_ssize_t, count=Py_ssize_t)
    cdef Py_ssize_t _fill(self) except -1
    cdef _end_of_peer(self)
    cdef _lose(self, exc)
    cpdef write(self, bytes data)
    cdef _refuse(self)
    cdef _keep(self, pieces)
    cdef _pump(self)
    @cython.locals(room=Py_ssize_t, pieces=list)
    cdef _take_chunk(self)
    @cython.locals(size=Py_ssize_t, done=Py_ssize_t)
    cdef _encrypt(self, data)
    @cython.locals(lower=SocketTransport)
    cdef _send_records(self)
    cdef _crossed_high(self)
    cdef _crossed_low(self)
    cdef _limit_lower(self)
    cpdef Py_ssize_t get_write_buffer_size(self) except -1
    cdef _say_goodbye(self)
