# cython: language_level=3
cimport cython

from pagi.protocol.http1._connection_c cimport HTTP1Connection
from pagi.server.connection._driver_c cimport ConnectionDriver
from pagi.server.connection._syscalls_c cimport is_cached, move_file
from pagi.server.connection._transport_c cimport SocketTransport
from pagi.server.exchange._base_c cimport Exchange


cdef class HTTP1Stream(ConnectionDriver):
    cdef Exchange _exchange
    cdef HTTP1Connection _http1
    cdef Py_ssize_t _flush_size
    cdef double _idle_since
    cdef Py_ssize_t _inbound
    cdef Py_ssize_t _stream_id

    cpdef Py_ssize_t buffered_amount(self) except -1
    cpdef want_body(self)
    cpdef consumed(self, Py_ssize_t size)
    cpdef write_informational(self, int status, fields)
    cpdef write_head(self, int status, fields, size, bint trailers, long long at_least)
    cpdef write_response(self, int status, fields, bytes data)
    cpdef write_body(self, bytes data, bint end)
    cpdef write_trailers(self, fields)
    @cython.locals(machine=HTTP1Connection, moved=Py_ssize_t)
    cpdef Py_ssize_t begin_file(self, int descriptor, long long offset, Py_ssize_t count) except -1
    @cython.locals(own=SocketTransport)
    cdef _flush_ahead(self)
    cpdef int switch(self, fields) except -1
    cpdef flush(self)
    cpdef reset(self, reason)
    cpdef response_complete(self)
