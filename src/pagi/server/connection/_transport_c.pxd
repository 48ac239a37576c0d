# cython: language_level=3
cimport cython

from pagi.server.connection.readiness cimport READABLE, TROUBLE, WRITABLE
from pagi.server.connection._syscalls_c cimport receive, transmit, transmit_pieces


@cython.final
cdef class SocketTransport:
    cdef object _backlog
    cdef Py_ssize_t _backlog_size
    cdef bytearray _buffer
    cdef bint _closing
    cdef bint _ended
    cdef bint _eof_sent
    cdef Py_ssize_t _high
    cdef bint _lost
    cdef Py_ssize_t _low
    cdef bint _paused
    cdef object _poller
    cdef object _protocol
    cdef bint _reading
    cdef bint _sealed
    cdef object _sock
    cdef public int descriptor
    cdef public int events
    cdef public bint more_follows

    cpdef ready(self, int events)
    @cython.locals(data=bytes)
    cdef _read(self)
    cdef _look(self)
    cpdef fail(self, exc)
    cdef _report(self, exc)
    cdef _watch(self)
    @cython.locals(sent=Py_ssize_t)
    cpdef write(self, bytes data)
    cdef _keep(self, bytes data, Py_ssize_t sent)
    cdef _refuse(self)
    cdef _crossed_high(self)
    cdef _crossed_low(self)
    @cython.locals(pieces=list, sent=Py_ssize_t)
    cdef bint _write_some(self) except -1
    cdef _write_backlog(self)
    cdef _shut_down_writing(self)
    cpdef Py_ssize_t get_write_buffer_size(self) except -1
    cdef _lose(self, exc)
