# cython: language_level=3
cimport cython

from pagi.server.connection._driver_c cimport ReadBatch
from pagi.server.connection._transport_c cimport SocketTransport


@cython.final
cdef class Poller:
    cdef ReadBatch _batch
    cdef object _epoll
    cdef list _deferred
    cdef bint _serving
    cdef dict _transports
    cdef public object loop

    @cython.locals(transport=SocketTransport)
    cdef _serve_ready(self)
