# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The common request heads at the speed of C.

Only what is usual and right is done here: a known method, a target in origin-form, HTTP/1.1,
fields without fault. Whatever else comes, wrong or merely rare, is handed to ``_head_py``, which
gives the verdict: the twins cannot disagree about an error, only about what is usual.

One pass over the bytes. Lines that browsers repeat are recognised as a whole, by comparison with
those seen before (the same ones as ``_head_py`` remembers, never a secret); of the others, names
are looked up in a table of common names, so that no object is made for them.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from pagi.protocol._events_c cimport RequestReceived
from pagi.protocol.http1.scan cimport end_of_value, fill_lower

from pagi.protocol.grammar import is_host
from pagi.protocol.http1 import _head_py

__all__ = ["assemble_head", "length_line", "parse_head", "serialize_head"]

cdef extern from "Python.h":
    PyObject* PyList_New(Py_ssize_t) except NULL
    void PyList_SET_ITEM(PyObject*, Py_ssize_t, PyObject*)
    PyObject* PyBytes_FromStringAndSizeRaw "PyBytes_FromStringAndSize" (
        const char*, Py_ssize_t) except NULL
    void Py_INCREF_RAW "Py_INCREF" (PyObject*)
    void Py_DECREF_RAW "Py_DECREF" (PyObject*)

# What a table entry or a field is to the machine.
cdef enum Kind:
    PLAIN = 0
    REPEATED = 1
    HOST = 2
    NOTED = 3

cdef enum:
    MAX_FIELDS = 128
    MAX_NAME = 64
    NAME_SLOTS = 512
    LINE_SETS = 128
    LINE_WAYS = 4
    MIN_LINE = 16
    MAX_LINE = 256

cdef struct Name:
    uint32_t hash
    int size
    Kind kind
    PyObject* name  # bytes, lower case

cdef struct Line:
    const unsigned char* text  # with its CRLF
    int size
    Kind kind
    PyObject* owner  # bytes that hold text
    PyObject* field

# LOWER maps a byte of a token to its lower case and all else to 0.
cdef unsigned char[256] LOWER
# What may stand in a target in origin-form.
cdef unsigned char[256] IN_TARGET
cdef Name[NAME_SLOTS] _names
cdef Line[LINE_SETS][LINE_WAYS] _lines
cdef unsigned char[LINE_SETS] _next_way

cdef object _METHODS = tuple(
    (name.encode() + b" ", name)
    for name in ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
)
cdef object _ROOT = b"/"
cdef object _EMPTY = b""
cdef object _VERSION = "1.1"
cdef object _parse_slowly = _head_py.parse_head


cdef inline uint32_t _hash_name(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    cdef uint32_t value = <uint32_t>size
    cdef Py_ssize_t index
    for index in range(size):
        value = value * 31 + text[index]
    return value ^ (value >> 15)


cdef void _add_name(bytes name, Kind kind) noexcept:
    cdef uint32_t value = _hash_name(<const unsigned char*>PyBytes_AS_STRING(name), len(name))
    cdef uint32_t slot = value % NAME_SLOTS
    while _names[slot].name != NULL:
        slot = (slot + 1) % NAME_SLOTS
    Py_INCREF(name)
    _names[slot] = Name(value, <int>len(name), kind, <PyObject*>name)


cdef void _set_up():
    cdef int byte
    fill_lower(LOWER)
    for byte in range(0x21, 0x7F):
        IN_TARGET[byte] = byte != 0x23  # "#"
    for name in _head_py.REPEATED_NAMES:
        _add_name(name, REPEATED)
    for name in _head_py.NOTED_NAMES:
        _add_name(name, NOTED)
    _add_name(b"host", HOST)
    for name in _head_py.OTHER_NAMES:
        _add_name(name, PLAIN)


memset(IN_TARGET, 0, sizeof(IN_TARGET))
memset(_names, 0, sizeof(_names))
memset(_lines, 0, sizeof(_lines))
memset(_next_way, 0, sizeof(_next_way))
_set_up()


cdef inline Name* _find_name(const unsigned char* text, Py_ssize_t size, uint32_t value) noexcept:
    cdef uint32_t slot = value % NAME_SLOTS
    cdef Name* entry
    while True:
        entry = &_names[slot]
        if entry.name == NULL:
            return NULL
        if entry.hash == value and entry.size == size and memcmp(
            PyBytes_AS_STRING(<object>entry.name), text, size
        ) == 0:
            return entry
        slot = (slot + 1) % NAME_SLOTS


cdef inline uint32_t _hash_line(const unsigned char* text) noexcept:
    # the first sixteen bytes tell the names apart and, for short values, some of the values
    cdef uint64_t first, second
    memcpy(&first, text, 8)
    memcpy(&second, text + 8, 8)
    first = (first ^ (second * <uint64_t>0x9E3779B97F4A7C15)) * <uint64_t>0xC2B2AE3D27D4EB4F
    return <uint32_t>(first >> 40) % LINE_SETS


cdef void _remember(
    const unsigned char* text, Py_ssize_t size, Kind kind, PyObject* field
):
    cdef uint32_t row = _hash_line(text)
    cdef unsigned char way = _next_way[row]
    cdef PyObject* owner = PyBytes_FromStringAndSizeRaw(<const char*>text, size)
    cdef Line old = _lines[row][way]
    Py_INCREF_RAW(field)
    _lines[row][way] = Line(
        <const unsigned char*>PyBytes_AS_STRING(<object>owner), <int>size, kind, owner, field
    )
    _next_way[row] = (way + 1) % LINE_WAYS
    Py_XDECREF(old.owner)
    Py_XDECREF(old.field)


cdef struct Scan:
    const unsigned char* text
    const unsigned char* stop
    PyObject** fields
    int count
    int hosts
    int cookies


cdef inline bint _take_remembered(Scan* scan) noexcept:
    """Take the next line if it is one seen before."""
    cdef const unsigned char* text = scan.text
    cdef Line* line
    cdef int way
    if scan.stop - text < MIN_LINE:
        return False
    line = &_lines[_hash_line(text)][0]
    for way in range(LINE_WAYS):
        if (
            line.size
            and scan.stop - text > line.size
            and memcmp(text, line.text, line.size) == 0
        ):
            Py_INCREF_RAW(line.field)
            scan.fields[scan.count] = line.field
            scan.count += 1
            scan.hosts += line.kind == HOST
            scan.text = text + line.size
            return True
        line += 1
    return False


cdef int _take_line(Scan* scan, dict notes) except -1:
    """Take the next line apart; 0 if it is not for us to judge."""
    cdef unsigned char lower[MAX_NAME]
    cdef const unsigned char* text = scan.text
    cdef const unsigned char* stop = scan.stop
    cdef const unsigned char* begin
    cdef const unsigned char* end
    cdef Py_ssize_t size = 0
    cdef unsigned char byte
    cdef Kind kind = PLAIN
    cdef Name* entry
    cdef object name
    cdef bytes value
    cdef object field

    # the NUL behind every bytes object is not in LOWER: no need to compare with stop
    while True:
        byte = LOWER[text[size]]
        if byte == 0:
            break
        if size == MAX_NAME:
            return 0
        lower[size] = byte
        size += 1
    if size == 0 or text[size] != c":":
        return 0
    begin = text + size + 1
    while begin[0] == c" " or begin[0] == c"\t":
        begin += 1
    end = end_of_value(begin, stop)
    if stop - end < 2 or end[0] != c"\r" or end[1] != c"\n":
        return 0
    scan.text = end + 2
    while end > begin and ((end - 1)[0] == c" " or (end - 1)[0] == c"\t"):
        end -= 1

    entry = _find_name(lower, size, _hash_name(lower, size))
    if entry != NULL:
        name = <object>entry.name
        kind = entry.kind
    else:
        name = PyBytes_FromStringAndSize(<char*>lower, size)
    value = PyBytes_FromStringAndSize(<char*>begin, end - begin)
    field = (name, value)
    if kind == NOTED:
        if size == 10 and value == b"keep-alive" and lower[1] == c"o":
            kind = REPEATED  # "connection: keep-alive" says nothing in HTTP/1.1
        elif size == 6 and lower[0] == c"c":
            scan.cookies += 1  # only a second cookie field is worth a note: they are joined
            if scan.cookies > 1:
                return 0
        else:
            notes.setdefault(name, []).append(value)
    elif kind == HOST:
        if not is_host(value):
            return 0
        scan.hosts += 1
    if (kind == REPEATED or kind == HOST) and MIN_LINE <= scan.text - text <= MAX_LINE:
        _remember(text, scan.text - text, kind, <PyObject*>field)
    Py_INCREF(field)
    scan.fields[scan.count] = <PyObject*>field
    scan.count += 1
    return 1


cdef int _take_fields(Scan* scan, Py_ssize_t max_count, dict notes) except -1:
    """Take all lines up to the empty one; 0 if the head is not for us to judge."""
    while True:
        if scan.stop - scan.text < 2:
            return 0
        if scan.text[0] == c"\r":
            if scan.text[1] != c"\n":
                return 0
            scan.text += 2
            return 1
        if scan.count == MAX_FIELDS or scan.count >= max_count:
            return 0
        if not _take_remembered(scan) and not _take_line(scan, notes):
            return 0


cdef inline const unsigned char* _take_method(
    const unsigned char* text, const unsigned char* stop, PyObject** method
):
    """Return where the target begins, or NULL; all methods have room before ``stop``."""
    cdef Py_ssize_t size
    if stop - text < MIN_LINE:
        return NULL
    for prefix, name in <tuple>_METHODS:
        size = PyBytes_GET_SIZE(prefix)
        if memcmp(text, PyBytes_AS_STRING(prefix), size) == 0:
            method[0] = <PyObject*>name
            return text + size
    return NULL


cdef list _as_list(Scan* scan):
    """Make the list of the fields, which passes their references on to it."""
    cdef list fields = <list>PyList_New(scan.count)
    cdef int index
    Py_DECREF_RAW(<PyObject*>fields)
    for index in range(scan.count):
        PyList_SET_ITEM(<PyObject*>fields, index, scan.fields[index])
    scan.count = 0
    return fields


cdef void _drop(Scan* scan):
    cdef int index
    for index in range(scan.count):
        Py_DECREF_RAW(scan.fields[index])
    scan.count = 0


cdef RequestReceived _parse(Scan* scan, Py_ssize_t max_target_size, Py_ssize_t max_count, dict notes):
    """Parse what is usual, and return None for the rest."""
    cdef const unsigned char* target
    cdef const unsigned char* query
    cdef const unsigned char* text
    cdef PyObject* method = NULL
    cdef RequestReceived event
    cdef bint ok = False

    target = text = _take_method(scan.text, scan.stop, &method)
    if target == NULL or target[0] != c"/":
        return None
    # the NUL behind every bytes object is not in IN_TARGET
    while IN_TARGET[text[0]] and text[0] != c"?":
        text += 1
    query = text
    while IN_TARGET[text[0]]:
        text += 1
    if (
        text - target > max_target_size
        or scan.stop - text < 13
        or memcmp(text, b" HTTP/1.1\r\n", 11) != 0
    ):
        return None
    scan.text = text + 11
    try:
        ok = _take_fields(scan, max_count, notes) and scan.hosts == 1
        if not ok:
            return None
        event = RequestReceived.__new__(RequestReceived)
        event.method = <str>method
        if query - target == 1:
            event.raw_path = _ROOT
        else:
            event.raw_path = PyBytes_FromStringAndSize(<char*>target, query - target)
        if text - query <= 1:
            event.query_string = _EMPTY
        else:
            event.query_string = PyBytes_FromStringAndSize(<char*>query + 1, text - query - 1)
        event.fields = _as_list(scan)
        event.http_version = _VERSION
        event.end = True
        return event
    finally:
        _drop(scan)


cpdef tuple parse_head(
    bytes data,
    Py_ssize_t start,
    Py_ssize_t stream_id,
    Py_ssize_t max_head_size,
    Py_ssize_t max_target_size,
    Py_ssize_t max_header_count,
):
    """Parse a request head; see the Python twin."""
    cdef PyObject* fields[MAX_FIELDS]
    cdef const unsigned char* base = <const unsigned char*>PyBytes_AS_STRING(data)
    cdef Scan scan
    cdef RequestReceived event
    cdef dict notes = {}
    cdef Py_ssize_t end
    scan.text = base + start
    scan.stop = base + PyBytes_GET_SIZE(data)
    scan.fields = fields
    scan.count = scan.hosts = scan.cookies = 0
    event = _parse(&scan, max_target_size, max_header_count, notes)
    end = scan.text - base
    if event is None or end - start > max_head_size:
        return _parse_slowly(
            data, start, stream_id, max_head_size, max_target_size, max_header_count
        )
    event.stream_id = stream_id
    return event, end, notes or None
