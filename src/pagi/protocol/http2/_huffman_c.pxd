cimport cython

cdef bytes _SHORT_SYMBOLS, _SHORT_LENGTHS
cdef dict _LONG

@cython.locals(
    text=bytearray, bits=cython.ulonglong, count=cython.int, position=Py_ssize_t,
    index=cython.int, length=cython.int, symbol=cython.int, padding=cython.ulonglong,
)
cpdef bytes decode_huffman(bytes data, Py_ssize_t start, Py_ssize_t stop)
@cython.locals(length=cython.int)
cdef tuple _long_code(unsigned long long bits, int count)
