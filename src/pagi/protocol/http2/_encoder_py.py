"""`HeaderEncoder`: HPACK, sending side (RFC 7541).

One source, two builds: compiled as ``_encoder_c`` (see ``_encoder_c.pxd``).

A field goes into the dynamic table when it comes for the second time. So what every response has
costs a byte, and what is different in each (an identifier, a length) pushes nothing out. Texts are
not Huffman-coded: it would make the first of many responses a quarter smaller, for more work.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from pagi.protocol.events import Fields
from pagi.protocol.http2.static_table import STATIC_TABLE

__all__ = ["HeaderEncoder"]

_TABLE_SIZE: Final = 4096  # what we use at most, whatever the peer allows
_ENTRY_OVERHEAD: Final = 32  # RFC 7541 §4.1
_MAX_ENTRY: Final = 512
_MAX_SEEN: Final = 64
_FIRST_DYNAMIC: Final = len(STATIC_TABLE) + 1

_INDEXED: Final = 0x80
_REMEMBERED: Final = 0x40
_RESIZED: Final = 0x20
_NEVER_REMEMBERED: Final = 0x10
_PLAIN: Final = 0

#: Secrets: no intermediary may put them into a table either (RFC 7541 §7.1.3).
_SECRET: Final = frozenset((b"set-cookie", b"authorization", b"proxy-authorization", b"cookie"))


def _integer(pattern: int, prefix: int, value: int) -> bytes:
    """RFC 7541 §5.1: ``value`` in ``prefix`` bits of a byte that begins with ``pattern``."""
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes((pattern | value,))
    out = bytearray((pattern | limit,))
    value -= limit
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_BYTES: Final = [bytes((number,)) for number in range(256)]
#: What stands for a field that is in the static table.
_STATIC: Final = {
    field: _integer(_INDEXED, 7, number) for number, field in enumerate(STATIC_TABLE, 1) if field[1]
}
_STATIC_NAMES: Final = {
    name: number for number, (name, _) in reversed(list(enumerate(STATIC_TABLE, 1)))
}


class HeaderEncoder:
    """The encoder of one connection, with its dynamic table."""

    __slots__ = ("_count", "_entries", "_index", "_resized", "_seen", "_size", "_table_size")

    def __init__(self) -> None:
        self._index: dict[tuple[bytes, bytes], int] = {}  # by field, how many came before it
        self._entries: deque[tuple[bytes, bytes]] = deque()  # the oldest first
        self._count = 0
        self._size = 0
        self._table_size: int = _TABLE_SIZE
        self._seen: set[tuple[bytes, bytes]] = set()
        self._resized: list[int] = []  # what the next section has to say first

    def limit(self, size: int) -> None:
        """Take the peer's SETTINGS_HEADER_TABLE_SIZE (RFC 7541 §4.2)."""
        size = min(size, _TABLE_SIZE)
        if size != self._table_size:
            self._table_size = size
            self._evict(size)
            # The smallest of several must be said, and the last.
            smallest = min(self._resized[0], size) if self._resized else size
            self._resized = [smallest] if smallest == size else [smallest, size]

    def encode(self, fields: Fields) -> bytes:
        """Return a whole section."""
        out: list[bytes] = []
        if self._resized:
            out += [_integer(_RESIZED, 5, size) for size in self._resized]
            self._resized = []
        for field in fields:
            before = self._index.get(field, -1)
            if before >= 0:
                number = _FIRST_DYNAMIC + self._count - before - 1
                if number < 0x7F:
                    out.append(_BYTES[_INDEXED | number])
                else:
                    out.append(_integer(_INDEXED, 7, number))
                continue
            static = _STATIC.get(field)
            if static is not None:
                out.append(static)
            else:
                self._put_literal(out, field)
        return b"".join(out)

    def _put_literal(self, out: list[bytes], field: tuple[bytes, bytes]) -> None:
        name, value = field
        number = _STATIC_NAMES.get(name, 0)
        size = len(name) + len(value) + _ENTRY_OVERHEAD
        if name in _SECRET:
            out.append(_integer(_NEVER_REMEMBERED, 4, number))
        elif size <= _MAX_ENTRY and self._came_before(field):
            out.append(_integer(_REMEMBERED, 6, number))
            self._remember(field, size)
        else:
            out.append(_integer(_PLAIN, 4, number))
        if not number:
            out += (_integer(0, 7, len(name)), name)
        out += (_integer(0, 7, len(value)), value)

    def _came_before(self, field: tuple[bytes, bytes]) -> bool:
        seen = self._seen
        if field in seen:
            seen.discard(field)
            return True
        if len(seen) >= _MAX_SEEN:
            seen.clear()
        seen.add(field)
        return False

    # --- the dynamic table (RFC 7541 §4) ---

    def _remember(self, field: tuple[bytes, bytes], size: int) -> None:
        self._evict(self._table_size - size)
        if size <= self._table_size:
            self._index[field] = self._count
            self._entries.append(field)
            self._count += 1
            self._size += size

    def _evict(self, size: int) -> None:
        while self._entries and self._size > size:
            field = self._entries.popleft()
            del self._index[field]
            self._size -= len(field[0]) + len(field[1]) + _ENTRY_OVERHEAD
