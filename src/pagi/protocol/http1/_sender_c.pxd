cimport cython

from pagi.protocol._events_c cimport RequestReceived
from pagi.protocol.http1.flags cimport HAS_DATE, HAS_SERVER, HAS_UPGRADE, WANTS_CLOSE
from pagi.protocol.http1._chunks_c cimport make_chunk
from pagi.protocol.http1._fields_c cimport assemble_head, length_line, serialize_head
from pagi.protocol.http1.states cimport (
    WRITE_BODY,
    WRITE_CLOSED,
    WRITE_DONE,
    WRITE_HEAD,
    WRITE_IDLE,
    WRITE_TRAILERS,
    WRITE_TUNNEL,
)

cdef int _UNBOUNDED


cdef class ResponseSender:
    cdef public int write_state
    cdef public bint finished
    cdef public bint keep_alive
    cdef public bint continue_expected
    cdef bint _closing
    cdef bint _chunked_body
    cdef bint _swallow
    cdef bint _trailers
    cdef object _defaults
    cdef Py_ssize_t _stream_id
    cdef RequestReceived _request
    cdef list _out
    cdef Py_ssize_t _out_size
    cdef long long _to_send

    cpdef send_informational(self, Py_ssize_t stream_id, int status, object fields)
    cdef RequestReceived _expect_head(self, Py_ssize_t stream_id)
    cpdef send_head(
        self, Py_ssize_t stream_id, int status, object fields, size=*, bint trailers=*,
        long long at_least=*
    )
    cpdef send_response(self, Py_ssize_t stream_id, int status, object fields, bytes data)
    @cython.locals(
        request=RequestReceived, flags=cython.int, length=cython.longlong, lines=bytes,
        framing=bytes, wire=bytes,
    )
    cdef bytes _make_head(
        self, Py_ssize_t stream_id, int status, fields, long long size, bint trailers, bytes body
    )
    @cython.locals(known=cython.longlong, method=str)
    cdef bytes _choose_framing(
        self, RequestReceived request, int status, long long length, long long size, bint trailers
    )
    cdef bytes _unknown_length(self, RequestReceived request)
    cpdef send_body(self, Py_ssize_t stream_id, bytes data, bint end=*)
    cdef _end_body(self)
    cdef _check_count(self, long long size)
    cdef _count(self, Py_ssize_t size)
    cdef _send_chunk(self, bytes data, bint last)
    cdef _send_bytes(self, bytes data, bint end)
    cpdef bint is_body_raw(self)
    cpdef expect_body(self, Py_ssize_t stream_id, long long size)
    cpdef account_body(self, Py_ssize_t stream_id, Py_ssize_t size)
    cpdef send_trailers(self, Py_ssize_t stream_id, object fields)
    cpdef consumed(self, Py_ssize_t stream_id, Py_ssize_t size)
    cdef _queue(self, bytes data)
    cpdef Py_ssize_t buffered(self, Py_ssize_t stream_id)
    cpdef list data_to_send(self)
    cdef _end_response(self)
    cdef _shut(self)


cdef list _coalesced(list pieces)
