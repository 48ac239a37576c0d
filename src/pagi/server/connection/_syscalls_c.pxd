# cython: language_level=3
cpdef bytes take_bytes(bytearray buffer, Py_ssize_t size)
cpdef bytes receive(object sock, int descriptor, bytearray buffer)
cpdef Py_ssize_t transmit(object sock, int descriptor, bytes data) except -1
