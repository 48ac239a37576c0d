cimport cython

cdef dict _KINDS, _names


@cython.locals(kind=object)
cpdef int classify(bytes name, bytes value) except -1


@cython.final
cdef class Head:
    cdef public bytes method
    cdef public bytes path
    cdef public bytes scheme
    cdef public bytes authority
    cdef public bytes protocol
    cdef public bytes host
    cdef public bytes length
    cdef public bytes expect
    cdef public bytes priority
    cdef public int hosts
    cdef public int cookies
    cdef public bint malformed
    cdef public Py_ssize_t size
    cdef public Py_ssize_t count
    cdef public list fields

    @cython.locals(name=bytes, value=bytes)
    cpdef take(self, tuple field, int kind)
    cdef _take_length(self, bytes value)
    @cython.locals(before=bytes)
    cdef _take_pseudo(self, bytes value, int kind)
    cpdef bint is_request(self)
    cpdef bint is_trailer_section(self)
