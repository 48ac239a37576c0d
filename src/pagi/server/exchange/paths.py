"""From the path on the wire to ``scope["path"]``.

Percent-decoded, then UTF-8; where that is impossible each byte becomes the character of the same
number (latin-1), so that no request is refused or altered beyond recognition for its path.
"""

from __future__ import annotations

from typing import Final

__all__ = ["decode_path"]

_DIGITS: Final = "0123456789abcdefABCDEF"
_OCTETS: Final = {
    (high + low).encode(): bytes([int(high + low, 16)]) for high in _DIGITS for low in _DIGITS
}


def decode_path(raw: bytes) -> str:
    """Decode a percent-encoded path; a ``%`` without two hex digits stays as it is."""
    if b"%" not in raw:
        return raw.decode("latin-1")  # the machine admits visible ASCII only
    first, *escapes = raw.split(b"%")
    pieces = [first]
    for escape in escapes:
        octet = _OCTETS.get(escape[:2])
        if octet is None:
            pieces += (b"%", escape)
        else:
            pieces += (octet, escape[2:])
    joined = b"".join(pieces)
    try:
        return joined.decode()
    except UnicodeDecodeError:
        return joined.decode("latin-1")
