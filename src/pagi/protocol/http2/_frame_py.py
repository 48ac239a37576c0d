"""Heads of frames (RFC 9113 §4.1); see ``_frame_c.pyx`` for the compiled twin."""

from __future__ import annotations

__all__ = ["frame_head"]


def frame_head(size: int, kind: int, flags: int, stream_id: int) -> bytes:
    """Return the nine bytes in front of a payload of ``size`` bytes."""
    return (size << 48 | kind << 40 | flags << 32 | stream_id).to_bytes(9, "big")
