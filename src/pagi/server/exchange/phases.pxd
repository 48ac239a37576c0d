# The constants of phases.py for the compiler.
cdef enum:
    IDLE = 0
    STARTED = 1
    BODY = 2
    TRAILERS = 3
    COMPLETE = 4
