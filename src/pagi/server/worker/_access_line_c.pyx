# cython: language_level=3
"""The function that makes access-log lines of a format: compiled twin.

A line is put together in a buffer; what is not printable ASCII is escaped on the way.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memcmp, memcpy

from pagi.server.worker.access_pieces import escape

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    const void *PyUnicode_DATA(object text)

__all__ = ["make_render"]

cdef enum Kind:
    TEXT
    FIELD
    CLIENT
    TIME
    METHOD
    VERSION
    PATH
    QUERY
    TARGET
    STATUS
    BODY
    SENT
    SECONDS3
    US
    MS
    S
    REASON

_KINDS = {
    "text": TEXT,
    "field": FIELD,
    "client": CLIENT,
    "time": TIME,
    "method": METHOD,
    "version": VERSION,
    "path": PATH,
    "query": QUERY,
    "target": TARGET,
    "status": STATUS,
    "body": BODY,
    "sent": SENT,
    "seconds3": SECONDS3,
    "us": US,
    "ms": MS,
    "s": S,
    "reason": REASON,
}

cdef const char *HEX = b"0123456789abcdef"


cdef struct Step:
    int kind
    Py_ssize_t size
    const char *text


cdef class Line:
    """Makes lines."""

    cdef list _texts
    cdef Step *_steps
    cdef int _count
    cdef object _clock
    cdef char *_buffer
    cdef Py_ssize_t _room
    cdef Py_ssize_t _size

    def __cinit__(self, list pieces, clock):
        """Take pairs of a kind and a text."""
        cdef int number
        self._buffer = NULL
        self._room = self._size = 0
        self._clock = clock
        self._texts = [text for _, text in pieces]
        self._count = len(pieces)
        self._steps = <Step *>PyMem_Calloc(self._count, sizeof(Step))
        if self._steps == NULL:
            raise MemoryError
        for number, (kind, text) in enumerate(pieces):
            self._steps[number].kind = kind
            self._steps[number].text = PyBytes_AS_STRING(<bytes>text)
            self._steps[number].size = PyBytes_GET_SIZE(<bytes>text)

    def __dealloc__(self):
        PyMem_Free(self._steps)
        PyMem_Free(self._buffer)

    def render(self, client, scope, status, long long sent, double duration, reason):
        """Make the line of a request; like the function of the Python twin."""
        cdef Step *step = self._steps
        cdef Step *end = step + self._count
        self._size = 0
        while step < end:
            if step.kind == TEXT:
                self._add(step.text, step.size)
            elif step.kind < PATH:
                self._add_words(step, client, scope)
            elif step.kind <= TARGET:
                self._add_target(step.kind, scope)
            else:
                self._add_figures(step.kind, status, sent, duration, reason)
            step += 1
        return PyUnicode_DecodeUTF8(self._buffer, self._size, b"surrogatepass")

    cdef int _add_words(self, const Step *step, client, scope) except -1:
        cdef int kind = step.kind
        if kind == CLIENT:
            self._add_text(client)
        elif kind == TIME:
            self._add_text(self._clock.text)
        elif kind == METHOD:
            self._add_text(scope["method"])
        elif kind == VERSION:
            self._add_text(scope["http_version"])
        else:
            self._add_field(step, scope["headers"])
        return 0

    cdef int _add_target(self, int kind, scope) except -1:
        if kind != QUERY:
            self._add_escaped(scope["raw_path"])
        if kind != PATH:
            query = scope["query_string"]
            if query:
                self._add(b"?", 1)
                self._add_escaped(query)
        return 0

    cdef int _add_figures(
        self, int kind, status, long long sent, double duration, reason
    ) except -1:
        cdef long long figure
        if kind == STATUS:
            if status:
                self._add_number(status)
            else:
                self._add(b"-", 1)
        elif kind == BODY and not sent:
            self._add(b"-", 1)
        elif kind == BODY or kind == SENT:
            self._add_number(sent)
        elif kind == S:
            self._add_number(<long long>duration)
        elif kind == REASON:
            self._add_text(reason or "-")
        elif kind == SECONDS3:
            figure = <long long>(duration * 1000 + 0.5)
            if 0 <= figure < 1000:
                self._add(b"0.", 2)
                self._add_digits(figure)
            else:
                self._add_text(format(duration, ".3f"))
        else:
            figure = <long long>(duration * 1000000 + 0.5)
            if kind == US:
                self._add_number(figure)
            else:
                self._add_number(figure // 1000)
                self._add(b".", 1)
                self._add_digits(figure % 1000)
        return 0

    cdef int _add_field(self, const Step *step, fields) except -1:
        """Add the value of a request header; the last if there are several."""
        value = None
        for name, text in fields:
            if (
                type(name) is bytes
                and PyBytes_GET_SIZE(name) == step.size
                and memcmp(PyBytes_AS_STRING(name), step.text, step.size) == 0
            ):
                value = text
        if value is None:
            self._add(b"-", 1)
        else:
            self._add_escaped(value)
        return 0

    cdef int _add_text(self, text) except -1:
        cdef const unsigned char *start
        cdef Py_ssize_t size, index
        if not isinstance(text, str):
            raise TypeError(f"not a text: {text!r}")
        if PyUnicode_IS_COMPACT_ASCII(text):
            start = <const unsigned char *>PyUnicode_DATA(text)
            size = PyUnicode_GET_LENGTH(text)
            for index in range(size):
                if not is_clean(start[index]):
                    break
            else:
                if size:
                    return self._add(<const char *>start, size)
        text = escape(text) or "-"
        return self._add(<const char *>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))

    cdef int _add_escaped(self, value) except -1:
        cdef bytes raw = value if type(value) is bytes else bytes(memoryview(value))
        cdef const unsigned char *start = <const unsigned char *>PyBytes_AS_STRING(raw)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(raw)
        cdef Py_ssize_t index
        cdef char *end
        self._need(4 * size)
        end = self._buffer + self._size
        for index in range(size):
            if is_clean(start[index]):
                end[0] = start[index]
                end += 1
            else:
                end[0] = b"\\"
                end[1] = b"x"
                end[2] = HEX[start[index] >> 4]
                end[3] = HEX[start[index] & 15]
                end += 4
        self._size = end - self._buffer
        return 0

    cdef int _add_number(self, long long number) except -1:
        cdef char digits[20]
        cdef int at = 20
        cdef long long left = number
        if number < 0:
            return self._add_text(str(number))
        while True:
            at -= 1
            digits[at] = <char>(48 + left % 10)
            left //= 10
            if not left:
                break
        return self._add(digits + at, 20 - at)

    cdef int _add_digits(self, long long number) except -1:
        """Add three digits."""
        cdef char digits[3]
        digits[0] = <char>(48 + number // 100)
        digits[1] = <char>(48 + number // 10 % 10)
        digits[2] = <char>(48 + number % 10)
        return self._add(digits, 3)

    cdef int _add(self, const char *start, Py_ssize_t size) except -1:
        self._need(size)
        memcpy(self._buffer + self._size, start, size)
        self._size += size
        return 0

    cdef int _need(self, Py_ssize_t size) except -1:
        cdef Py_ssize_t room = self._size + size
        cdef char *buffer
        if room > self._room:
            room += room // 2 + 256
            buffer = <char *>PyMem_Realloc(self._buffer, room)
            if buffer == NULL:
                raise MemoryError
            self._buffer = buffer
            self._room = room
        return 0


cdef inline bint is_clean(unsigned char byte) noexcept:
    return 0x20 <= byte < 0x7F and byte != c'"' and byte != c"\\"


def make_render(pieces, clock):
    """Make the function for requests that were given to the application."""
    cdef list found = []
    for piece in pieces:
        text = str(os.getpid()) if piece.kind == "pid" else piece.text
        kind = "text" if piece.kind == "pid" else piece.kind
        found.append((_KINDS[kind], text.encode("utf-8", "surrogatepass")))
    return Line(found, clock).render
