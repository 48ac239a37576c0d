cimport cython


cpdef tuple status_field(int status)
@cython.locals(out=list, length=cython.longlong, found=cython.int, kind=cython.int, name=bytes, value=bytes, lower=bytes)
cpdef tuple response_fields(int status, fields, defaults)
cdef _remember(tuple field, tuple known)
cdef tuple _name(bytes name)
cpdef list informational_fields(int status, fields)
cpdef list trailer_fields(fields)
