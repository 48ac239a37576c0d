# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The payload of a message on its way in, at the speed of C; see the Python twin.

The bytes are collected in a ``bytes`` object that grows and that nobody else knows of. In the end
it is the message: nothing is copied for that.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from pagi.protocol.websocket._masking_c cimport mask_at, xor_into

cdef extern from "Python.h":
    PyObject* new_bytes "PyBytes_FromStringAndSize"(
        const char* text, Py_ssize_t size
    ) except NULL
    char* text_of "PyBytes_AS_STRING"(PyObject* data) nogil
    int _PyBytes_Resize(PyObject** data, Py_ssize_t size) except -1
    str PyUnicode_New(Py_ssize_t size, Py_UCS4 largest)
    void* PyUnicode_DATA(object text)

__all__ = ["Payload", "read_text"]

cdef enum:
    LEAST_ROOM = 64
cdef uint64_t NOT_ASCII = <uint64_t>0x8080808080808080


cpdef str read_text(bytes data, Py_ssize_t start, Py_ssize_t end):
    """Return a masked text that stands whole in ``data``, its mask before it."""
    cdef const unsigned char* text = <const unsigned char*>PyBytes_AS_STRING(data) + start
    cdef Py_ssize_t size = end - start
    cdef str out
    if size == 0:
        return ""
    # Most texts are ASCII: unmasked in place they are what Python keeps of them.
    out = PyUnicode_New(size, 127)
    if xor_into(<unsigned char*>PyUnicode_DATA(out), text, size, mask_at(text - 4, 0)) & NOT_ASCII:
        try:
            return PyUnicode_DecodeUTF8(<const char*>PyUnicode_DATA(out), size, NULL)
        except UnicodeDecodeError:
            return None
    return out


cdef class Payload:
    """What has come of one message."""

    def __cinit__(self, bint text):
        self._text = text

    def __dealloc__(self):
        Py_XDECREF(self._data)

    cdef unsigned char* _reserve(self, Py_ssize_t more, Py_ssize_t expected) except NULL:
        """Make room for ``more`` bytes and return where they go."""
        cdef Py_ssize_t needed = self.size + more
        cdef Py_ssize_t room
        if self._data == NULL or needed > self._room:
            # The first piece may be the only one.
            room = 2 * needed if self.size else needed
            if needed <= expected < 2 * needed:
                room = expected
            elif room < LEAST_ROOM:
                room = LEAST_ROOM
            self._room = 0
            if self._data == NULL:
                self._data = new_bytes(NULL, room)
            else:
                _PyBytes_Resize(&self._data, room)
            self._room = room
        return <unsigned char*>text_of(self._data) + self.size

    cdef bint _is_text(self, const unsigned char* text, Py_ssize_t size) noexcept nogil:
        """Tell whether the text goes on in UTF-8 (RFC 3629 §4); remember where it stands."""
        cdef const unsigned char* stop = text + size
        cdef uint64_t word
        cdef unsigned char byte
        while text < stop:
            if self._needs:
                if text[0] < self._low or text[0] > self._high:
                    return False
                self._needs -= 1
                self._low, self._high = 0x80, 0xBF
                text += 1
                continue
            while stop - text >= 8:
                memcpy(&word, text, 8)
                if word & NOT_ASCII:
                    break
                text += 8
            if text == stop:
                break
            byte = text[0]
            text += 1
            if byte < 0x80:
                continue
            self._low, self._high = 0x80, 0xBF
            if 0xC2 <= byte <= 0xDF:
                self._needs = 1
            elif 0xE0 <= byte <= 0xEF:
                self._needs = 2
                if byte == 0xE0:
                    self._low = 0xA0  # shorter forms exist
                elif byte == 0xED:
                    self._high = 0x9F  # surrogates
            elif 0xF0 <= byte <= 0xF4:
                self._needs = 3
                if byte == 0xF0:
                    self._low = 0x90  # shorter forms exist
                elif byte == 0xF4:
                    self._high = 0x8F  # beyond U+10FFFF
            else:
                return False
        return True

    cpdef bint add(self, bytes data) except -1:
        """Append ``data``; tell whether the text, if it is one, is UTF-8 so far."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef unsigned char* out = self._reserve(size, 0)
        memcpy(out, PyBytes_AS_STRING(data), size)
        self.size += size
        return not self._text or self._is_text(out, size)

    cpdef bint add_masked(
        self, bytes data, Py_ssize_t start, Py_ssize_t end, bytes mask, Py_ssize_t phase,
        Py_ssize_t expected
    ) except -1:
        """Append ``data`` from ``start`` to ``end`` without its mask; see `add`."""
        cdef Py_ssize_t size = end - start
        cdef unsigned char* out = self._reserve(size, expected)
        cdef uint64_t seen = xor_into(
            out,
            <const unsigned char*>PyBytes_AS_STRING(data) + start,
            size,
            mask_at(<const unsigned char*>PyBytes_AS_STRING(mask), phase),
        )
        self.size += size
        if not self._text or (not self._needs and not seen & NOT_ASCII):
            return True
        return self._is_text(out, size)

    cpdef object finish(self):
        """Return the message; ``None`` for a text that ends within a character."""
        cdef object out
        if self._text:
            if self._needs:
                return None
            if self.size == 0:
                return ""
            return PyUnicode_DecodeUTF8(text_of(self._data), self.size, NULL)
        if self.size == 0:
            return b""
        self._room = 0
        _PyBytes_Resize(&self._data, self.size)
        out = <object>self._data
        Py_XDECREF(self._data)
        self._data = NULL
        return out
