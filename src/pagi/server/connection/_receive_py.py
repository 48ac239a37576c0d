"""Taking received bytes out of the receive buffer: Python twin."""

from __future__ import annotations

__all__ = ["take_bytes"]


def take_bytes(buffer: bytearray, size: int) -> bytes:
    """Return the first ``size`` bytes of ``buffer``, copied once."""
    return bytes(memoryview(buffer)[:size])
