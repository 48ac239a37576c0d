"""What the ``sse.*`` messages say, checked and encoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pagi.interface.errors import MessageError
from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.events import Fields
from pagi.protocol.sse.encoder import CONTENT_TYPE, encode_comment, encode_event

__all__ = [
    "encode_comment_message",
    "encode_event_message",
    "event_stream_fields",
    "is_event_stream",
    "read_keepalive",
]

# Caches, and proxies that buffer responses (nginx), are told to leave the stream alone.
_DEFAULTS: Final = (
    (b"content-type", CONTENT_TYPE),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


def event_stream_fields(fields: Fields) -> Fields:
    """Add what the head of an event stream needs and the application did not bring."""
    try:
        names = {name.lower() for name, _ in fields}
    except (AttributeError, TypeError, ValueError):
        return fields  # whoever makes the head from them knows the words for it
    return fields + [field for field in _DEFAULTS if field[0] not in names]


def is_event_stream(fields: Fields) -> bool:
    """Tell whether response fields announce an event stream."""
    return any(
        value[:17].lower() == CONTENT_TYPE and name.lower() == b"content-type"
        for name, value in fields
    )


def encode_event_message(message: Mapping[str, Any]) -> bytes:
    """Return the bytes of ``sse.send``. Raises MessageError."""
    if "data" not in message:
        raise MessageError("sse.send needs 'data', a str")
    try:
        return encode_event(
            message["data"], message.get("event"), message.get("id"), message.get("retry")
        )
    except LocalProtocolError as exc:
        raise MessageError(f"sse.send: {exc}") from None


def encode_comment_message(message: Mapping[str, Any]) -> bytes:
    """Return the bytes of ``sse.comment``. Raises MessageError."""
    try:
        return encode_comment(message.get("comment", ""))
    except LocalProtocolError as exc:
        raise MessageError(f"sse.comment: {exc}") from None


def read_keepalive(message: Mapping[str, Any]) -> tuple[float, bytes]:
    """Return the interval of ``sse.keepalive`` in seconds, and its comment. Raises MessageError."""
    interval = message.get("interval")
    if type(interval) not in (int, float) or not 0 <= interval < 1e9:  # type: ignore[operator]
        raise MessageError(
            f"sse.keepalive needs 'interval' in seconds, from 0 up; got {interval!r:.40}"
        )
    return float(interval), encode_comment_message(message)  # type: ignore[arg-type]
