# cython: language_level=3
cimport cython

from pagi.protocol.websocket._frames_c cimport ascii_frame, frame, frame_head
from pagi.protocol.websocket.opcodes cimport FIN, OP_BINARY, OP_CLOSE, OP_PING, OP_PONG, OP_TEXT, RSV1


cdef class MessageSender:
    cdef public bint close_sent
    cdef public bint compress_default
    cdef object _deflater
    cdef Py_ssize_t _deflate_min_size
    cdef bytes _farewell
    cdef list _out
    cdef Py_ssize_t _out_size

    @cython.locals(whole=bytes)
    cpdef send_text(self, str text, compress=*)
    cpdef send_bytes(self, bytes data, compress=*)
    cdef Py_ssize_t _always_plain(self, compress) except -1
    @cython.locals(size=Py_ssize_t)
    cdef _send_message(self, int first, bytes data, compress)
    cpdef send_ping(self, bytes payload=*)
    cpdef send_pong(self, bytes payload)
    cpdef hold_close(self)
    cpdef release_close(self)
    cdef _write_close(self, bytes payload)
    cdef _queue(self, bytes data)
    cpdef Py_ssize_t buffered(self)
    cpdef list data_to_send(self)


cdef list _joined(list pieces)
