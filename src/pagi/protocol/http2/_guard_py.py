"""`PeerGuard`: the budgets of a peer, and what is remembered of streams that have ended.

One source, two builds: compiled as ``_guard_c`` (see ``_guard_c.pxd``).

Frames that are right and worthless can be sent faster than anybody can ignore them, and streams
that are reset cost an application each. Both have a budget that time refills.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.http2.limits import HTTP2Limits

__all__ = ["PeerGuard"]

#: How streams were closed.
_BY_PEER: Final = 1  # it sent END_STREAM or RST_STREAM: nothing may follow (RFC 9113 §5.1)
_BY_US: Final = 2  # it may not know yet
_UNKNOWN: Final = 0

#: Bytes sent to the peer for which it may send one frame that asks for nothing: WINDOW_UPDATE.
_BYTES_PER_FRAME: Final = 1024
#: How many seconds it takes until all that may come at once may come again.
_REFILL_TIME: Final = 10.0


class PeerGuard:
    """Keeps the budgets of a connection, and remembers how its last streams were closed."""

    __slots__ = (
        "_closed",
        "_closed_before",
        "_idle_frames",
        "_max_closed",
        "_max_idle_frames",
        "_max_resets",
        "_resets",
        "_time",
    )

    def __init__(self, limits: HTTP2Limits) -> None:
        self._closed: dict[int, int] = {}
        self._closed_before: dict[int, int] = {}
        self._max_closed = 2 * limits.max_concurrent_streams + 100
        self._max_resets = float(limits.max_resets)
        self._max_idle_frames = float(limits.max_idle_frames)
        self._resets = self._max_resets
        self._idle_frames = self._max_idle_frames
        self._time = 0.0

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

    def charge_reset(self) -> bool:
        """Take one reset off the budget, for whatever reason; tell whether there was one left."""
        self._resets -= 1.0
        return self._resets >= 0.0

    def charge_frame(self) -> bool:
        """Take a frame that asks for nothing off the budget; tell whether there was one left."""
        self._idle_frames -= 1.0
        return self._idle_frames >= 0.0

    def closed(self, stream_id: int, by_us: bool) -> None:
        """Remember how a stream ended; the first way counts."""
        if stream_id not in self._closed:
            if len(self._closed) >= self._max_closed:
                self._closed_before = self._closed
                self._closed = {}
            self._closed[stream_id] = _BY_US if by_us else _BY_PEER

    def was_closed_by_peer(self, stream_id: int) -> bool:
        """Tell whether the peer itself has ended a stream; False if that is long ago."""
        return self._how(stream_id) == _BY_PEER

    def was_closed_by_us(self, stream_id: int) -> bool:
        """Tell whether we have ended a stream, so that the peer may not know."""
        return self._how(stream_id) == _BY_US

    def _how(self, stream_id: int) -> int:
        return self._closed.get(stream_id) or self._closed_before.get(stream_id, _UNKNOWN)
