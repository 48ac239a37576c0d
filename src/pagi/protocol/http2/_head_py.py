"""Header sections as they are decoded: what each field is, and the fields of one section, sorted.

One source, two builds: compiled as ``_head_c`` (see ``_head_c.pxd``).

A field is judged once, when it comes as text. HPACK then names it by a number, in the same section
or a later one, and its kind comes with it.
"""

from __future__ import annotations

import re
from typing import Final

from pagi.protocol.events import Fields

__all__ = ["Head", "classify"]

_PLAIN: Final = 0
_COOKIE: Final = 1
_CONTENT_LENGTH: Final = 2
_EXPECT: Final = 3
_HOST: Final = 4
_PRIORITY: Final = 5
_METHOD: Final = 16  # from here on pseudo-fields
_SCHEME: Final = 17
_PATH: Final = 18
_AUTHORITY: Final = 19
_PROTOCOL: Final = 20
_MALFORMED: Final = 99

_KINDS: Final[dict[bytes, int]] = {
    b"cookie": _COOKIE,
    b"content-length": _CONTENT_LENGTH,
    b"expect": _EXPECT,
    b"host": _HOST,
    b"priority": _PRIORITY,
    b":method": _METHOD,
    b":scheme": _SCHEME,
    b":path": _PATH,
    b":authority": _AUTHORITY,
    b":protocol": _PROTOCOL,
    # What belongs to a connection of HTTP/1 (RFC 9113 §8.2.2).
    **dict.fromkeys(
        b"connection keep-alive proxy-connection transfer-encoding upgrade".split(), _MALFORMED
    ),
}
#: A token without upper case (RFC 9113 §8.2.1).
_NAME: Final = re.compile(rb"[a-z0-9!#$%&'*+\-.^_`|~]+")
#: What a value never holds (RFC 9113 §8.2.1, RFC 9110 §5.5).
_NOT_IN_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]|\A[ \t]|[ \t]\Z")

_FIELD_OVERHEAD: Final = 32  # RFC 9113 §6.5.2
#: What is remembered of names belongs to all connections: so many, and none that is longer.
_MAX_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 64

_names: dict[bytes, int] = {}


def classify(name: bytes, value: bytes) -> int:
    """Return the kind of a field that has come as text."""
    kind = _names.get(name)
    if kind is None:
        kind = _KINDS.get(name)
        if kind is None:
            kind = _PLAIN if _NAME.fullmatch(name) is not None else _MALFORMED
        if len(name) <= _LONGEST_REMEMBERED:
            if len(_names) >= _MAX_REMEMBERED:
                _names.clear()
            _names[name] = kind
    if _NOT_IN_VALUE.search(value) is not None or (name == b"te" and value != b"trailers"):
        return _MALFORMED
    return kind


class Head:
    """The fields of one section, sorted; what did not come is ``None``.

    Attributes:
        malformed: the section breaks a rule of RFC 9113 §8.2 or §8.3.
        size: as RFC 9113 §6.5.2 counts it.
        count: of all fields.
    """

    __slots__ = (
        "authority",
        "cookies",
        "count",
        "expect",
        "fields",
        "host",
        "hosts",
        "length",
        "malformed",
        "method",
        "path",
        "priority",
        "protocol",
        "scheme",
        "size",
    )

    def __init__(self) -> None:
        self.method: bytes | None = None
        self.path: bytes | None = None
        self.scheme: bytes | None = None
        self.authority: bytes | None = None
        self.protocol: bytes | None = None
        self.host: bytes | None = None
        self.length: bytes | None = None
        self.expect: bytes | None = None
        self.priority: bytes | None = None
        self.hosts = 0
        self.cookies = 0
        self.malformed = False
        self.size = 0
        self.count = 0
        self.fields: Fields = []

    def take(self, field: tuple[bytes, bytes], kind: int) -> None:
        """Add a field of this kind, see `classify`."""
        name, value = field
        self.size += len(name) + len(value) + _FIELD_OVERHEAD
        self.count += 1
        if kind == _PLAIN:
            self.fields.append(field)
        elif kind >= _METHOD:
            self._take_pseudo(value, kind)
        elif kind == _HOST:
            self.hosts += 1
            self.host = value
        else:
            if kind == _COOKIE:
                self.cookies += 1
            elif kind == _CONTENT_LENGTH:
                self._take_length(value)
            elif kind == _EXPECT:
                self.expect = value
            else:
                self.priority = value
            self.fields.append(field)

    def _take_length(self, value: bytes) -> None:
        if self.length is not None and self.length != value:
            self.malformed = True
        self.length = value

    def _take_pseudo(self, value: bytes, kind: int) -> None:
        """RFC 9113 §8.3: none twice, none unknown, none behind another field."""
        before: bytes | None = b""
        if kind == _PATH:
            before, self.path = self.path, value
        elif kind == _METHOD:
            before, self.method = self.method, value
        elif kind == _SCHEME:
            before, self.scheme = self.scheme, value
        elif kind == _AUTHORITY:
            before, self.authority = self.authority, value
        elif kind == _PROTOCOL:
            before, self.protocol = self.protocol, value
        if before is not None or self.fields or self.hosts:
            self.malformed = True

    def is_request(self) -> bool:
        """Tell whether the pseudo-fields are those of a request (RFC 9113 §8.3.1 and §8.5)."""
        if self.malformed or self.method is None:
            return False
        if self.method == b"CONNECT" and self.protocol is None:
            return self.scheme is None and self.path is None and self.authority is not None
        return self.scheme is not None and self.path is not None and self.path != b""

    def is_trailer_section(self) -> bool:
        """Tell whether there are no pseudo-fields (RFC 9113 §8.1)."""
        return not (
            self.malformed
            or self.method is not None
            or self.scheme is not None
            or self.path is not None
            or self.authority is not None
            or self.protocol is not None
        )
