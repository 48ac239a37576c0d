# cython: language_level=3
cdef class Stream:
    cdef public bint writable

    cpdef Py_ssize_t buffered_amount(self) except -1
    cpdef want_body(self)
    cpdef consumed(self, Py_ssize_t size)
    cpdef write_informational(self, int status, fields)
    cpdef write_head(self, int status, fields, size, bint trailers, long long at_least)
    cpdef write_response(self, int status, fields, bytes data)
    cpdef write_body(self, bytes data, bint end)
    cpdef write_trailers(self, fields)
    cpdef int switch(self, fields) except -1
    cpdef Py_ssize_t begin_file(self, int descriptor, long long offset, Py_ssize_t count) except -1
    cpdef flush(self)
    cpdef reset(self, reason)
    cpdef response_complete(self)
