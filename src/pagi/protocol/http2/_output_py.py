"""`FrameOutput`: frames on their way out, flow control and whose turn it is.

One source, two builds: compiled as ``_output_c`` (see ``_output_c.pxd``).

Frames that need no credit are made at once and leave in order. Bodies wait, by stream, and become
frames when the driver pulls: as much as the peer gives credit for, the most urgent first, and of
equally urgent ones those that are incremental in turns (RFC 9218 §10). A stream whose last frame
has not been pulled still counts as open, so a peer that reads nothing cannot make us hold more than
one answer for each stream that it may have.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.events import Fields
from pagi.protocol.http2._encoder_py import HeaderEncoder
from pagi.protocol.http2._frame_py import frame_head
from pagi.protocol.http2._stream_py import StreamState
from pagi.protocol.http2.kinds import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    WINDOW_UPDATE,
)

__all__ = ["FrameOutput"]

_DEFAULT_WINDOW: Final = 65_535
_DEFAULT_FRAME: Final = 16_384
_URGENCIES: Final = 8


class FrameOutput:
    """The frames of one connection that were not pulled yet."""

    __slots__ = (
        "_encoder",
        "_ended",
        "_initial_window",
        "_out",
        "_out_size",
        "_peer_frame_size",
        "_ready",
        "_ready_count",
        "_window",
    )

    def __init__(self) -> None:
        self._encoder = HeaderEncoder()
        self._out: list[bytes] = []  # frames, in pieces, in order
        self._out_size = 0
        self._ended: list[StreamState] = []  # streams whose last frame is in ``_out``
        self._window: int = _DEFAULT_WINDOW  # the peer's, for all streams together
        self._initial_window: int = _DEFAULT_WINDOW
        self._peer_frame_size: int = _DEFAULT_FRAME
        #: Streams that have something to send and credit for it, by urgency.
        self._ready: list[list[StreamState]] = [[] for _ in range(_URGENCIES)]
        self._ready_count = 0

    # --- frames that need no credit ---

    def _put(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        self._out.append(frame_head(len(payload), kind, flags, stream_id))
        self._out_size += 9
        if payload:
            self._out.append(payload)
            self._out_size += len(payload)

    def _put_head(self, state: StreamState, wire: Fields, end: bool) -> None:
        """A header section; with ``end`` the last of the stream."""
        block = self._encoder.encode(wire)
        flags = END_STREAM if end else 0
        if len(block) <= self._peer_frame_size:
            self._put(HEADERS, flags | END_HEADERS, state.stream_id, block)
        else:
            self._put_long_head(state.stream_id, block, flags)
        if end:
            self._ended.append(state)

    def _put_long_head(self, stream_id: int, block: bytes, flags: int) -> None:
        step = self._peer_frame_size
        self._put(HEADERS, flags, stream_id, block[:step])
        position = step
        while position < len(block):
            piece = block[position : position + step]
            position += step
            last = END_HEADERS if position >= len(block) else 0
            self._put(CONTINUATION, last, stream_id, piece)

    def _put_reset(self, state: StreamState, code: int) -> None:
        """The last frame of a stream; what waits of its body is dropped."""
        self._drop(state)
        self._put(RST_STREAM, 0, state.stream_id, code.to_bytes(4, "big"))
        self._ended.append(state)

    def _drop(self, state: StreamState) -> None:
        """Nothing of what waits will be sent."""
        if state.ready:
            self._ready[state.urgency].remove(state)
            self._ready_count -= 1
            state.ready = False
        state.queue = []
        state.queued = state.offset = state.parked = 0
        state.ends = False
        state.trailer = None

    def _put_credit(self, stream_id: int, size: int) -> None:
        self._put(WINDOW_UPDATE, 0, stream_id, size.to_bytes(4, "big"))

    # --- bodies ---

    def _put_data(self, state: StreamState, data: bytes, end: bool) -> None:
        """Body bytes, which wait for their turn; with ``end`` the last of them."""
        size = len(data)
        if size:
            state.queue.append(data)
            state.queued += size
        if end:
            state.ends = True
        self._make_ready(state)

    def _put_small(self, state: StreamState, data: bytes) -> None:
        """A whole body right behind its head, if there is credit for it."""
        size = len(data)
        if size > state.window or size > self._window or size > self._peer_frame_size:
            self._put_data(state, data, True)
            return
        state.window -= size
        self._window -= size
        state.parked = size
        self._put(DATA, END_STREAM, state.stream_id, data)
        self._ended.append(state)

    def _put_trailer(self, state: StreamState, wire: Fields) -> None:
        """Trailer fields, behind what waits of the body."""
        state.trailer = wire
        self._make_ready(state)

    def _make_ready(self, state: StreamState) -> None:
        if state.ready or (state.queued and state.window <= 0):
            return
        if state.queued or state.ends or state.trailer is not None:
            state.ready = True
            self._ready[state.urgency].append(state)
            self._ready_count += 1

    # --- credit ---

    def _give_credit(self, state: StreamState, size: int) -> None:
        state.window += size
        if state.queued:
            self._make_ready(state)

    def _set_urgency(self, state: StreamState, urgency: int, incremental: bool) -> None:
        state.incremental = incremental
        if urgency != state.urgency:
            if state.ready:
                self._ready[state.urgency].remove(state)
                self._ready[urgency].append(state)
            state.urgency = urgency

    # --- pulling ---

    def _take(self, limit: int) -> bytes:
        """Return frames of about ``limit`` bytes together."""
        if self._ready_count and self._out_size < limit:
            self._fill(limit)
        out = self._out
        if not out:
            return b""
        self._out = []
        self._out_size = 0
        return b"".join(out) if len(out) > 1 else out[0]

    def _fill(self, limit: int) -> None:
        for ready in self._ready:
            if ready:
                self._fill_from(ready, limit)
                if self._out_size >= limit:
                    return

    def _fill_from(self, ready: list[StreamState], limit: int) -> None:
        """Let the streams of one urgency have their turns."""
        position = 0  # those before it wait for credit of the connection
        while position < len(ready) and self._out_size < limit:
            state = ready[position]
            if state.queued and self._window <= 0:
                position += 1
                continue
            self._send_some(state)
            if state.queued and state.window > 0:
                if state.incremental and len(ready) > 1:
                    del ready[position]
                    ready.append(state)
            else:
                del ready[position]
                state.ready = False
                self._ready_count -= 1

    def _send_some(self, state: StreamState) -> None:
        """One frame of a stream, and its end if nothing is left."""
        # A window may be below zero, after the peer made it smaller (RFC 9113 §6.9.2).
        size = max(0, min(state.queued, state.window, self._window, self._peer_frame_size))
        last = size == state.queued
        if size or (last and state.ends):
            end = last and state.ends
            self._out.append(frame_head(size, DATA, END_STREAM if end else 0, state.stream_id))
            self._out_size += 9 + size
            state.window -= size
            self._window -= size
            self._move(state, size)
            if end:
                self._ended.append(state)
        if last and state.trailer is not None:
            wire, state.trailer = state.trailer, None
            self._put_head(state, wire, True)

    def _move(self, state: StreamState, size: int) -> None:
        """Move ``size`` body bytes into the frames."""
        state.queued -= size
        while size:
            data = state.queue[0]
            rest = len(data) - state.offset
            if rest <= size:
                whole = data if not state.offset else memoryview(data)[state.offset :]
                self._out.append(whole)  # type: ignore[arg-type]
                del state.queue[0]
                state.offset = 0
                size -= rest
            else:
                stop = state.offset + size
                self._out.append(memoryview(data)[state.offset : stop])  # type: ignore[arg-type]
                state.offset = stop
                size = 0
