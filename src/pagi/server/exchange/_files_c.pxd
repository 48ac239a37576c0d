# cython: language_level=3
cimport cython

from pagi.server.exchange._opening_c cimport OpenFiles
from pagi.server.exchange._regular_c cimport RegularFile


@cython.final
cdef class FileBody:
    cdef object _handle
    cdef object _limit
    cdef RegularFile _opened
    cdef OpenFiles _files
    cdef bint _positioned
    cdef public object descriptor
    cdef public long long offset
    cdef public object size

    cpdef advance(self, long long count)
    cpdef close(self)


cpdef FileBody open_body(OpenFiles files, source, offset, length)
@cython.locals(file=RegularFile, body=FileBody)
cdef FileBody _open_path(OpenFiles files, path, offset, length)
