cimport cython

from pagi.protocol._events_c cimport RequestReceived
from pagi.protocol.http2._head_c cimport Head
from pagi.protocol.http2._stream_c cimport StreamState

cdef dict _methods, _hosts, _targets


@cython.locals(event=RequestReceived)
cpdef RequestReceived read_request(StreamState state, Head head, limits)
@cython.locals(event=RequestReceived)
cdef RequestReceived _new_event(StreamState state, Head head)
cdef str _method(bytes name)
@cython.locals(field=tuple)
cdef _take_authority(RequestReceived event, bytes authority, bytes host)
cdef bint _is_extended(RequestReceived event, bytes protocol, bytes authority) except -1
@cython.locals(target=tuple)
cdef _read_target(RequestReceived event, bytes path, bytes scheme, Py_ssize_t max_size)
cdef tuple _take_apart(str method, bytes path, Py_ssize_t max_size)
cdef _join_cookies(RequestReceived event)
cdef _read_length(RequestReceived event, bytes value, max_body_size)
