# cython: language_level=3
cpdef bytes frame_head(int first, Py_ssize_t size)
cpdef bytes frame(int first, bytes payload)
cpdef bytes ascii_frame(int first, str text)
