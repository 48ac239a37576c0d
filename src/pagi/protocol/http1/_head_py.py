"""Request heads from bytes: the loops that every byte of a request head runs through.

The end of the head is looked for first, then the head is split; nothing is parsed of a head that
is not complete. Errors therefore do not depend on how the peer cut its bytes into packets, and
`check_prefix` says which one an incomplete or faulty head deserves.

Browsers repeat themselves: lines of fields that carry neither secrets nor framing are remembered,
validated and lower-cased, in a small bounded table.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from pagi.protocol.errors import RemoteProtocolError
from pagi.protocol.events import Fields, RequestReceived
from pagi.protocol.grammar import (
    BARE_LF,
    FIELD_VALUE_CR,
    FORBIDDEN_IN_VALUE,
    ORIGIN_FORM,
    TOKEN,
    is_host,
)
from pagi.protocol.http1.target import other_form

__all__ = [
    "Notes",
    "check_prefix",
    "parse_field",
    "parse_head",
    "parse_repeated",
]

#: Values of the fields that steer framing and connection, by name. ``None``: there are none.
Notes: TypeAlias = dict[bytes, list[bytes]]

NOTED_NAMES: Final = frozenset(
    (b"connection", b"content-length", b"cookie", b"expect", b"transfer-encoding", b"upgrade")
)

# Lines with these names are remembered. None of them tells one person from another for longer
# than a browser release, and none steers the machine.
REPEATED_NAMES: Final = frozenset(
    b"accept accept-charset accept-encoding accept-language cache-control content-type dnt origin"
    b" pragma priority save-data sec-ch-ua sec-ch-ua-arch sec-ch-ua-mobile sec-ch-ua-model"
    b" sec-ch-ua-platform sec-ch-ua-platform-version sec-fetch-dest sec-fetch-mode sec-fetch-site"
    b" sec-fetch-user sec-gpc sec-websocket-extensions sec-websocket-version te"
    b" upgrade-insecure-requests user-agent x-forwarded-proto x-requested-with".split()
)
# Names that the compiled twin does not make anew for each request either.
OTHER_NAMES: Final = frozenset(
    b"authorization cdn-loop content-encoding content-language date forwarded from if-match"
    b" if-modified-since if-none-match if-range if-unmodified-since keep-alive last-event-id link"
    b" max-forwards proxy-authorization range referer sec-websocket-key sec-websocket-protocol"
    b" traceparent tracestate trailer true-client-ip via x-csrf-token x-forwarded-for"
    b" x-forwarded-host x-forwarded-port x-real-ip x-request-id".split()
)
_NOTED: Final = 1
_REPEATED: Final = 2
_HOST: Final = 3
_NAME_KINDS: Final[dict[bytes, int]] = {
    **dict.fromkeys(NOTED_NAMES, _NOTED),
    **dict.fromkeys(REPEATED_NAMES, _REPEATED),
    b"host": _HOST,
}
_MAX_REMEMBERED: Final = 1024
_MAX_REMEMBERED_LINE: Final = 256

_METHODS: Final[dict[bytes, str]] = {
    name.encode(): name
    for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE")
}
_MAX_METHOD: Final = 32
# Up to this size a read that ends like a head is taken for one head. It is a guess: a wrong one is
# noticed, because the empty line in the middle is no field.
_MAX_GUESSED: Final = 4096
# Beside the target a request line holds a method, two spaces and a version.
_LINE_OVERHEAD: Final = 64

# What browsers say in every request of HTTP/1.1, where it means nothing.
_NEUTRAL: Final = dict.fromkeys(
    (b"Connection: keep-alive\r", b"connection: keep-alive\r"), (b"connection", b"keep-alive")
)
_remembered: dict[bytes, tuple[bytes, bytes]] = dict(_NEUTRAL)
_remembered_hosts: dict[bytes, tuple[bytes, bytes]] = {}
_names: dict[bytes, bytes] = {}
_forgotten: Final[dict[bytes, tuple[bytes, bytes]]] = {}


def parse_head(
    data: bytes,
    start: int,
    stream_id: int,
    max_head_size: int,
    max_target_size: int,
    max_header_count: int,
) -> tuple[RequestReceived, int, Notes | None] | None:
    """Parse the request head that begins at ``start``, a byte that is not CR.

    Returns:
        The event as far as the head line and ``host`` decide it, the offset behind the head, and
        what the other fields ask for; ``None`` if the head is not complete.

    Raises:
        RemoteProtocolError: the head is malformed or too long.
    """
    end = len(data) - 4
    if start or end > _MAX_GUESSED or not data.endswith(b"\r\n\r\n"):
        end = data.find(b"\r\n\r\n", start)
        if end < 0:
            return None
    try:
        if end + 4 - start > max_head_size:
            raise RemoteProtocolError("the head is too long", 431)
        event, notes = _parse(data[start : end + 1], stream_id, max_target_size, max_header_count)
    except RemoteProtocolError:
        first = data.find(b"\r\n\r\n", start)
        if first < end:  # several heads, or a body that ends like a head
            return parse_head(
                data[: first + 4],
                start,
                stream_id,
                max_head_size,
                max_target_size,
                max_header_count,
            )
        check_prefix(data, start, end + 4, start, max_head_size, max_target_size)
        raise
    return event, end + 4, notes


def _parse(
    head: bytes, stream_id: int, max_target_size: int, max_header_count: int
) -> tuple[RequestReceived, Notes | None]:
    """Parse a head that ends with the CR of its last line; so does each of its lines."""
    lines = head.split(b"\n")
    # request-line = method SP request-target SP HTTP-version                RFC 9112 §3
    try:
        method_name, target, version_name = lines[0].split(b" ")
    except ValueError:
        raise RemoteProtocolError("the request line is malformed") from None
    method = _METHODS.get(method_name) or _other_method(method_name)
    version = "1.1" if version_name == b"HTTP/1.1\r" else _other_version(version_name)
    if len(target) > max_target_size:
        raise RemoteProtocolError("the target is too long", 414)
    match = ORIGIN_FORM.fullmatch(target)
    scheme: str | None = None
    authority: bytes | None = None
    if match is None or method == "CONNECT":
        raw_path, query, scheme, authority = other_form(method, target)
    else:
        raw_path, query = match.groups(b"")
    if len(lines) > max_header_count + 1:
        raise RemoteProtocolError("there are too many fields", 431)
    del lines[0]

    fields: Fields = []
    append = fields.append
    remembered = _remembered.get if version == "1.1" else _forgotten.get
    hosts = 0
    noted: Fields | None = None
    for line in lines:
        field = remembered(line)
        if field is None:
            if line in _remembered_hosts:
                hosts += 1
                field = _remembered_hosts[line]
            else:
                raw_name, _, value = line.partition(b":")
                if raw_name in _names and FIELD_VALUE_CR.fullmatch(value) is not None:
                    field = (_names[raw_name], value.strip())
                else:
                    field = _parse_line(line)
                kind = _NAME_KINDS.get(field[0])
                if kind == _NOTED:
                    if noted is None:
                        noted = []
                    noted.append(field)
                elif kind == _REPEATED:
                    _remember(_remembered, line, field, _NEUTRAL)
                elif kind == _HOST:
                    hosts += 1
                    _check_host(line, field)
        append(field)
    if hosts != 1:
        _check_hosts(hosts, version)
    event = RequestReceived(stream_id, method, raw_path, query, fields, version)
    if authority is not None:
        _take_authority(event, scheme, authority)
    if noted is None or (len(noted) == 1 and noted[0][0] == b"cookie"):
        return event, None
    notes: Notes = {}
    for name, value in noted:
        notes.setdefault(name, []).append(value)
    return event, notes


def parse_repeated(
    data: bytes, start: int, begin: int, stream_id: int, max_target_size: int, fields: Fields
) -> RequestReceived | None:
    """Parse the request line of a head whose fields, of HTTP/1.1, are known.

    Args:
        data: holds the head.
        start: offset of the request line.
        begin: offset of the field lines, behind the first LF.
        stream_id: for the event.
        max_target_size: longest request target in bytes.
        fields: what the lines say; the event gets a copy.

    Returns:
        The event; ``None`` if the request line is not a usual one, right or wrong.
    """
    try:
        name, target, version = data[start:begin].split(b" ")
    except ValueError:
        return None
    method = _METHODS.get(name)
    match = ORIGIN_FORM.fullmatch(target)
    if (
        match is None
        or method is None
        or method == "CONNECT"
        or version != b"HTTP/1.1\r\n"
        or len(target) > max_target_size
    ):
        return None
    raw_path, query = match.groups(b"")
    return RequestReceived(stream_id, method, raw_path, query, fields.copy())


def _parse_line(line: bytes) -> tuple[bytes, bytes]:
    """Parse a field line that ends with CR."""
    if line[-1:] != b"\r":
        raise RemoteProtocolError("a line ends without CR")
    return parse_field(line[:-1])


def _other_method(name: bytes) -> str:
    if TOKEN.fullmatch(name) is None:
        raise RemoteProtocolError("the method is not a token")
    if len(name) > _MAX_METHOD:
        # RFC 9112 §3: a method longer than any that is implemented SHOULD get 501
        raise RemoteProtocolError("the method is too long", 501)
    return name.decode("ascii")


def _other_version(name: bytes) -> str:
    # HTTP-version = HTTP-name "/" DIGIT "." DIGIT                           RFC 9112 §2.3
    digits = name[5:8]
    if name[:5] != b"HTTP/" or name[8:] != b"\r" or digits[1:2] != b".":
        raise RemoteProtocolError("the version is malformed")
    major, minor = digits[:1], digits[2:]
    if not (major.isdigit() and minor.isdigit()):
        raise RemoteProtocolError("the version is malformed")
    if major != b"1":
        raise RemoteProtocolError("this version of HTTP is not spoken here", 505)
    return "1.0" if minor == b"0" else "1.1"


def _check_host(line: bytes, field: tuple[bytes, bytes]) -> None:
    if not is_host(field[1]):
        raise RemoteProtocolError("the host field is malformed")
    _remember(_remembered_hosts, line, field, _forgotten)


def _check_hosts(count: int, version: str) -> None:
    # RFC 9112 §3.2: 400 to a request that lacks Host (1.1) or has more than one
    if count > 1:
        raise RemoteProtocolError("there is more than one host field")
    if version != "1.0":
        raise RemoteProtocolError("the host field is missing")


def _take_authority(event: RequestReceived, scheme: str | None, authority: bytes) -> None:
    """Let the target's authority replace the host field (RFC 9112 §3.2.2)."""
    if scheme is None:  # CONNECT
        event.authority = authority
        return
    event.scheme = scheme
    field = (b"host", authority)
    fields = event.fields
    for index, (name, _) in enumerate(fields):
        if name == b"host":
            fields[index] = field
            return
    fields.insert(0, field)


def _remember(
    table: dict[bytes, tuple[bytes, bytes]],
    line: bytes,
    field: tuple[bytes, bytes],
    always: dict[bytes, tuple[bytes, bytes]],
) -> None:
    if len(line) <= _MAX_REMEMBERED_LINE:
        if len(table) >= _MAX_REMEMBERED:
            table.clear()
            table.update(always)
        table[line] = field


def parse_field(line: bytes) -> tuple[bytes, bytes]:
    """Parse one field line without its CRLF (RFC 9112 §5): lower-case name and trimmed value.

    Raises:
        RemoteProtocolError: it is none.
    """
    raw_name, colon, value = line.partition(b":")
    name = _names.get(raw_name)
    if name is None:
        name = _new_name(raw_name, line)
    if not colon:
        raise RemoteProtocolError("a field line has no colon")
    value = value.strip(b" \t")
    if FORBIDDEN_IN_VALUE.search(value) is not None:
        raise RemoteProtocolError("a field value holds a control character")
    return name, value


def _new_name(raw_name: bytes, line: bytes) -> bytes:
    if line[:1] in (b" ", b"\t"):
        # RFC 9112 §5.2: a server MUST reject obs-fold or replace it by spaces
        raise RemoteProtocolError("a field line is folded")
    if raw_name[-1:] in (b" ", b"\t"):
        raise RemoteProtocolError("there is white space before the colon of a field")
    if TOKEN.fullmatch(raw_name) is None:
        raise RemoteProtocolError("a field name is not a token")
    name = raw_name.lower()
    if len(raw_name) <= _MAX_METHOD:
        if len(_names) >= _MAX_REMEMBERED:
            _names.clear()
        _names[raw_name] = name
    return name


_FIRST_BYTES: Final = frozenset(
    b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


def check_prefix(
    buffer: bytes | bytearray,
    start: int,
    stop: int,
    searched: int,
    max_head_size: int,
    max_target_size: int,
) -> None:
    """Find what is wrong with the first bytes of a head, whatever may follow them.

    The answer depends on bytes ``start`` to ``stop`` alone, and a longer prefix only confirms it.

    Args:
        buffer: holds the head.
        start: offset of its first byte, which is not CR.
        stop: offset behind its last known byte.
        searched: bytes before this offset have been checked before.
        max_head_size: longest head in bytes.
        max_target_size: longest request target in bytes.

    Raises:
        RemoteProtocolError: the head cannot be saved.
    """
    if stop > start and buffer[start] not in _FIRST_BYTES:
        raise RemoteProtocolError("the method is not a token")
    longest_line = max_target_size + _LINE_OVERHEAD
    if stop - start > longest_line and buffer.find(b"\n", start, start + longest_line + 1) < 0:
        raise RemoteProtocolError("the request line is too long", 414)
    if BARE_LF.search(buffer, searched, min(stop, start + max_head_size + 1)) is not None:
        raise RemoteProtocolError("a line ends without CR")
    if stop - start > max_head_size:
        raise RemoteProtocolError("the head is too long", 431)
