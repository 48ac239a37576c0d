"""The payload of a message on its way in: unmasked, checked, joined. Python twin.

A text is checked as far as it has come, so that a byte that cannot be part of it is noticed at
once, inside of an unfinished frame too (RFC 6455 §8.1).
"""

from __future__ import annotations

from codecs import utf_8_decode
from typing import Final

from pagi.protocol.websocket._masking_py import unmasked

__all__ = ["Payload", "read_text"]

_SURROGATE: Final = b"\xed\xa0"
_AFTER_SURROGATES: Final = b"\xee"


def read_text(data: bytes, start: int, end: int) -> str | None:
    """Return a masked text that stands whole in ``data``, its mask before it.

    ``None`` if it is not UTF-8: the encoding of RFC 3629, without surrogates.
    """
    try:
        return unmasked(data, start, end, data[start - 4 : start], 0).decode()
    except UnicodeDecodeError:
        return None


class Payload:
    """What has come of one message.

    Attributes:
        size: bytes so far.
    """

    __slots__ = ("_data", "_rest", "_text", "size")

    def __init__(self, text: bool) -> None:
        self.size = 0
        self._text = text
        self._data = bytearray()
        self._rest = b""  # of a character that is not whole

    def add(self, data: bytes) -> bool:
        """Append ``data``; tell whether the text, if it is one, is UTF-8 so far."""
        self._data += data
        self.size += len(data)
        if not self._text or (not self._rest and data.isascii()):
            return True
        if self._rest:
            data = self._rest + data
        try:
            _, size = utf_8_decode(data, "strict", False)
        except UnicodeDecodeError:
            return False
        self._rest = data[size:]
        # Python waits for the third byte of a surrogate before it refuses it.
        return not _SURROGATE <= self._rest < _AFTER_SURROGATES

    def add_masked(
        self, data: bytes, start: int, end: int, mask: bytes, phase: int, expected: int
    ) -> bool:
        """Append ``data`` from ``start`` to ``end`` without its mask; see `add`.

        Args:
            data: what was received.
            start: offset of the first byte.
            end: offset behind the last one.
            mask: the four bytes of the frame.
            phase: how many bytes of the frame's payload came before, modulo 4.
            expected: bytes that the message is known to have in the end, or 0. Room is made for
                no more than twice of what has come.
        """
        return self.add(unmasked(data, start, end, mask, phase))

    def finish(self) -> str | bytes | None:
        """Return the message; ``None`` for a text that ends within a character."""
        if not self._text:
            return bytes(self._data)
        return None if self._rest else self._data.decode()
