# The constants of phases.py for the compiler.
cdef enum:
    HEAD = 0
    BODY = 1
    TRAILERS = 2
    TUNNEL = 3
    DONE = 4
    GONE = 5

cdef enum:
    UNBOUNDED = -1
