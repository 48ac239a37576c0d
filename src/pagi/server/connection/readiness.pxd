# The constants of readiness.py for the compiler.
cdef enum:
    READABLE = 1
    WRITABLE = 4
    TROUBLE = 24
