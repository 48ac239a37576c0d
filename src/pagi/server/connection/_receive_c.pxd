# cython: language_level=3
cpdef bytes take_bytes(bytearray buffer, Py_ssize_t size)
