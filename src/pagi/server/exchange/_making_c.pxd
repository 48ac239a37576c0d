# cython: language_level=3
from pagi.server.exchange._http_c cimport HTTPExchange
from pagi.server.exchange._service_c cimport Service


cpdef HTTPExchange make_http_exchange(Service service, stream, client)
