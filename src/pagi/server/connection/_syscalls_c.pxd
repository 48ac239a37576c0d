# cython: language_level=3
cpdef bytes take_bytes(bytearray buffer, Py_ssize_t size)
cpdef bytes receive(object sock, int descriptor, bytearray buffer)
cpdef Py_ssize_t transmit(object sock, int descriptor, bytes data, bint more) except -1
cpdef Py_ssize_t transmit_pieces(object sock, int descriptor, list pieces) except -1
cpdef bint is_cached(int descriptor, long long offset, Py_ssize_t count)
cpdef Py_ssize_t move_file(int out, int descriptor, long long offset, Py_ssize_t count)
