cimport cython


cdef class Event:
    cdef public Py_ssize_t stream_id


@cython.final
cdef class RequestReceived(Event):
    cdef public str method
    cdef public bytes raw_path
    cdef public bytes query_string
    cdef public list fields
    cdef public str http_version
    cdef public bint end
    cdef public object content_length
    cdef public bint expect_continue
    cdef public bytes upgrade
    cdef public str scheme
    cdef public bytes authority


@cython.final
cdef class BodyReceived(Event):
    cdef public bytes data


@cython.final
cdef class MessageComplete(Event):
    cdef public list trailers


@cython.final
cdef class BytesReceived(Event):
    cdef public bytes data


@cython.final
cdef class StreamReset(Event):
    cdef public str reason
    cdef public str detail
    cdef public int status


@cython.final
cdef class ConnectionFailed(Event):
    cdef public str reason
    cdef public int status
    cdef public str detail


@cython.final
cdef class ConnectionEnded(Event):
    pass
