"""Request heads from bytes, response heads to bytes: the loops that every byte runs through.

The end of the head is looked for first, then the head is split; nothing is parsed of a head that
is not complete. Errors therefore do not depend on how the peer cut its bytes into packets, and
`check_prefix` says which one an incomplete or faulty head deserves.

Browsers repeat themselves: lines of fields that carry neither secrets nor framing are remembered,
validated and lower-cased, in a small bounded table.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from pagi.protocol.errors import LocalProtocolError, RemoteProtocolError
from pagi.protocol.events import Fields, RequestReceived
from pagi.protocol.grammar import (
    BARE_LF,
    FORBIDDEN_IN_VALUE,
    ORIGIN_FORM,
    TOKEN,
    is_host,
    list_members,
)
from pagi.protocol.http1.target import other_form

__all__ = [
    "HAS_DATE",
    "HAS_SERVER",
    "HAS_UPGRADE",
    "WANTS_CLOSE",
    "Notes",
    "check_prefix",
    "parse_field",
    "parse_head",
    "serialize_head",
]

#: Values of the fields that steer framing and connection, by name. ``None``: there are none.
Notes: TypeAlias = dict[bytes, list[bytes]]

_NOTED: Final = frozenset(
    (b"connection", b"content-length", b"cookie", b"expect", b"transfer-encoding", b"upgrade")
)

# Lines with these names are remembered. None of them tells one person from another for longer
# than a browser release, and none steers the machine.
_REPEATED: Final = frozenset(
    b"accept accept-charset accept-encoding accept-language cache-control content-type dnt origin"
    b" pragma priority save-data sec-ch-ua sec-ch-ua-arch sec-ch-ua-mobile sec-ch-ua-model"
    b" sec-ch-ua-platform sec-ch-ua-platform-version sec-fetch-dest sec-fetch-mode sec-fetch-site"
    b" sec-fetch-user sec-gpc sec-websocket-extensions sec-websocket-version te"
    b" upgrade-insecure-requests user-agent x-forwarded-proto x-requested-with".split()
)
_MAX_REMEMBERED: Final = 1024
_MAX_REMEMBERED_LINE: Final = 256

_METHODS: Final[dict[bytes, str]] = {
    name.encode(): name
    for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE")
}
_MAX_METHOD: Final = 32
# Beside the target a request line holds a method, two spaces and a version.
_LINE_OVERHEAD: Final = 64

# What browsers say in every request of HTTP/1.1, where it means nothing.
_NEUTRAL: Final = dict.fromkeys(
    (b"Connection: keep-alive", b"connection: keep-alive"), (b"connection", b"keep-alive")
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
    end = data.find(b"\r\n\r\n", start)
    if end < 0:
        return None
    try:
        if end + 4 - start > max_head_size:
            raise RemoteProtocolError("the head is too long", 431)
        event, notes = _parse(data[start:end], stream_id, max_target_size, max_header_count)
    except RemoteProtocolError:
        check_prefix(data, start, end + 4, start, max_head_size, max_target_size)
        raise
    return event, end + 4, notes


def _parse(
    head: bytes, stream_id: int, max_target_size: int, max_header_count: int
) -> tuple[RequestReceived, Notes | None]:
    lines = head.split(b"\r\n")
    # request-line = method SP request-target SP HTTP-version                RFC 9112 §3
    try:
        method_name, target, version_name = lines[0].split(b" ")
    except ValueError:
        raise RemoteProtocolError("the request line is malformed") from None
    method = _METHODS.get(method_name) or _other_method(method_name)
    version = "1.1" if version_name == b"HTTP/1.1" else _other_version(version_name)
    if len(target) > max_target_size:
        raise RemoteProtocolError("the target is too long", 414)
    match = ORIGIN_FORM.fullmatch(target)
    if match is None or method == "CONNECT":
        raw_path, query, scheme, authority = other_form(method, target)
    else:
        raw_path, query = match.groups(b"")
        scheme = authority = None
    if len(lines) - 1 > max_header_count:
        raise RemoteProtocolError("there are too many fields", 431)
    del lines[0]

    fields: Fields = []
    append = fields.append
    remembered = _remembered.get if version == "1.1" else _forgotten.get
    hosts = 0
    notes: Notes | None = None
    for line in lines:
        field = remembered(line)
        if field is None:
            field = _remembered_hosts.get(line) or parse_field(line)
            name = field[0]
            if name == b"host":
                hosts += 1
                _check_host(line, field)
            elif name in _NOTED:
                if notes is None:
                    notes = {}
                notes.setdefault(name, []).append(field[1])
            elif name in _REPEATED:
                _remember(_remembered, line, field, _NEUTRAL)
        append(field)
    if hosts != 1:
        _check_hosts(hosts, version)
    event = RequestReceived(stream_id, method, raw_path, query, fields, version)
    if authority is not None:
        _take_authority(event, scheme, authority)
    return event, notes


def _other_method(name: bytes) -> str:
    if TOKEN.fullmatch(name) is None:
        raise RemoteProtocolError("the method is not a token")
    if len(name) > _MAX_METHOD:
        # RFC 9112 §3: a method longer than any that is implemented SHOULD get 501
        raise RemoteProtocolError("the method is too long", 501)
    return name.decode("ascii")


def _other_version(name: bytes) -> str:
    # HTTP-version = HTTP-name "/" DIGIT "." DIGIT                           RFC 9112 §2.3
    digits = name[5:]
    if name[:5] != b"HTTP/" or len(digits) != 3 or digits[1:2] != b".":
        raise RemoteProtocolError("the version is malformed")
    major, minor = digits[:1], digits[2:]
    if not (major.isdigit() and minor.isdigit()):
        raise RemoteProtocolError("the version is malformed")
    if major != b"1":
        raise RemoteProtocolError("this version of HTTP is not spoken here", 505)
    return "1.0" if minor == b"0" else "1.1"


def _check_host(line: bytes, field: tuple[bytes, bytes]) -> None:
    if line not in _remembered_hosts:
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


# --- responses ---

HAS_DATE: Final = 1
HAS_SERVER: Final = 2
HAS_UPGRADE: Final = 4
WANTS_CLOSE: Final = 8

_DROPPED: Final = 32
_LENGTH: Final = 64
_CONNECTION: Final = 128

_KINDS: Final[dict[bytes, int]] = {
    b"date": HAS_DATE,
    b"server": HAS_SERVER,
    b"upgrade": HAS_UPGRADE,
    b"content-length": _LENGTH,
    b"connection": _CONNECTION,
    # Framing is chosen by the machine; the others are hop-by-hop fields of a hop that is ours
    # (RFC 9110 §7.6.1).
    b"transfer-encoding": _DROPPED,
    b"keep-alive": _DROPPED,
    b"proxy-connection": _DROPPED,
}

_RENDERED_NAMES: Final = frozenset(
    b"accept-ranges access-control-allow-credentials access-control-allow-headers"
    b" access-control-allow-methods access-control-allow-origin access-control-max-age allow"
    b" cache-control content-encoding content-language content-security-policy content-type"
    b" cross-origin-opener-policy permissions-policy pragma referrer-policy"
    b" strict-transport-security vary x-content-type-options x-frame-options".split()
)
_rendered: dict[tuple[bytes, bytes], bytes] = {}


def serialize_head(status: int, fields: Fields) -> tuple[bytes, int, int]:
    """Turn the fields of a response into lines.

    ``content-length``, ``transfer-encoding``, ``connection``, ``keep-alive`` and
    ``proxy-connection`` are left out, ``upgrade`` too unless ``status`` is 101 or 426.

    Returns:
        The lines, each with its CRLF; ``HAS_…`` and ``WANTS_…`` flags; the declared content
        length, or -1.

    Raises:
        LocalProtocolError: a name or a value is not fit for the wire.
    """
    lines = []
    flags = 0
    length = -1
    for field in fields:
        try:
            line = _rendered.get(field)
        except TypeError:  # a list instead of a tuple
            line = None
        if line is None:
            name, value, line = _render(field)
            lower = name.lower()
            kind = _KINDS.get(lower, 0)
            if kind >= _DROPPED or (kind == HAS_UPGRADE and status not in (101, 426)):
                if kind == _LENGTH:
                    length = _declared_length(value, length)
                elif kind == _CONNECTION:
                    flags |= _connection_flags(value)
                continue
            flags |= kind
            if lower in _RENDERED_NAMES and len(line) <= _MAX_REMEMBERED_LINE:
                if len(_rendered) >= _MAX_REMEMBERED:
                    _rendered.clear()
                _rendered[name, value] = line
        lines.append(line)
    return b"".join(lines), flags, length


def _render(field: tuple[bytes, bytes]) -> tuple[bytes, bytes, bytes]:
    try:
        name, value = field
    except (TypeError, ValueError):
        raise LocalProtocolError("a field must be a pair of name and value") from None
    if type(name) is not bytes or type(value) is not bytes:
        raise LocalProtocolError(
            f"field names and values must be bytes, not {type(name).__name__}"
            f" and {type(value).__name__}"
        )
    if TOKEN.fullmatch(name) is None:
        raise LocalProtocolError(f"field name {name!r} is not a token (RFC 9110 §5.1)")
    if FORBIDDEN_IN_VALUE.search(value) is not None:
        raise LocalProtocolError(
            f"the value of field {name.decode()!r} holds a control character (RFC 9110 §5.5)"
        )
    return name, value, b"%b: %b\r\n" % (name, value)


def _declared_length(value: bytes, before: int) -> int:
    if before >= 0:
        raise LocalProtocolError("content-length is given twice")
    if not value.isdigit() or len(value) > 19:
        raise LocalProtocolError("content-length must be a number of bytes")
    return int(value)


def _connection_flags(value: bytes) -> int:
    return WANTS_CLOSE if b"close" in list_members([value]) else 0
