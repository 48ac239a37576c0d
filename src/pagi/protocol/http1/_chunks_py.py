"""Small chunks: what costs a server dearly if each is not handled with care."""

from __future__ import annotations

from typing import Final

__all__ = ["make_chunk", "take_chunks"]

_DIGITS: Final = "0123456789abcdefABCDEF"
# Size lines of one and two digits. What is larger is not small.
_SIZES: Final[dict[bytes, int]] = {
    digits.encode(): int(digits, 16)
    for digits in (*_DIGITS, *(first + second for first in _DIGITS for second in _DIGITS))
}


def take_chunks(data: bytes, pos: int, room: int, pieces: list[bytes]) -> int:
    """Take the small chunks that stand whole and without extension in ``data`` from ``pos`` on.

    Their data, at most ``room`` bytes, is appended to ``pieces`` as one.

    Returns:
        The offset of the first byte that was not taken: of another kind of chunk, of one that is
        not complete, or of a fault.
    """
    found = []
    while True:
        line_end = data.find(b"\r", pos, pos + 3)
        if line_end < 0:
            break
        size = _SIZES.get(data[pos:line_end])
        if not size or size > room:
            break
        begin = line_end + 2
        end = begin + size
        if data[line_end:begin] != b"\r\n" or data[end : end + 2] != b"\r\n":
            break
        found.append(data[begin:end])
        room -= size
        pos = end + 2
    if found:
        pieces.append(b"".join(found))
    return pos


def make_chunk(data: bytes, last: bool) -> bytes:
    """Return ``data``, which is not empty, as a chunk; ``last`` adds the one that ends the body."""
    return b"%x\r\n%b%b" % (len(data), data, b"\r\n0\r\n\r\n" if last else b"\r\n")
