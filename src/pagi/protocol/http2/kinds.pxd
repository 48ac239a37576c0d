# The constants of kinds.py for the compiler.
cdef enum:
    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9
    PRIORITY_UPDATE = 16

cdef enum:
    END_STREAM = 1
    ACK = 1
    END_HEADERS = 4
    PADDED = 8
    HAS_PRIORITY = 32
