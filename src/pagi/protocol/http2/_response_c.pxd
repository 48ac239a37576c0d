cimport cython


cdef dict _known, _names, _statuses, _lengths


@cython.locals(field=tuple)
cdef tuple status_field(int status)
@cython.locals(field=tuple)
cpdef tuple length_field(long long length)
@cython.locals(out=list, length=cython.longlong, found=cython.int, kind=cython.int, name=bytes, value=bytes, lower=bytes)
cpdef tuple response_fields(int status, fields, defaults)
cdef _remember(tuple field, known)
@cython.locals(found=tuple)
cdef tuple _name(bytes name)
cpdef list informational_fields(int status, fields)
cpdef list trailer_fields(fields)
