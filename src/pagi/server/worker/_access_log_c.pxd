# cython: language_level=3
cimport cython


@cython.final
cdef class AccessLog:
    cdef object _clock
    cdef list _lines
    cdef object _render
    cdef object _render_rejected
    cdef object _schedule
    cdef object _sink
    cdef Py_ssize_t _size

    @cython.locals(line=str, lines=list, size=Py_ssize_t)
    cpdef log(self, client, scope, status, sent, duration, reason)
    cdef _begin(self, str line)
    cpdef flush(self)
