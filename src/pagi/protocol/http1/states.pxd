# The constants of states.py for the compiler.
cdef enum:
    READ_HEAD = 0
    READ_BODY = 1
    READ_DONE = 2
    READ_TUNNEL = 3
    READ_CLOSED = 4

cdef enum:
    WRITE_IDLE = 0
    WRITE_HEAD = 1
    WRITE_BODY = 2
    WRITE_TRAILERS = 3
    WRITE_DONE = 4
    WRITE_TUNNEL = 5
    WRITE_CLOSED = 6

cdef enum:
    CHUNKED = -1
