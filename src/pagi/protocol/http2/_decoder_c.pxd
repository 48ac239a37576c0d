cimport cython

from pagi.protocol.http2._head_c cimport Head, classify
from pagi.protocol.http2._huffman_c cimport decode_huffman

cdef int _STATIC
cdef list _STATIC_FIELDS, _STATIC_KINDS
cdef tuple _GONE


@cython.final
cdef class HeaderDecoder:
    cdef Py_ssize_t _max_size
    cdef Py_ssize_t _max_count
    cdef list _fields
    cdef list _kinds
    cdef Py_ssize_t _start
    cdef Py_ssize_t _size
    cdef Py_ssize_t _table_size
    cdef Py_ssize_t _position

    @cython.locals(head=Head, size=Py_ssize_t, byte=cython.int, begun=cython.bint)
    cpdef Head decode(self, bytes data)
    @cython.locals(place=Py_ssize_t)
    cdef _take_indexed(self, Head head, long long index)
    @cython.locals(place=Py_ssize_t)
    cdef Py_ssize_t _place(self, long long index) except -1
    @cython.locals(name=bytes, value=bytes, field=tuple, kind=cython.int)
    cdef _take_literal(self, Head head, bytes data, long long index, bint remember)
    @cython.locals(
        position=Py_ssize_t, limit=cython.int, value=Py_ssize_t, size=Py_ssize_t,
        shift=cython.int, byte=cython.int,
    )
    cdef Py_ssize_t _integer(self, bytes data, int prefix) except -1
    @cython.locals(packed=cython.int, length=Py_ssize_t, start=Py_ssize_t, stop=Py_ssize_t)
    cdef bytes _text(self, bytes data)
    @cython.locals(size=Py_ssize_t)
    cdef _remember(self, tuple field, int kind)
    cdef _resize(self, Py_ssize_t size)
    @cython.locals(name=bytes, value=bytes)
    cdef _evict(self, Py_ssize_t size)
