# The constants of opcodes.py for the compiler.
cdef enum:
    CONTINUATION = 0
    OP_TEXT = 1
    OP_BINARY = 2
    OP_CONTROL = 8
    OP_CLOSE = 8
    OP_PING = 9
    OP_PONG = 10

cdef enum:
    FIN = 0x80
    RSV1 = 0x40
    RSV2_RSV3 = 0x30
