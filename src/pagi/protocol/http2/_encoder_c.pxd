cimport cython

cdef dict _STATIC, _STATIC_NAMES
cdef list _BYTES
cdef object _SECRET

cdef bytes _integer(int pattern, int prefix, long long value)


@cython.final
cdef class HeaderEncoder:
    cdef dict _index
    cdef object _entries
    cdef long long _count
    cdef Py_ssize_t _size
    cdef Py_ssize_t _table_size
    cdef set _seen
    cdef list _resized

    cpdef limit(self, long long size)
    @cython.locals(out=list, before=cython.longlong, number=cython.longlong)
    cpdef bytes encode(self, list fields)
    @cython.locals(name=bytes, value=bytes, number=cython.longlong, size=Py_ssize_t)
    cdef _put_literal(self, list out, tuple field)
    @cython.locals(seen=set)
    cdef bint _came_before(self, tuple field)
    cdef _remember(self, tuple field, Py_ssize_t size)
    @cython.locals(field=tuple)
    cdef _evict(self, Py_ssize_t size)
