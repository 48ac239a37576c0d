# cython: language_level=3
cimport cython
from cpython.object cimport PyObject

cpdef str read_text(bytes data, Py_ssize_t start, Py_ssize_t end)


@cython.final
cdef class Payload:
    cdef readonly Py_ssize_t size
    cdef bint _text
    cdef PyObject* _data  # bytes that nobody else knows, longer than size
    cdef Py_ssize_t _room
    # A character that is not whole: how many bytes it needs, and what the next of them may be.
    cdef int _needs
    cdef unsigned char _low
    cdef unsigned char _high

    cdef unsigned char* _reserve(self, Py_ssize_t more, Py_ssize_t expected) except NULL
    cdef bint _is_text(self, const unsigned char* text, Py_ssize_t size) noexcept nogil
    cpdef bint add(self, bytes data) except -1
    cpdef bint add_masked(
        self, bytes data, Py_ssize_t start, Py_ssize_t end, bytes mask, Py_ssize_t phase,
        Py_ssize_t expected
    ) except -1
    cpdef object finish(self)
