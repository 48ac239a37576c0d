"""`HeadReader`, the request heads of one connection: Python twin.

A client that keeps its connection mostly sends the same fields again, byte for byte. They are
compared then, not parsed. What is kept for that may hold secrets, so the connection's owner has it
forgotten when the connection is idle.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.events import Fields, RequestReceived
from pagi.protocol.http1._head_py import Notes, check_prefix, parse_head, parse_repeated
from pagi.protocol.http1.limits import HTTP1Limits

__all__ = ["HeadReader"]

#: Field lines of more bytes than these are not kept.
MAX_KEPT: Final = 2048


class HeadReader:
    """Parses heads; remembers the field lines of the last two if they were as long."""

    __slots__ = (
        "_fields",
        "_kept",
        "_max_head_size",
        "_max_header_count",
        "_max_target_size",
        "_notes",
        "_size",
    )

    def __init__(self, limits: HTTP1Limits) -> None:
        self._max_head_size = limits.max_head_size
        self._max_target_size = limits.max_target_size
        self._max_header_count = limits.max_header_count
        self._size = 0  # of the field lines of the last head
        self._kept = b""  # these lines, if the head before had as many bytes of them
        self._fields: Fields = []  # parsed from them
        self._notes: Notes | None = None

    def read(
        self, data: bytes, start: int, stream_id: int
    ) -> tuple[RequestReceived, int, Notes | None] | None:
        """Parse the request head that begins at ``start``; see `parse_head`."""
        begin = data.find(b"\n", start) + 1
        if self._kept and data.startswith(self._kept, begin):
            end = begin + self._size
            if end - start <= self._max_head_size:
                event = parse_repeated(
                    data, start, begin, stream_id, self._max_target_size, self._fields
                )
                if event is not None:
                    return event, end, self._notes
        parsed = parse_head(
            data,
            start,
            stream_id,
            self._max_head_size,
            self._max_target_size,
            self._max_header_count,
        )
        if parsed is not None:
            event, end, notes = parsed
            if end - begin == self._size:
                self._keep(data[begin:end], event, notes)
            else:
                self.forget()
                self._size = end - begin
        return parsed

    def _keep(self, lines: bytes, event: RequestReceived, notes: Notes | None) -> None:
        usual = event.http_version == "1.1" and event.scheme is None and event.authority is None
        if usual and self._size <= MAX_KEPT:
            self._kept = lines
            self._fields = event.fields.copy()
            self._notes = notes

    def forget(self) -> None:
        """Keep nothing of the heads that were read."""
        if self._size:
            self._size = 0
            self._kept = b""
            self._fields = []
            self._notes = None

    def check_prefix(self, tail: bytearray, searched: int) -> None:
        """Find what is wrong with a partial head; see `pagi.protocol.http1._head_py`."""
        check_prefix(tail, 0, len(tail), searched, self._max_head_size, self._max_target_size)
