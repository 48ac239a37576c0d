# cython: language_level=3
"""Making exchanges: compiled twin.

An exchange is three objects. Made by calling their classes they cost half a microsecond, most of
it for packing and unpacking arguments; here they are allocated and filled directly. What is not
set has the value that ``__init__`` gives it: ``None``, ``False`` or 0.
"""

from pagi.server.exchange._handles_c cimport ConnectionState, TransportState

__all__ = ["make_http_exchange"]


cpdef SSEExchange make_http_exchange(Service service, Stream stream, client):
    """Make the exchange of one http scope."""
    cdef SSEExchange exchange = SSEExchange.__new__(SSEExchange)
    cdef ConnectionState connection = ConnectionState.__new__(ConnectionState)
    cdef TransportState transport = TransportState.__new__(TransportState)
    connection._owner = exchange
    connection._service = service
    transport._stream = stream
    transport._service = service
    exchange._service = service
    exchange._stream = stream
    exchange.client = client
    exchange.connection = connection
    exchange._transport = transport
    return exchange
