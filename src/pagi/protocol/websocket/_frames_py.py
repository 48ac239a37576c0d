"""Frames on their way out (RFC 6455 §5.2): Python twin. A server does not mask."""

from __future__ import annotations

from struct import Struct

__all__ = ["ascii_frame", "frame", "frame_head"]

_MEDIUM = Struct("!BBH").pack
_LARGE = Struct("!BBQ").pack


def frame_head(first: int, size: int) -> bytes:
    """Return the head of a frame, its length in as few bytes as possible.

    Args:
        first: the first byte: FIN, reserved bits and opcode.
        size: length of the payload in bytes.
    """
    if size < 126:
        return bytes((first, size))
    if size < 65_536:
        return _MEDIUM(first, 126, size)
    return _LARGE(first, 127, size)


def frame(first: int, payload: bytes) -> bytes:
    """Return a frame in one piece."""
    return frame_head(first, len(payload)) + payload


def ascii_frame(first: int, text: str) -> bytes | None:
    """Return the frame of a text in one piece; ``None`` if it is not ASCII."""
    return frame(first, text.encode()) if text.isascii() else None
