# The constants of flags.py for the compiler.
cdef enum:
    HAS_DATE = 1
    HAS_SERVER = 2
    HAS_UPGRADE = 4
    WANTS_CLOSE = 8
