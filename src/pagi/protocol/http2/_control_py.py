"""`ControlReceiver`: frames of the peer that carry no request (RFC 9113 §6).

One source, two builds: compiled as ``_control_c`` (see ``_control_c.pxd``).

Settings, credit, resets and pings, and what they cost the peer.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.connection import DefaultFields
from pagi.protocol.http2._sender_py import HTTP2Sender
from pagi.protocol.http2._stream_py import StreamState
from pagi.protocol.http2.codes import (
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
)
from pagi.protocol.http2.faults import fault
from pagi.protocol.http2.kinds import ACK, PING, SETTINGS
from pagi.protocol.http2.limits import HTTP2Limits
from pagi.protocol.http2.phases import GONE
from pagi.protocol.http2.settings import DEFAULT_WINDOW, read_settings

__all__ = ["ControlReceiver"]

_MAX_WINDOW: Final = 2**31 - 1
#: Frames that answer the peer's and that it has not let us send.
_MAX_REPLIES: Final = 1000
_ONE_REPLY: Final = 17
#: We make no larger frames, whatever the peer takes: others wait for their turn meanwhile.
_LARGEST_FRAME: Final = 65_536


class ControlReceiver(HTTP2Sender):
    """The state of the connection that the peer changes without a request.

    Attributes:
        greeted: the peer's first SETTINGS have come.
    """

    __slots__ = ("_credit", "_highest", "_owed", "_own_window", "_replies", "greeted")

    def __init__(self, limits: HTTP2Limits, defaults: DefaultFields) -> None:
        HTTP2Sender.__init__(self, limits, defaults)
        self.greeted = False
        self._highest = 0  # of all streams that the peer has named
        self._credit: int = DEFAULT_WINDOW  # of the connection: what the peer may send
        self._owed = 0
        # Until the peer has acknowledged our SETTINGS, what held before them holds, too.
        self._own_window: int = max(limits.window_size, DEFAULT_WINDOW)
        self._replies = 0

    def _take_credit(self, stream_id: int, size: int) -> None:
        """WINDOW_UPDATE (RFC 9113 §6.9)."""
        if not stream_id:
            if not size:
                fault(PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
            self._window += size
            if self._window > _MAX_WINDOW:
                fault(FLOW_CONTROL_ERROR, "a window beyond all bounds")
            return
        state = self._streams.get(stream_id)
        if state is None:
            if stream_id > self._highest or not stream_id & 1:
                fault(PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that is not open")
        elif not size:
            self._stop(state, PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
        elif state.window + size > _MAX_WINDOW:
            self._stop(state, FLOW_CONTROL_ERROR, "a window beyond all bounds")
        else:
            self._give_credit(state, size)

    def _take_reset(self, stream_id: int, code: int) -> None:
        if stream_id > self._highest or not stream_id & 1:
            fault(PROTOCOL_ERROR, "RST_STREAM on a stream that is not open")
        self._charge_reset()
        state = self._streams.get(stream_id)
        if state is not None:
            self._peer_reset(state, code)

    def _take_settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            if payload:
                fault(FRAME_SIZE_ERROR, "an acknowledgement that is not empty")
            self._own_window = self._limits.window_size
            return
        if len(payload) % 6:
            fault(FRAME_SIZE_ERROR, "SETTINGS of a broken length")
        self._charge_frame()
        self._apply_settings(payload)
        self.greeted = True
        self._put(SETTINGS, ACK, 0, b"")
        self._count_reply()

    def _apply_settings(self, payload: bytes) -> None:
        settings = read_settings(payload)
        if settings.fault:
            fault(settings.fault, settings.detail)
        if settings.header_table_size is not None:
            self._encoder.limit(settings.header_table_size)
        if settings.max_frame_size is not None:
            self._peer_frame_size = min(settings.max_frame_size, _LARGEST_FRAME)
        if settings.initial_window_size is not None:
            self._change_windows(settings.initial_window_size - self._initial_window)
            self._initial_window = settings.initial_window_size

    def _change_windows(self, difference: int) -> None:
        """RFC 9113 §6.9.2: all streams get more credit, or less."""
        for state in self._streams.values():
            if state.window + difference > _MAX_WINDOW:
                fault(FLOW_CONTROL_ERROR, "a window beyond all bounds")
            self._give_credit(state, difference)

    def _take_ping(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            self._pong(payload)
            return
        self._charge_frame()
        self._put(PING, ACK, 0, payload)
        self._count_reply()

    def _count_reply(self) -> None:
        """What the peer asks for and does not read must not pile up."""
        self._replies = self._replies + 1 if self._out_size > _ONE_REPLY else 0
        if self._replies > _MAX_REPLIES:
            fault(ENHANCE_YOUR_CALM, "the peer does not read what it asks for")

    # --- budgets and credit ---

    def _charge_frame(self) -> None:
        if not self._guard.charge_frame():
            fault(ENHANCE_YOUR_CALM, "too many frames that ask for nothing")

    def _charge_reset(self) -> None:
        if not self._guard.charge_reset():
            fault(ENHANCE_YOUR_CALM, "too many streams were reset")

    def _consume(self, state: StreamState, size: int) -> None:
        """Body bytes of a stream have gone: the peer gets credit again, for many at a time."""
        self._owe(size)
        state.owed += size
        if state.peer_done or state.phase == GONE:
            return
        if 2 * state.owed >= self._limits.window_size:
            self._put_credit(state.stream_id, state.owed)
            state.credit += state.owed
            state.owed = 0

    def _owe(self, size: int) -> None:
        self._owed += size
        if 2 * self._owed >= self._limits.connection_window_size:
            self._put_credit(0, self._owed)
            self._credit += self._owed
            self._owed = 0

    # --- what it means for a stream; `HTTP2Connection` ---

    def _peer_reset(self, state: StreamState, code: int) -> None:
        """RST_STREAM on an open stream."""

    def _stop(self, state: StreamState, code: int, detail: str) -> None:
        """The peer has broken a rule that ends the stream."""

    def _pong(self, data: bytes) -> None:
        """A PING of ours is answered."""
