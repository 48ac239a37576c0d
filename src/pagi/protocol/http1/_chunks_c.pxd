cpdef Py_ssize_t take_chunks(bytes data, Py_ssize_t pos, long long room, list pieces) except -1
cpdef bytes make_chunk(bytes data, bint last)
