"""`HeaderDecoder`: HPACK, receiving side (RFC 7541).

One source, two builds: compiled as ``_decoder_c`` (see ``_decoder_c.pxd``).

A field that is named by its number is the same pair each time: it is neither copied nor looked at
again. That also makes a section small in memory that unpacks to something huge.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.http2._head_py import Head, classify
from pagi.protocol.http2._huffman_py import decode_huffman
from pagi.protocol.http2.faults import DecodingError, HuffmanError, TooLargeError
from pagi.protocol.http2.static_table import STATIC_TABLE

__all__ = ["HeaderDecoder"]

_TABLE_SIZE: Final = 4096  # what we allow, which is what holds if nobody says anything
_ENTRY_OVERHEAD: Final = 32  # RFC 7541 §4.1
_STATIC: Final = len(STATIC_TABLE)
_STATIC_FIELDS: Final = list(STATIC_TABLE)
_STATIC_KINDS: Final = [classify(name, b"") for name, _ in STATIC_TABLE]
#: Entries at the beginning of the list that are evicted and not removed yet.
_SLACK: Final = 64
_GONE: Final = (b"", b"")
#: An integer of more than four bytes behind its prefix is none that we could use.
_MAX_SHIFT: Final = 28


class HeaderDecoder:
    """The decoder of one connection, with its dynamic table.

    Args:
        max_size: of the fields of a section; beyond it `TooLargeError`.
        max_count: the same for their number.
    """

    __slots__ = (
        "_fields",
        "_kinds",
        "_max_count",
        "_max_size",
        "_position",
        "_size",
        "_start",
        "_table_size",
    )

    def __init__(self, max_size: int, max_count: int) -> None:
        self._max_size = max_size
        self._max_count = max_count
        self._fields: list[tuple[bytes, bytes]] = []  # the oldest first
        self._kinds: list[int] = []
        self._start = 0  # entries before it are evicted
        self._size = 0
        self._table_size: int = _TABLE_SIZE
        self._position = 0

    def decode(self, data: bytes) -> Head:
        """Return the fields of a whole section.

        Raises:
            DecodingError: it is malformed.
            TooLargeError: it is too large.
        """
        head = Head()
        size = len(data)
        self._position = 0
        begun = False
        while self._position < size:
            byte = data[self._position]
            if byte & 0x80:
                self._take_indexed(head, self._integer(data, 7))
            elif byte & 0x40:
                self._take_literal(head, data, self._integer(data, 6), True)
            elif byte & 0x20:
                if begun:
                    raise DecodingError("a change of the table within a section")
                self._resize(self._integer(data, 5))
                continue
            else:
                self._take_literal(head, data, self._integer(data, 4), False)
            begun = True
            if head.size > self._max_size or head.count > self._max_count:
                raise TooLargeError
        return head

    def _take_indexed(self, head: Head, index: int) -> None:
        if index == 0:
            raise DecodingError("the index 0")
        if index <= _STATIC:
            head.take(_STATIC_FIELDS[index - 1], _STATIC_KINDS[index - 1])
            return
        place = self._place(index)
        head.take(self._fields[place], self._kinds[place])

    def _place(self, index: int) -> int:
        """Return where in the list the entry with an index of the dynamic table is."""
        place = len(self._fields) - (index - _STATIC)
        if place < self._start:
            raise DecodingError("an index that stands for nothing")
        return place

    def _take_literal(self, head: Head, data: bytes, index: int, remember: bool) -> None:
        if index == 0:
            name = self._text(data)
        elif index <= _STATIC:
            name = _STATIC_FIELDS[index - 1][0]
        else:
            name = self._fields[self._place(index)][0]
        value = self._text(data)
        field = (name, value)
        kind = classify(name, value)
        head.take(field, kind)
        if remember:
            self._remember(field, kind)

    def _integer(self, data: bytes, prefix: int) -> int:
        """RFC 7541 §5.1: read an integer whose first byte keeps ``prefix`` bits for it."""
        position = self._position
        limit = (1 << prefix) - 1
        value = data[position] & limit
        position += 1
        if value == limit:
            size = len(data)
            shift = 0
            while True:
                if position >= size:
                    raise DecodingError("an integer without an end")
                byte = data[position]
                position += 1
                value += (byte & 0x7F) << shift
                if not byte & 0x80:
                    break
                shift += 7
                if shift >= _MAX_SHIFT:
                    raise DecodingError("an integer that is too large")
        self._position = position
        return value

    def _text(self, data: bytes) -> bytes:
        """RFC 7541 §5.2: read a string literal."""
        if self._position >= len(data):
            raise DecodingError("a text that is missing")
        packed = data[self._position] & 0x80
        length = self._integer(data, 7)
        start = self._position
        stop = start + length
        if stop > len(data):
            raise DecodingError("a text that ends early")
        self._position = stop
        if not packed:
            return data[start:stop]
        try:
            return decode_huffman(data, start, stop)
        except HuffmanError:
            raise DecodingError("a text in no Huffman code") from None

    # --- the dynamic table (RFC 7541 §4) ---

    def _remember(self, field: tuple[bytes, bytes], kind: int) -> None:
        size = len(field[0]) + len(field[1]) + _ENTRY_OVERHEAD
        self._evict(self._table_size - size)
        if size <= self._table_size:
            self._fields.append(field)
            self._kinds.append(kind)
            self._size += size

    def _resize(self, size: int) -> None:
        if size > _TABLE_SIZE:
            raise DecodingError("a table larger than allowed")
        self._table_size = size
        self._evict(size)

    def _evict(self, size: int) -> None:
        """Drop the oldest entries until no more than ``size`` bytes are left."""
        while self._size > size and self._start < len(self._fields):
            name, value = self._fields[self._start]
            self._fields[self._start] = _GONE  # its text is freed now
            self._size -= len(name) + len(value) + _ENTRY_OVERHEAD
            self._start += 1
        if self._start > _SLACK:
            del self._fields[: self._start]
            del self._kinds[: self._start]
            self._start = 0
