# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Response heads at the speed of C; see the Python twin.

What is usual is done here, checks included. Whatever else comes, wrong or merely rare, is handed
to ``_fields_py``, which knows the words for it.
"""

from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.list cimport PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.string cimport memcpy

from pagi.protocol.http1.flags cimport HAS_DATE, HAS_SERVER
from pagi.protocol.http1.scan cimport end_of_value, fill_lower

from pagi.protocol.http1 import _fields_py
from pagi.protocol.http1.reasons import status_line

__all__ = ["assemble_head", "length_line", "serialize_head"]

cdef enum:
    MAX_FIELDS = 128

# LOWER maps a byte of a token to its lower case and all else to 0.
cdef unsigned char[256] LOWER
cdef object _serialize_slowly = _fields_py.serialize_head

fill_lower(LOWER)


cdef Py_ssize_t _check_name(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(size):
        if LOWER[text[index]] == 0:
            return 0
    return size


cdef inline bint _is(const unsigned char* text, const char* lower, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(size):
        if LOWER[text[index]] != <unsigned char>lower[index]:
            return False
    return True


cdef enum Special:
    NOTHING = 0
    DATE = 1
    SERVER = 2
    LENGTH = 3
    OTHER = 4


cdef inline Special _special(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    if size == 4:
        return DATE if _is(text, b"date", 4) else NOTHING
    if size == 6:
        return SERVER if _is(text, b"server", 6) else NOTHING
    if size == 14:
        return LENGTH if _is(text, b"content-length", 14) else NOTHING
    if size == 7:
        return OTHER if _is(text, b"upgrade", 7) else NOTHING
    if size == 10:
        if _is(text, b"connection", 10) or _is(text, b"keep-alive", 10):
            return OTHER
    elif size == 17:
        return OTHER if _is(text, b"transfer-encoding", 17) else NOTHING
    elif size == 16:
        return OTHER if _is(text, b"proxy-connection", 16) else NOTHING
    return NOTHING


cdef long long _number(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    cdef long long value = 0
    cdef Py_ssize_t index
    if size == 0 or size > 18:
        return -1
    for index in range(size):
        if text[index] < c"0" or text[index] > c"9":
            return -1
        value = value * 10 + (text[index] - c"0")
    return value


cpdef tuple serialize_head(int status, fields):
    """Turn response fields into lines; see the Python twin."""
    cdef Py_ssize_t total = 0
    cdef Py_ssize_t index, name_size, value_size
    cdef const unsigned char* name
    cdef const unsigned char* value
    cdef int flags = 0
    cdef long long length = -1
    cdef Special special
    cdef PyObject* pair
    cdef PyObject* part
    cdef unsigned char* out
    cdef bytes lines
    cdef Py_ssize_t count
    cdef unsigned char skipped[MAX_FIELDS]

    if not PyList_CheckExact(fields):
        return _serialize_slowly(status, fields)
    count = PyList_GET_SIZE(fields)
    if count > MAX_FIELDS:
        return _serialize_slowly(status, fields)
    for index in range(count):
        pair = PyList_GET_ITEM(fields, index)
        if not PyTuple_CheckExact(<object>pair) or PyTuple_GET_SIZE(<object>pair) != 2:
            return _serialize_slowly(status, fields)
        part = PyTuple_GET_ITEM(<object>pair, 0)
        if not PyBytes_CheckExact(<object>part):
            return _serialize_slowly(status, fields)
        name = <const unsigned char*>PyBytes_AS_STRING(<object>part)
        name_size = PyBytes_GET_SIZE(<object>part)
        part = PyTuple_GET_ITEM(<object>pair, 1)
        if not PyBytes_CheckExact(<object>part):
            return _serialize_slowly(status, fields)
        value = <const unsigned char*>PyBytes_AS_STRING(<object>part)
        value_size = PyBytes_GET_SIZE(<object>part)
        if (
            not _check_name(name, name_size)
            or end_of_value(value, value + value_size) != value + value_size
        ):
            return _serialize_slowly(status, fields)
        special = _special(name, name_size)
        skipped[index] = special == LENGTH
        if special == NOTHING:
            pass
        elif special == DATE:
            flags |= HAS_DATE
        elif special == SERVER:
            flags |= HAS_SERVER
        elif special == OTHER or length >= 0:
            return _serialize_slowly(status, fields)
        else:
            length = _number(value, value_size)
            if length < 0:
                return _serialize_slowly(status, fields)
            continue
        total += name_size + value_size + 4

    lines = PyBytes_FromStringAndSize(NULL, total)
    out = <unsigned char*>PyBytes_AS_STRING(lines)
    for index in range(count):
        if skipped[index]:
            continue
        pair = PyList_GET_ITEM(fields, index)
        out = _copy(out, PyTuple_GET_ITEM(<object>pair, 0))
        out[0] = c":"
        out[1] = c" "
        out = _copy(out + 2, PyTuple_GET_ITEM(<object>pair, 1))
        out[0] = c"\r"
        out[1] = c"\n"
        out += 2
    return lines, flags, length


cdef inline unsigned char* _copy(unsigned char* out, PyObject* part) noexcept:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(<object>part)
    memcpy(out, PyBytes_AS_STRING(<object>part), size)
    return out + size


cpdef bytes length_line(long long length):
    """Return the field line that declares a body of ``length`` bytes."""
    cdef unsigned char digits[20]
    cdef int first = 20
    cdef bytes line
    cdef unsigned char* out
    while True:
        first -= 1
        digits[first] = <unsigned char>(c"0" + length % 10)
        length //= 10
        if length == 0:
            break
    line = PyBytes_FromStringAndSize(NULL, 16 + 20 - first + 2)
    out = <unsigned char*>PyBytes_AS_STRING(line)
    memcpy(out, b"content-length: ", 16)
    memcpy(out + 16, digits + first, 20 - first)
    memcpy(out + 36 - first, b"\r\n", 2)
    return line


cdef list _status_lines = [None] * 1000


cpdef bytes assemble_head(int status, bytes lines, bytes wire, bytes framing, bytes body):
    """Put a response head together, with the beginning of a body behind its empty line."""
    cdef bytes line = <bytes>_status_lines[status]
    if line is None:
        line = status_line(status)
        _status_lines[status] = line
    return _assemble(line, lines, wire, framing, body)


cdef bytes _assemble(bytes line, bytes lines, bytes wire, bytes framing, bytes body):
    cdef bytes head = PyBytes_FromStringAndSize(
        NULL,
        PyBytes_GET_SIZE(line)
        + PyBytes_GET_SIZE(lines)
        + PyBytes_GET_SIZE(wire)
        + PyBytes_GET_SIZE(framing)
        + 2
        + PyBytes_GET_SIZE(body),
    )
    cdef unsigned char* out = <unsigned char*>PyBytes_AS_STRING(head)
    out = _copy(out, <PyObject*>line)
    out = _copy(out, <PyObject*>lines)
    out = _copy(out, <PyObject*>wire)
    out = _copy(out, <PyObject*>framing)
    out[0] = c"\r"
    out[1] = c"\n"
    _copy(out + 2, <PyObject*>body)
    return head
