cimport cython


cdef class WebSocketEvent:
    pass


@cython.final
cdef class MessageReceived(WebSocketEvent):
    cdef public object data
    cdef public Py_ssize_t size


@cython.final
cdef class PingReceived(WebSocketEvent):
    cdef public bytes payload


@cython.final
cdef class PongReceived(WebSocketEvent):
    cdef public bytes payload


@cython.final
cdef class CloseReceived(WebSocketEvent):
    cdef public int code
    cdef public str reason


@cython.final
cdef class Failed(WebSocketEvent):
    cdef public int code
    cdef public str detail
