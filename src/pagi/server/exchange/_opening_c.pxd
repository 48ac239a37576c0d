# cython: language_level=3
cimport cython

from pagi.server.exchange._regular_c cimport RegularFile


@cython.final
cdef class OpenFiles:
    cdef bint _closed
    cdef dict _kept
    cdef object _loop
    cdef object _timer

    @cython.locals(file=RegularFile)
    cpdef RegularFile take(self, path)
    cpdef give_back(self, RegularFile file)
    @cython.locals(file=RegularFile)
    cdef _forget(self, path)
