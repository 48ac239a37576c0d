# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Small chunks at the speed of C; see the Python twin."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

__all__ = ["make_chunk", "take_chunks"]

cdef enum:
    MAX_DIGITS = 2


cdef inline int _digit(unsigned char byte) noexcept nogil:
    if c"0" <= byte <= c"9":
        return byte - c"0"
    byte |= 0x20
    if c"a" <= byte <= c"f":
        return byte - c"a" + 10
    return -1


cdef inline const unsigned char* _whole_chunk(
    const unsigned char* text, const unsigned char* stop, Py_ssize_t* size
) noexcept nogil:
    """Return where the data of a whole chunk begins, or NULL if none stands at ``text``."""
    cdef Py_ssize_t value = 0
    cdef int digits = 0
    cdef int digit
    # the NUL behind every bytes object is no digit
    while True:
        digit = _digit(text[0])
        if digit < 0:
            break
        digits += 1
        if digits > MAX_DIGITS:
            return NULL
        value = value * 16 + digit
        text += 1
    if value == 0 or stop - text < value + 4:
        return NULL
    if text[0] != c"\r" or text[1] != c"\n":
        return NULL
    text += 2
    if text[value] != c"\r" or text[value + 1] != c"\n":
        return NULL
    size[0] = value
    return text


cpdef Py_ssize_t take_chunks(
    bytes data, Py_ssize_t pos, long long room, list pieces
) except -1:
    """Take the small chunks that stand whole in ``data`` from ``pos`` on."""
    cdef const unsigned char* base = <const unsigned char*>PyBytes_AS_STRING(data)
    cdef const unsigned char* stop = base + PyBytes_GET_SIZE(data)
    cdef const unsigned char* text = base + pos
    cdef const unsigned char* begin
    cdef Py_ssize_t size = 0
    cdef Py_ssize_t total = 0
    cdef bytes piece
    cdef char* out
    while True:
        begin = _whole_chunk(text, stop, &size)
        if begin == NULL or total + size > room:
            break
        total += size
        text = begin + size + 2
    if total == 0:
        return pos
    stop = text
    text = base + pos
    piece = PyBytes_FromStringAndSize(NULL, total)
    out = PyBytes_AS_STRING(piece)
    while text < stop:
        begin = _whole_chunk(text, stop, &size)
        memcpy(out, begin, size)
        out += size
        text = begin + size + 2
    pieces.append(piece)
    return stop - base


cpdef bytes make_chunk(bytes data, bint last):
    """Return data as a chunk, which may be followed by the end of the body."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t digits = 1
    cdef Py_ssize_t rest = size >> 4
    cdef Py_ssize_t index
    cdef bytes chunk
    cdef char* out
    while rest:
        digits += 1
        rest >>= 4
    chunk = PyBytes_FromStringAndSize(NULL, digits + size + (9 if last else 4))
    out = PyBytes_AS_STRING(chunk)
    rest = size
    for index in range(digits - 1, -1, -1):
        out[index] = b"0123456789abcdef"[rest & 15]
        rest >>= 4
    out += digits
    memcpy(out, b"\r\n", 2)
    memcpy(out + 2, PyBytes_AS_STRING(data), size)
    out += 2 + size
    if last:
        memcpy(out, b"\r\n0\r\n\r\n", 7)
    else:
        memcpy(out, b"\r\n", 2)
    return chunk
