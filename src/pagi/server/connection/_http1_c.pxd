# cython: language_level=3
cdef class HTTP1Driver:
    cdef object __weakref__
    cdef object _client
    cdef object _client_text
    cdef object _clock
    cdef object _context
    cdef bint _draining_all
    cdef object _exchange
    cdef bint _flush_scheduled
    cdef double _head_since
    cdef double _idle_since
    cdef Py_ssize_t _inbound
    cdef double _linger_until
    cdef bint _lost
    cdef object _machine
    cdef bint _reading
    cdef object _reason
    cdef bint _served
    cdef object _server
    cdef Py_ssize_t _stream_id
    cdef object _transport
    cdef list _waiters
    cdef bint _walking
    cdef Py_ssize_t _write_mark
    cdef Py_ssize_t _write_moved
    cdef double _write_since
    cdef double _read_at
    cdef public bint writable

    cpdef data_received(self, data)
    cdef _walk(self, list events)
    cdef _handle(self, event)
    cdef _begin(self, event)
    cpdef _flush_now(self)
    cpdef write_head(self, status, fields, size, bint trailers)
    cpdef write_body(self, data, bint end)
    cpdef flush(self)
    cpdef response_complete(self)
