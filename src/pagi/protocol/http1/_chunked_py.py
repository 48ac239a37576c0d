"""`ChunkedReader`: the chunked transfer coding taken off (RFC 9112 §7.1).

    chunked-body = *chunk last-chunk trailer-section CRLF
    chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF

            ┌────── size line, size > 0 ─────┐
            │                                ▼
         ┌──┴───┐                        ┌──────┐
    ────►│ SIZE │◄── CRLF ──┐            │ DATA │
         └──┬───┘      ┌────┴─────┐      └──┬───┘
            │          │ DATA_END │◄────────┘  all bytes of the chunk
       size line 0     └──────────┘
            ▼
       ┌─────────┐  empty line   ┌──────┐
       │ TRAILER ├──────────────►│ DONE │
       └─────────┘               └──────┘

Lines end with CRLF and nothing else. Lines are looked for by their LF, so that a bare one is an
error at once instead of a wait for the CRLF that never comes.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.errors import RemoteProtocolError
from pagi.protocol.events import Fields
from pagi.protocol.fields import MAX_SIZE
from pagi.protocol.grammar import CHUNK_LINE
from pagi.protocol.http1._chunks_py import take_chunks
from pagi.protocol.http1._head_py import parse_field
from pagi.protocol.http1.limits import HTTP1Limits
from pagi.protocol.trailers import may_be_trailer

__all__ = ["ChunkedReader"]

_SIZE: Final = 0
_DATA: Final = 1
_DATA_END: Final = 2
_TRAILER: Final = 3
_DONE: Final = 4

# Most size lines have no extension; what is left for the pattern is rare.
_HEX_DIGITS: Final = b"0123456789ABCDEFabcdef"


class ChunkedReader:
    """Decoder of one chunked body.

    Attributes:
        pieces: decoded data not yet taken by the owner, who empties the list.
        trailers: fields of the trailer section, without the forbidden ones.
        done: the body is complete.
        received: decoded bytes so far.
    """

    __slots__ = (
        "_left",
        "_line",
        "_max_body_size",
        "_max_line",
        "_max_trailer_count",
        "_max_trailer_size",
        "_state",
        "_trailer_count",
        "_trailer_size",
        "done",
        "pieces",
        "received",
        "trailers",
    )

    def __init__(self, limits: HTTP1Limits) -> None:
        self.pieces: list[bytes] = []
        self.trailers: Fields = []
        self.done = False
        self.received = 0
        self._state = _SIZE
        self._left = 0
        self._line = bytearray()  # of a line that is not complete
        self._trailer_size = 0
        self._trailer_count = 0
        # a CR may belong to the line end
        self._max_line = limits.max_chunk_line_size + 1
        self._max_trailer_size = limits.max_trailer_size
        self._max_trailer_count = limits.max_header_count
        size = limits.max_body_size
        self._max_body_size = MAX_SIZE if size is None else size

    def feed(self, data: bytes, pos: int) -> int:
        """Decode ``data`` from ``pos`` on and return the offset behind what was used.

        All of ``data`` is used unless the body ends before.

        Raises:
            RemoteProtocolError: the coding is faulty or a limit is exceeded.
        """
        stop = len(data)
        while pos < stop and self._state != _DONE:
            if self._state == _DATA:
                pos = self._feed_data(data, pos, stop)
            elif self._state == _SIZE:
                pos = self._feed_small(data, pos, stop)
            elif self._state == _DATA_END:
                pos = self._feed_data_end(data, pos)
            else:
                pos = self._feed_trailer(data, pos, stop)
        return pos

    def _feed_small(self, data: bytes, pos: int, stop: int) -> int:
        if not self._line:
            end = take_chunks(data, pos, self._max_body_size - self.received, self.pieces)
            if end > pos:
                self.received += len(self.pieces[-1])
                return end
        return self._feed_size(data, pos, stop)

    def _feed_data(self, data: bytes, pos: int, stop: int) -> int:
        size = stop - pos
        if size > self._left:
            size = self._left
        self.pieces.append(data[pos : pos + size])
        self._left -= size
        if self._left == 0:
            self._state = _DATA_END
            self._left = 2
        return pos + size

    def _feed_data_end(self, data: bytes, pos: int) -> int:
        if self._left == 2 and data[pos : pos + 2] == b"\r\n":
            self._state = _SIZE
            return pos + 2
        if data[pos] != (13 if self._left == 2 else 10):
            raise RemoteProtocolError("chunk data is not followed by CRLF")
        self._left -= 1
        if self._left == 0:
            self._state = _SIZE
        return pos + 1

    def _feed_size(self, data: bytes, pos: int, stop: int) -> int:
        end = data.find(b"\n", pos)
        line = self._line
        if (stop if end < 0 else end) - pos + len(line) > self._max_line:
            # Extensions carry nothing for us: RFC 9112 §7.1.1 asks for a limit
            raise RemoteProtocolError("a chunk size line is too long")
        if end < 0:
            line += data[pos:]
            return stop
        text = data[pos : end + 1]
        if line:
            text = bytes(line) + text
            line.clear()
        self._begin_chunk(text)
        return end + 1

    def _begin_chunk(self, line: bytes) -> None:
        digits = line[:-2]
        if line[-2:] != b"\r\n":
            raise RemoteProtocolError("a chunk size line ends without CR")
        if not 0 < len(digits) <= 16 or digits.strip(_HEX_DIGITS):
            match = CHUNK_LINE.fullmatch(digits)
            if match is None:
                raise RemoteProtocolError("a chunk size line is malformed")
            digits = match[1]
        size = int(digits, 16)
        if size == 0:
            self._state = _TRAILER
            return
        self.received += size
        if self.received > self._max_body_size:
            raise RemoteProtocolError("the body is too large", 413, "body_too_large")
        self._left = size
        self._state = _DATA

    def _feed_trailer(self, data: bytes, pos: int, stop: int) -> int:
        end = data.find(b"\n", pos) + 1
        used = (end or stop) - pos
        self._trailer_size += used
        if self._trailer_size > self._max_trailer_size:
            raise RemoteProtocolError("the trailer section is too long", 431)
        line = self._line
        line += data[pos : pos + used]
        if end:
            text = bytes(line)
            line.clear()
            self._end_trailer(text)
        return pos + used

    def _end_trailer(self, line: bytes) -> None:
        if line[-2:] != b"\r\n":
            raise RemoteProtocolError("a trailer line ends without CR")
        if len(line) == 2:
            self._state = _DONE
            self.done = True
            return
        self._trailer_count += 1
        if self._trailer_count > self._max_trailer_count:
            raise RemoteProtocolError("there are too many trailer fields", 431)
        field = parse_field(line[:-2])
        if may_be_trailer(field[0]):
            self.trailers.append(field)
