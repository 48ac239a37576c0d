"""Fields of responses for HPACK: checked, in lower case, without those of HTTP/1's hop.

One source, two builds: compiled as ``_response_c`` (see ``_response_c.pxd``).

The only place where bytes of the application become fields: no CR, LF or NUL of its gets past it.
"""

from __future__ import annotations

from typing import Any, Final

from pagi.protocol.connection import DefaultFields
from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.events import Fields
from pagi.protocol.fields import checked_name, checked_value, declared_length, plain_field
from pagi.protocol.trailers import may_be_trailer

__all__ = ["informational_fields", "length_field", "response_fields", "trailer_fields"]

_MAX_REMEMBERED: Final = 1024
_MAX_LENGTHS: Final = 4096
_MAX_REMEMBERED_VALUE: Final = 128

_SPACE: Final = b" \t"  # must not be at either end of a value (RFC 9113 §8.2.1)

_PLAIN: Final = 0
_DATE: Final = 1
_SERVER: Final = 2
_LENGTH: Final = 4
_DROPPED: Final = 8
_REPEATED: Final = 16

_KINDS: Final[dict[bytes, int]] = {
    b"date": _DATE,
    b"server": _SERVER,
    b"content-length": _LENGTH,
    # RFC 9113 §8.2.2: an endpoint MUST NOT generate connection-specific fields
    **dict.fromkeys(
        b"connection keep-alive proxy-connection transfer-encoding upgrade".split(), _DROPPED
    ),
    # Fields that applications repeat, and that carry no secret, are remembered with their values.
    **dict.fromkeys(
        b"accept-ranges access-control-allow-credentials access-control-allow-headers"
        b" access-control-allow-methods access-control-allow-origin access-control-max-age allow"
        b" cache-control content-encoding content-language content-security-policy content-type"
        b" cross-origin-opener-policy permissions-policy pragma referrer-policy"
        b" strict-transport-security vary x-content-type-options x-frame-options".split(),
        _REPEATED,
    ),
}

#: What fields as they are written come to: the field for the wire, or a content length.
_known: dict[tuple[bytes, bytes], tuple[bytes, bytes] | int] = {}
#: Lower case and kind, by names as they are written.
_names: dict[bytes, tuple[bytes, int]] = {}
_statuses: dict[int, tuple[bytes, bytes]] = {}
_lengths: dict[int, tuple[bytes, bytes]] = {}


def status_field(status: int) -> tuple[bytes, bytes]:
    """Return the pseudo-field ``:status`` (RFC 9113 §8.3.2)."""
    field = _statuses.get(status)
    if field is None:
        field = _statuses[status] = (b":status", b"%d" % status)
    return field


def length_field(length: int) -> tuple[bytes, bytes]:
    """Return ``content-length``; those that came up are remembered."""
    field = _lengths.get(length)
    if field is None:
        field = (b"content-length", b"%d" % length)
        if len(_lengths) < _MAX_LENGTHS:
            _lengths[length] = field
    return field


def response_fields(status: int, fields: Fields, defaults: DefaultFields) -> tuple[Fields, int]:
    """Return all fields of a head but ``content-length``, and that as a number, or -1.

    Raises:
        LocalProtocolError: a name or a value is not fit for the wire.
    """
    out = [status_field(status)]
    length = -1
    found = 0
    for field in fields:
        known: Any = None
        try:
            known = _known.get(field)
        except TypeError:  # a list instead of a tuple
            pass
        if known is None:
            name, value = plain_field(field)
            lower, kind = _name(name)
            checked_value(name, value)
            if kind == _DROPPED:
                continue
            if kind == _LENGTH:
                length = declared_length(value, length)
                _remember((name, value), length)
                continue
            known = (lower, value.strip(_SPACE))
            if kind == _REPEATED:
                _remember((name, value), known)
            else:
                found |= kind
        elif type(known) is int:
            length = known if length < 0 else declared_length(field[1], length)
            continue
        out.append(known)
    if not found:
        out += defaults.fields
    else:
        given = [(b"date", _DATE), (b"server", _SERVER)]
        names = [name for name, kind in given if found & kind]
        out += [field for field in defaults.fields if field[0] not in names]
    return out, length


def _remember(field: tuple[bytes, bytes], known: tuple[bytes, bytes] | int) -> None:
    if len(field[1]) <= _MAX_REMEMBERED_VALUE:
        if len(_known) >= _MAX_REMEMBERED:
            _known.clear()
        _known[field] = known


def _name(name: bytes) -> tuple[bytes, int]:
    found = _names.get(name)
    if found is None:
        lower = checked_name(name)
        if len(_names) >= _MAX_REMEMBERED:
            _names.clear()
        found = _names[name] = (lower, _KINDS.get(lower, _PLAIN))
    return found


def informational_fields(status: int, fields: Fields) -> Fields:
    """Return the fields of a 1xx response. Raises LocalProtocolError as `response_fields` does."""
    out = [status_field(status)]
    for field in fields:
        name, value = plain_field(field)
        lower, kind = _name(name)
        if kind != _DROPPED and kind != _LENGTH:
            out.append((lower, checked_value(name, value).strip(_SPACE)))
    return out


def trailer_fields(fields: Fields) -> Fields:
    """Return the fields of a trailer section.

    Raises:
        LocalProtocolError: a field is not fit for the wire or must not be a trailer
            (RFC 9110 §6.5.1).
    """
    out = []
    for field in fields:
        name, value = plain_field(field)
        lower, _ = _name(name)
        if not may_be_trailer(lower):
            raise LocalProtocolError(f"field {name.decode()!r} must not be a trailer")
        out.append((lower, checked_value(name, value).strip(_SPACE)))
    return out
