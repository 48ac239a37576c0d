"""`Pulse`: what an event stream does by itself while its application is silent.

One source, two builds: compiled as ``_pulse_c`` (see ``_pulse_c.pxd``).

Three deadlines share one alarm: the next keepalive, which each byte that is sent moves; the end
of an idle stream, which each event moves; and the end that a stop of the server brings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pagi.server.exchange.alarm import Alarm

if TYPE_CHECKING:
    from pagi.server.exchange.service import Service

__all__ = ["Pulse"]


class Pulse:
    """The keepalive and the deadlines of one event stream. Times are those of the loop."""

    __slots__ = (
        "_alarm",
        "_comment",
        "_end_at",
        "_exchange",
        "_idle",
        "_interval",
        "_loop",
        "_sent_at",
        "_spoke_at",
    )

    def __init__(self, exchange: Any, service: Service) -> None:
        self._exchange = exchange
        self._loop = service.loop
        self._alarm = Alarm(service.loop, self._ring)
        self._idle: float | None = service.sse.idle_timeout
        self._interval = 0.0
        self._comment = b""
        self._end_at: float | None = None
        self._sent_at = self._spoke_at = self._loop.time()
        self._alarm.set(self._due())

    def keep_alive(self, interval: float, comment: bytes) -> None:
        """Send ``comment`` after ``interval`` seconds in which nothing was sent; 0 ends it."""
        self._interval = interval
        self._comment = comment
        self._alarm.set(self._due())

    def spoke(self) -> None:
        """An event or a comment of the application was sent."""
        self._sent_at = self._spoke_at = self._loop.time()

    def end_by(self, due: float) -> None:
        """End the stream at ``due``, because the server stops."""
        self._end_at = due
        self._alarm.set(due)

    def stop(self) -> None:
        """The stream has ended."""
        self._exchange = None
        self._alarm.stop()

    def _due(self) -> float | None:
        times = []
        if self._interval > 0:
            times.append(self._sent_at + self._interval)
        if self._idle is not None:
            times.append(self._spoke_at + self._idle)
        if self._end_at is not None:
            times.append(self._end_at)
        return min(times) if times else None

    def _ring(self, now: float) -> float | None:
        exchange = self._exchange
        if self._end_at is not None and now >= self._end_at:
            exchange.end_events("server_shutdown")
        elif self._idle is not None and now >= self._spoke_at + self._idle:
            exchange.end_events("idle_timeout")
        elif self._interval > 0 and now >= self._sent_at + self._interval:
            self._sent_at = now
            exchange.write_keepalive(self._comment)
        return None if self._exchange is None else self._due()
