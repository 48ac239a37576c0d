# cython: language_level=3
cimport cython

@cython.locals(lines=str)
cpdef bytes encode_event(data=*, event=*, id=*, retry=*)
cpdef bytes encode_comment(comment)
cdef _check_text(name, value)
cdef _check_line(name, value)
cdef bytes _as_utf8(str text)
