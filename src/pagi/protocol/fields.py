"""Fields that the application brings: what is checked of each, on every version of HTTP."""

from __future__ import annotations

from typing import Final

from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.grammar import FORBIDDEN_IN_VALUE, TOKEN

__all__ = ["MAX_SIZE", "checked_name", "checked_value", "declared_length", "plain_field"]

#: Largest body, in bytes, where no limit is set: what a 64-bit offset can count.
MAX_SIZE: Final = 2**63 - 1

_MAX_LENGTH_DIGITS: Final = 19


def plain_field(field: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return name and value as plain bytes.

    Raises:
        LocalProtocolError: it is not a pair of bytes.
    """
    try:
        name, value = field
    except (TypeError, ValueError):
        raise LocalProtocolError("a field must be a pair of name and value") from None
    if type(name) is not bytes or type(value) is not bytes:
        if not isinstance(name, bytes) or not isinstance(value, bytes):
            raise LocalProtocolError(
                f"field names and values must be bytes, not {type(name).__name__}"
                f" and {type(value).__name__}"
            )
        # Subclasses may say what they like about themselves; what is checked and kept is plain.
        name, value = bytes(memoryview(name)), bytes(memoryview(value))
    return name, value


def checked_name(name: bytes) -> bytes:
    """Return a field name in lower case. Raises LocalProtocolError if it is none."""
    if TOKEN.fullmatch(name) is None:
        raise LocalProtocolError(f"field name {name!r} is not a token (RFC 9110 §5.1)")
    return name.lower()


def checked_value(name: bytes, value: bytes) -> bytes:
    """Return a field value. Raises LocalProtocolError if it is not fit for the wire."""
    if FORBIDDEN_IN_VALUE.search(value) is not None:
        raise LocalProtocolError(
            f"the value of field {name.decode()!r} holds a control character (RFC 9110 §5.5)"
        )
    return value


def declared_length(value: bytes, before: int) -> int:
    """Return the number in a ``content-length``; ``before`` is that of another one, or -1.

    Raises:
        LocalProtocolError: it is no number of bytes, or the second.
    """
    if before >= 0:
        raise LocalProtocolError("content-length is given twice")
    if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS or int(value) > MAX_SIZE:
        raise LocalProtocolError("content-length must be a number of bytes")
    return int(value)
