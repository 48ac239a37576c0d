"""Response heads to bytes: fields are checked and joined in one pass.

The only place where bytes of the application become lines: no CR, LF or NUL of its gets past it.
Lines that applications repeat are remembered, if they carry no secret, in a small bounded table.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.events import Fields
from pagi.protocol.fields import checked_name, checked_value, declared_length, plain_field
from pagi.protocol.grammar import list_members
from pagi.protocol.http1.flags import HAS_DATE, HAS_SERVER, HAS_UPGRADE, WANTS_CLOSE
from pagi.protocol.http1.reasons import status_line

__all__ = ["assemble_head", "length_line", "serialize_head"]

_MAX_REMEMBERED: Final = 1024
_MAX_REMEMBERED_LINE: Final = 256
_MAX_LENGTHS: Final = 4096

_RENDERED: Final = 16
_SPECIAL: Final = 32
_DROPPED: Final = 32
_UPGRADE: Final = 33
_LENGTH: Final = 34
_CONNECTION: Final = 35

_KINDS: Final[dict[bytes, int]] = {
    b"date": HAS_DATE,
    b"server": HAS_SERVER,
    b"upgrade": _UPGRADE,
    b"content-length": _LENGTH,
    b"connection": _CONNECTION,
    # Framing is chosen by the machine; the others are hop-by-hop fields of a hop that is ours
    # (RFC 9110 §7.6.1).
    b"transfer-encoding": _DROPPED,
    b"keep-alive": _DROPPED,
    b"proxy-connection": _DROPPED,
    # Lines of these are remembered.
    **dict.fromkeys(
        b"accept-ranges access-control-allow-credentials access-control-allow-headers"
        b" access-control-allow-methods access-control-allow-origin access-control-max-age allow"
        b" cache-control content-encoding content-language content-security-policy content-type"
        b" cross-origin-opener-policy permissions-policy pragma referrer-policy"
        b" strict-transport-security vary x-content-type-options x-frame-options".split(),
        _RENDERED,
    ),
}
_rendered: dict[tuple[bytes, bytes], bytes] = {}
_kinds: dict[bytes, int] = {}  # by names as they are written
_declared: dict[tuple[bytes, bytes], int] = {}  # lengths, by the fields that declare them


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
            if line is None and field in _declared and length < 0:
                length = _declared[field]
                continue
        except TypeError:  # a list instead of a tuple
            line = None
        if line is None:
            name, value = _checked(field)
            kind = _kinds[name]
            if kind >= _SPECIAL:
                if kind == _LENGTH:
                    length = _declared_length(name, value, length)
                    continue
                if kind == _CONNECTION:
                    flags |= _connection_flags(value)
                    continue
                if kind == _DROPPED or status not in (101, 426):
                    continue
                kind = HAS_UPGRADE
            line = b"%b: %b\r\n" % (name, value)
            if kind == _RENDERED:
                if len(line) <= _MAX_REMEMBERED_LINE:
                    if len(_rendered) >= _MAX_REMEMBERED:
                        _rendered.clear()
                    _rendered[name, value] = line
            else:
                flags |= kind
        lines.append(line)
    return b"".join(lines), flags, length


def _checked(field: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return name and value if they are fit for the wire; the name is in ``_kinds`` then."""
    name, value = plain_field(field)
    if name not in _kinds:
        lower = checked_name(name)
        if len(_kinds) >= _MAX_REMEMBERED:
            _kinds.clear()
        _kinds[name] = _KINDS.get(lower, 0)
    return name, checked_value(name, value)


def _declared_length(name: bytes, value: bytes, before: int) -> int:
    length = declared_length(value, before)
    if len(_declared) < _MAX_LENGTHS:
        _declared[name, value] = length
    return length


def _connection_flags(value: bytes) -> int:
    return WANTS_CLOSE if b"close" in list_members([value]) else 0


# Lines of the lengths that came up: making one costs four times as much.
_length_lines: dict[int, bytes] = {}


def length_line(length: int) -> bytes:
    """Return the field line that declares a body of ``length`` bytes."""
    line = _length_lines.get(length)
    if line is None:
        line = b"content-length: %d\r\n" % length
        if len(_length_lines) < _MAX_LENGTHS:
            _length_lines[length] = line
    return line


def assemble_head(status: int, lines: bytes, wire: bytes, framing: bytes, body: bytes) -> bytes:
    """Put a response head together, with the beginning of a body behind its empty line."""
    return b"%b%b%b%b\r\n%b" % (status_line(status), lines, wire, framing, body)
