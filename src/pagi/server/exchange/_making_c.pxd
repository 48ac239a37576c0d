# cython: language_level=3
from pagi.server.exchange._http_c cimport HTTPExchange
from pagi.server.exchange._service_c cimport Service
from pagi.server.exchange._stream_c cimport Stream


cpdef HTTPExchange make_http_exchange(Service service, Stream stream, client)
