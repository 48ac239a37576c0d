# cython: language_level=3
from pagi.server.exchange._service_c cimport Service
from pagi.server.exchange._sse_c cimport SSEExchange
from pagi.server.exchange._stream_c cimport Stream


cpdef SSEExchange make_http_exchange(Service service, Stream stream, client)
