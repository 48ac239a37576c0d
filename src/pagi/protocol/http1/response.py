"""Parts of responses that do not depend on the state of a connection."""

from __future__ import annotations

from pagi.protocol.connection import DefaultFields
from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.events import Fields
from pagi.protocol.http1.flags import HAS_DATE, HAS_SERVER, HAS_UPGRADE
from pagi.protocol.http1.head import serialize_head
from pagi.protocol.http1.reasons import REASONS, status_line
from pagi.protocol.trailers import may_be_trailer

__all__ = [
    "connect_head",
    "error_response",
    "missing_defaults",
    "serialize_trailers",
    "switching_head",
]


def missing_defaults(flags: int, defaults: DefaultFields) -> bytes:
    """Return the lines of the default fields that a head with ``flags`` does not have."""
    wire = b""
    if not flags & HAS_DATE and defaults.date:
        wire += b"date: %b\r\n" % defaults.date
    if not flags & HAS_SERVER and defaults.server:
        wire += b"server: %b\r\n" % defaults.server
    return wire


def error_response(status: int, defaults: DefaultFields, fields: Fields, head_only: bool) -> bytes:
    """Return a whole response of our own. Nothing of the request is reflected in it."""
    lines, flags, _ = serialize_head(status, fields)
    body = b"%d %b\n" % (status, REASONS.get(status, b"Error"))
    return (
        b"%b%b%bcontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
        b"connection: close\r\n\r\n%b"
    ) % (
        status_line(status),
        lines,
        missing_defaults(flags, defaults),
        len(body),
        b"" if head_only else body,
    )


def switching_head(fields: Fields, upgrade: bytes, defaults: DefaultFields) -> bytes:
    """Return the head of a 101 response to ``upgrade`` (RFC 9110 §7.8)."""
    lines, flags, _ = serialize_head(101, fields)
    if not flags & HAS_UPGRADE:
        lines += b"upgrade: %b\r\n" % upgrade
    lines += b"connection: upgrade\r\n" + missing_defaults(flags, defaults)
    return status_line(101) + lines + b"\r\n"


def connect_head(fields: Fields, defaults: DefaultFields) -> bytes:
    """Return the head of a 200 response to CONNECT: it has no framing (RFC 9110 §9.3.6)."""
    lines, flags, _ = serialize_head(200, fields)
    return status_line(200) + lines + missing_defaults(flags, defaults) + b"\r\n"


def serialize_trailers(fields: Fields) -> bytes:
    """Turn trailer fields into lines.

    Raises:
        LocalProtocolError: a field is not fit for the wire or must not be a trailer
            (RFC 9110 §6.5.1).
    """
    lines, _, _ = serialize_head(0, fields)
    for name, _ in fields:
        if not may_be_trailer(name.lower()):
            raise LocalProtocolError(f"field {name.decode()!r} must not be a trailer")
    return lines
