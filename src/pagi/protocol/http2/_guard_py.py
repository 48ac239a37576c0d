"""`FrameGuard`: reads the frames of a peer along with the engine.

One source, two builds: compiled as ``_guard_c`` (see ``_guard_c.pxd``).

libnghttp2 decides what nearly every frame means. Two things are left to us: frames that it passes
over in silence although RFC 9113 calls them errors, and frames that are right and worthless, which
a peer can send faster than anybody can ignore them. Only frame heads and the first bytes of some
payloads are looked at; nothing is copied.

A frame that is only known in part goes to the engine before it is judged. That does no harm: every
verdict here ends the connection.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.http2.codes import (
    ENHANCE_YOUR_CALM,
    FRAME_SIZE_ERROR,
    NO_ERROR,
    PREFACE,
    PROTOCOL_ERROR,
    STREAM_CLOSED,
)
from pagi.protocol.http2.limits import HTTP2Limits

__all__ = ["FrameGuard"]

_HEAD: Final = 9
_DATA: Final = 0
_HEADERS: Final = 1
_PRIORITY: Final = 2
_RST_STREAM: Final = 3
_SETTINGS: Final = 4
_PING: Final = 6
_GOAWAY: Final = 7
_CONTINUATION: Final = 9

_PRIORITY_SIZE: Final = 5

_END_STREAM: Final = 0x01
_ACK: Final = 0x01
_END_HEADERS: Final = 0x04
_PADDED: Final = 0x08
_HAS_PRIORITY: Final = 0x20

#: Streams that are closed and remembered, by how they were.
_BY_PEER: Final = 1  # it sent END_STREAM or RST_STREAM: nothing may follow (RFC 9113 §5.1)
_BY_US: Final = 2  # it may not know yet

#: Bytes sent to the peer for which it may send one frame that asks for nothing: WINDOW_UPDATE.
_BYTES_PER_FRAME: Final = 1024
#: How many seconds it takes until all that may come at once may come again.
_REFILL_TIME: Final = 10.0


class FrameGuard:
    """Judges frames by their heads, and keeps the budgets of a connection.

    Attributes:
        accepting: new streams are still wanted.
        error: code of the error of the connection that was found, or `NO_ERROR`.
        detail: what was wrong, in our words.
        last_stream_id: highest stream that the peer has opened.
        in_headers: a header section has begun and is not complete.
    """

    __slots__ = (
        "_closed",
        "_closed_before",
        "_idle_frames",
        "_judged",
        "_max_closed",
        "_max_idle_frames",
        "_max_resets",
        "_open",
        "_part",
        "_resets",
        "_skip",
        "_time",
        "accepting",
        "detail",
        "error",
        "in_headers",
        "last_stream_id",
    )

    def __init__(self, limits: HTTP2Limits) -> None:
        self.accepting = True
        self.error: int = NO_ERROR
        self.detail = ""
        self.last_stream_id = 0
        self.in_headers = False
        self._skip = len(PREFACE)  # bytes of the current frame that are not looked at
        self._judged = False  # the head of the frame that is known in part
        self._part = b""  # of a frame that is not known well enough
        self._open: set[int] = set()
        self._closed: dict[int, int] = {}
        self._closed_before: dict[int, int] = {}
        self._max_closed = 2 * limits.max_concurrent_streams + 100
        self._max_resets = float(limits.max_resets)
        self._max_idle_frames = float(limits.max_idle_frames)
        self._resets = self._max_resets
        self._idle_frames = self._max_idle_frames
        self._time = 0.0

    def upgraded(self) -> None:
        """The connection began with a request of HTTP/1.1, which is on stream 1."""
        self.last_stream_id = 1
        self._open.add(1)

    def refill(self, now: float) -> None:
        """Let time heal the budgets; ``now`` is in seconds."""
        passed = now - self._time
        if passed > 0.0:
            self._time = now
            share = passed / _REFILL_TIME
            self._resets = min(self._max_resets, self._resets + share * self._max_resets)
            self._idle_frames = min(
                self._max_idle_frames, self._idle_frames + share * self._max_idle_frames
            )

    def sent(self, size: int) -> None:
        """``size`` bytes went to the peer, which may give credit for them."""
        self._idle_frames = min(
            self._max_idle_frames, self._idle_frames + 2.0 * size / _BYTES_PER_FRAME
        )

    def closed(self, stream_id: int, by_us: bool) -> None:
        """Remember how a stream ended."""
        self._open.discard(stream_id)
        if stream_id not in self._closed:
            if len(self._closed) >= self._max_closed:
                self._closed_before = self._closed
                self._closed = {}
            self._closed[stream_id] = _BY_US if by_us else _BY_PEER

    def charge_reset(self) -> bool:
        """Take one reset off the budget, for whatever reason; tell whether there was one left."""
        self._resets -= 1.0
        if self._resets >= 0.0:
            return True
        self._fail(ENHANCE_YOUR_CALM, "too many streams were reset")
        return False

    def check(self, data: bytes) -> int:
        """Judge the frames in ``data``; return how many of its bytes may go to the engine.

        Those are all unless ``error`` is set.
        """
        size = len(data)
        if self._skip >= size:
            self._skip -= size
            return size
        position = self._skip
        self._skip = 0
        before = len(self._part)
        if before:
            data = self._part + data
            self._part = b""
            size += before
        while position < size:
            rest = size - position
            if rest < _HEAD:
                self._part = data[position:]
                break
            length = data[position] << 16 | data[position + 1] << 8 | data[position + 2]
            kind = data[position + 3]
            flags = data[position + 4]
            wanted = _HEAD
            if kind == _PRIORITY and length >= _PRIORITY_SIZE:
                wanted += 4
            elif kind == _HEADERS and flags & _HAS_PRIORITY and length > _PRIORITY_SIZE:
                wanted += 5 if flags & _PADDED else 4
            stream_id = (
                (data[position + 5] & 0x7F) << 24
                | data[position + 6] << 16
                | data[position + 7] << 8
                | data[position + 8]
            )
            if not self._judged:
                self._judge(kind, flags, length, stream_id)
            self._judged = rest < wanted and not self.error
            if self._judged:
                self._part = data[position:]
                break
            if wanted > _HEAD and not self.error:
                offset = position + wanted - 4
                self._check_dependency(data[offset : position + wanted], stream_id)
            if self.error:
                return max(position - before, 0)
            position += _HEAD + length
        if position > size:
            self._skip = position - size
        return size - before

    def _judge(self, kind: int, flags: int, length: int, stream_id: int) -> None:
        if kind == _HEADERS:
            self.in_headers = not flags & _END_HEADERS
            if stream_id > self.last_stream_id:
                if stream_id & 1 and self.accepting:
                    self.last_stream_id = stream_id
                    self._open.add(stream_id)
            elif stream_id not in self._open:
                self._check_closed(stream_id, True)
        elif kind == _DATA:
            if stream_id <= self.last_stream_id and stream_id not in self._open:
                self._check_closed(stream_id, False)
            if length == 0 and not flags & _END_STREAM:
                self._charge_frame()
        elif kind == _CONTINUATION:
            self.in_headers = not flags & _END_HEADERS
        elif kind == _RST_STREAM:
            if self.charge_reset() and 0 < stream_id <= self.last_stream_id:
                self.closed(stream_id, False)
        elif kind == _PRIORITY and stream_id == 0:
            self._fail(PROTOCOL_ERROR, "PRIORITY on stream 0")
        elif kind == _PRIORITY and length != _PRIORITY_SIZE:
            self._fail(FRAME_SIZE_ERROR, "PRIORITY of another length than 5")
        elif kind != _GOAWAY and not (kind in (_SETTINGS, _PING) and flags & _ACK):
            self._charge_frame()

    def _check_closed(self, stream_id: int, headers: bool) -> None:
        """RFC 9113 §5.1: after END_STREAM or RST_STREAM a peer sends no HEADERS and no DATA.

        §5.1.1: a new stream has a higher number than all before.
        """
        how = self._closed.get(stream_id) or self._closed_before.get(stream_id, 0)
        if how == _BY_PEER:
            self._fail(STREAM_CLOSED, "a frame on a stream that the peer had closed")
        elif how != _BY_US and headers:
            self._fail(PROTOCOL_ERROR, "a new stream with the number of an old one")

    def _check_dependency(self, parent: bytes, stream_id: int) -> None:
        """RFC 7540 §5.3.1: a stream cannot depend on itself."""
        if stream_id == ((parent[0] & 0x7F) << 24 | parent[1] << 16 | parent[2] << 8 | parent[3]):
            self._fail(PROTOCOL_ERROR, "a stream that depends on itself")

    def _charge_frame(self) -> None:
        self._idle_frames -= 1.0
        if self._idle_frames < 0.0:
            self._fail(ENHANCE_YOUR_CALM, "too many frames that ask for nothing")

    def _fail(self, code: int, detail: str) -> None:
        if not self.error:
            self.error = code
            self.detail = detail
