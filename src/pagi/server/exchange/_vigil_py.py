"""`Vigil`: the pings and the deadlines of one WebSocket.

One source, two builds: compiled as ``_vigil_c`` (see ``_vigil_c.pxd``).

All share one alarm. Times are those of the loop's clock; 0 is never.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from pagi.server.exchange.alarm import Alarm

if TYPE_CHECKING:
    from pagi.server.exchange.service import Service

__all__ = ["Vigil"]

GOING_AWAY: Final = 1001
SERVICE_RESTART: Final = 1012
#: The least time, in seconds, that a peer gets to answer a close during a stop.
ANSWER_TIME: Final = 1.0


class Vigil:
    """What happens to a WebSocket because time passes.

    Args:
        exchange: pings (`send_ping`), closes (`close_for`) and ends (`lose`) for it.
        service: for the loop and the settings.
    """

    __slots__ = (
        "_alarm",
        "_close_at",
        "_exchange",
        "_idle_at",
        "_idle_timeout",
        "_interval",
        "_last_at",
        "_loop",
        "_ping_at",
        "_ping_count",
        "_pinged",
        "_pinged_at",
        "_stop_at",
        "_timeout",
    )

    def __init__(self, exchange: Any, service: Service) -> None:
        settings = service.websocket
        self._exchange = exchange
        self._loop = service.loop
        self._alarm = Alarm(service.loop, self._ring)
        self._interval = 0.0
        self._timeout = 0.0
        self._ping_at = 0.0  # when the next ping is due
        self._pinged_at = 0.0  # when the one was sent that is not answered
        self._pinged = 0.0  # the same, by a clock that knows microseconds
        self._ping_count = 0
        self._idle_timeout: float = settings.idle_timeout or 0.0
        self._idle_at = 0.0  # when it is idle for too long
        self._stop_at = 0.0  # when the stop of the server reaches this one
        self._close_at = 0.0  # when the peer's close is overdue
        self._last_at = 0.0  # when the stop of the server waits for it no longer
        self.moved()
        self.keep_alive(settings.ping_interval or 0.0, settings.ping_timeout or 0.0)

    def keep_alive(self, interval: float, timeout: float) -> None:
        """Ping every ``interval`` seconds and wait ``timeout`` for each answer; 0 is never."""
        self._interval = interval
        self._timeout = timeout
        self._ping_at = self._loop.time() + interval if interval > 0 else 0.0
        self._pinged_at = 0.0
        self._alarm.set(self._due())

    def moved(self) -> None:
        """A message came or went."""
        if self._idle_timeout:
            self._idle_at = self._loop.time() + self._idle_timeout

    def answered(self, payload: bytes) -> float | None:
        """Take a pong; return the seconds it took if it answers our last ping (RFC 6455 §5.5.3)."""
        if not self._pinged_at or payload != b"%d" % self._ping_count:
            return None
        took = perf_counter() - self._pinged
        self._pinged_at = 0.0
        return took

    def stop(self, seconds: float, grace: float) -> None:
        """The server stops: close in so many seconds, and be done with it when ``grace`` is over.

        Where the close was sent before, its answer is waited for no longer than that.
        """
        now = self._loop.time()
        self._last_at = now + max(grace, seconds + ANSWER_TIME)
        if self._close_at:
            self._close_at = min(self._close_at, self._last_at)
        else:
            self._stop_at = now + seconds
        self._alarm.set(self._due())

    def await_close(self, timeout: float | None) -> None:
        """Wait for nothing but the peer's close, for ``timeout`` seconds."""
        self._ping_at = self._pinged_at = self._idle_at = self._stop_at = 0.0
        self._idle_timeout = 0.0
        if timeout is not None:
            self._close_at = self._loop.time() + timeout
            if self._last_at:
                self._close_at = min(self._close_at, self._last_at)
        else:
            self._close_at = self._last_at
        if self._close_at:
            self._alarm.set(self._close_at)

    def end(self) -> None:
        """The WebSocket has ended."""
        self._exchange = None
        self._alarm.stop()

    def _due(self) -> float | None:
        overdue = self._pinged_at + self._timeout if self._pinged_at and self._timeout else 0.0
        times = (self._ping_at, overdue, self._idle_at, self._stop_at, self._close_at)
        return min((time for time in times if time), default=None)

    def _ring(self, now: float) -> float | None:
        exchange = self._exchange
        if self._close_at and now >= self._close_at:
            exchange.lose("the peer did not answer our close")
        elif self._stop_at and now >= self._stop_at:
            exchange.close_for("server_shutdown", SERVICE_RESTART, "the server restarts")
        elif self._pinged_at and self._timeout and now >= self._pinged_at + self._timeout:
            exchange.lose("a ping was not answered", "keepalive_timeout")
        elif self._idle_at and now >= self._idle_at:
            exchange.close_for("idle_timeout", GOING_AWAY, "idle for too long")
        elif self._ping_at and now >= self._ping_at:
            self._ping_at = now + self._interval
            if not self._pinged_at:  # else the deadline of that one stands
                self._ping_count += 1
                self._pinged_at = now
                self._pinged = perf_counter()
                exchange.send_ping(b"%d" % self._ping_count)
        return self._due() if self._exchange is not None else None
