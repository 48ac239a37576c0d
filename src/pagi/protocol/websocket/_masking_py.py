"""Taking the mask off a payload (RFC 6455 §5.3): Python twin.

Python has no loop that is fast enough, but two operations on many bytes at once: the exclusive or
of long integers, and the translation of every fourth byte by a table. The second costs more to
begin with and half as much per byte.
"""

from __future__ import annotations

from typing import Final

__all__ = ["unmasked"]

_LONG: Final = 512
_EVERY_BYTE: Final = int.from_bytes(bytes(range(256)), "big")
_ONES: Final = int.from_bytes(b"\x01" * 256, "big")
#: For each byte of a mask, what becomes of each byte of a payload.
_TABLES: Final = tuple((_EVERY_BYTE ^ _ONES * byte).to_bytes(256, "big") for byte in range(256))


def unmasked(data: bytes, start: int, end: int, mask: bytes, phase: int) -> bytes:
    """Return ``data`` from ``start`` to ``end`` without its mask.

    Args:
        data: what was received.
        start: offset of the first byte.
        end: offset behind the last one.
        mask: the four bytes of the frame.
        phase: how many bytes of the frame's payload came before, modulo 4.
    """
    if phase:
        mask = mask[phase:] + mask[:phase]
    size = end - start
    if size > _LONG:
        out = bytearray(data[start:end])
        for index in range(4):
            out[index::4] = out[index::4].translate(_TABLES[mask[index]])
        return bytes(out)
    key = (mask * (size // 4 + 1))[:size]
    value = int.from_bytes(data[start:end], "little") ^ int.from_bytes(key, "little")
    return value.to_bytes(size, "little")
