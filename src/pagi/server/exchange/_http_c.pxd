# cython: language_level=3
cimport cython

from pagi.protocol._events_c cimport RequestReceived
from pagi.server.exchange._base_c cimport Exchange
from pagi.server.exchange._files_c cimport FileBody, open_body
from pagi.server.exchange._service_c cimport Service
from pagi.server.exchange._stream_c cimport Stream
from pagi.server.exchange._tasks_c cimport AppRunner
from pagi.server.exchange.phases cimport BODY, COMPLETE, IDLE, STARTED, TRAILERS


cdef class HTTPExchange(Exchange):
    cdef list _fields
    cdef bint _trailers
    cdef bint _head_only

    @cython.locals(scope=dict, service=Service, runner=AppRunner)
    cpdef start(self, request, dict template)
    @cython.locals(scope=dict, head=RequestReceived, service=Service, advertised=dict, raw_path=bytes)
    cdef dict _make_scope(self, RequestReceived request, dict template)
    cdef _send_start(self, dict message)
    cdef _send_body(self, dict message)
    cdef _write_whole(self, bytes data)
    @cython.locals(stream=Stream)
    cdef _write_body(self, bytes data, bint end)
    cdef _write_head(self, size, long long at_least)
    @cython.locals(service=Service)
    cdef _complete(self)
    cdef _send_other(self, kind, dict message)
    cdef _send_file_body(self, dict message)
    @cython.locals(file=FileBody)
    cdef _send_file(self, dict message, source, offset, length, bint more)
    @cython.locals(descriptor=int, size=Py_ssize_t, done=Py_ssize_t)
    cdef bint _send_at_once(self, FileBody file, bint more) except -1
