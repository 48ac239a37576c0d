# cython: language_level=3
cimport cython

from pagi.protocol.http2._connection_c cimport HTTP2Connection
from pagi.server.connection._driver_c cimport ConnectionDriver
from pagi.server.connection._transport_c cimport SocketTransport
from pagi.server.exchange._base_c cimport Exchange
from pagi.server.exchange._stream_c cimport Stream


cdef class HTTP2Output(ConnectionDriver):
    cdef Py_ssize_t _flush_size
    cdef list _full
    cdef Py_ssize_t _high
    cdef HTTP2Connection _http2
    cdef Py_ssize_t _low
    cdef object _pull_size
    cdef dict _streams

    cdef _flush_soon(self)
    @cython.locals(machine=HTTP2Connection, own=SocketTransport, data=bytes, pieces=list)
    cdef _flush_now(self)
    cpdef _go_on(self)
    cdef Py_ssize_t _amount(self, long long stream_id) except -1
    @cython.locals(full=list, stream=HTTP2Stream)
    cdef _look_at_full(self)
    @cython.locals(machine=HTTP2Connection, closed=list, stream=HTTP2Stream)
    cdef _forget_closed(self)
    cpdef _became_idle(self)


cdef class HTTP2Stream(Stream):
    cdef public bint awaits_continue
    cdef HTTP2Output _driver
    cdef bint _emptying
    cdef long long _mark
    cdef double _marked_at
    cdef long long _stream_id
    cdef list _waiters
    cdef long long _written
    cdef public Exchange exchange
    cdef public double heard_at
    cdef public bint lost

    @cython.locals(driver=HTTP2Output)
    cpdef want_body(self)
    @cython.locals(driver=HTTP2Output)
    cpdef consumed(self, Py_ssize_t size)
    cpdef write_informational(self, int status, fields)
    cpdef write_head(self, int status, fields, size, bint trailers, long long at_least)
    cpdef write_response(self, int status, fields, bytes data)
    cpdef write_body(self, bytes data, bint end)
    cpdef write_trailers(self, fields)
    @cython.locals(driver=HTTP2Output)
    cpdef int switch(self, fields) except -1
    @cython.locals(driver=HTTP2Output, amount=Py_ssize_t)
    cpdef flush(self)
    cdef _fill(self)
    @cython.locals(driver=HTTP2Output)
    cdef bint is_relieved(self) except -1
    cdef relieve(self)
    @cython.locals(driver=HTTP2Output)
    cpdef reset(self, reason)
    cpdef response_complete(self)
    cpdef lose(self)
    @cython.locals(driver=HTTP2Output)
    cpdef Py_ssize_t buffered_amount(self) except -1
    @cython.locals(driver=HTTP2Output)
    cpdef Py_ssize_t begin_file(self, int descriptor, long long offset, Py_ssize_t count) except -1
    cpdef bint is_stalled(self, double now, double timeout) except -1
