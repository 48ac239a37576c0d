"""The worker's tick: coarse time, the Date field, deadlines; once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from time import gmtime, monotonic, time
from typing import Any, Final

from pagi.protocol.connection import DefaultFields
from pagi.server.connection.context import Clock

__all__ = ["Ticker", "http_date"]

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "",
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


def http_date(seconds: float) -> bytes:
    """Format seconds since the epoch as IMF-fixdate (RFC 9110 §5.6.7)."""
    at = gmtime(seconds)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02d} {_MONTHS[at.tm_mon]} {at.tm_year:04d} "
        f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} GMT"
    ).encode()


class Ticker:
    """Moves the clock on every full second and lets everything that has a deadline look at it.

    Args:
        loop: the running loop.
        clock: the clock to move.
        defaults: gets the new Date value, if ``send_date``.
        send_date: whether responses carry a Date.
        connections: what has an ``on_tick(now)``.
        also: called with the wall-clock time after that (the access log's timestamp).
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        defaults: DefaultFields,
        send_date: bool,
        connections: Iterable[Any],
        also: Callable[[float], None] | None = None,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._defaults = defaults
        self._send_date = send_date
        self._connections = connections
        self._also = also
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Tick now and then once a second."""
        self._tick()

    def stop(self) -> None:
        """Tick no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self) -> None:
        wall = time()
        self._handle = self._loop.call_later(1.0 - wall % 1.0, self._tick)
        now = monotonic()
        self._clock.now = now
        if self._send_date:
            self._defaults.set_date(http_date(wall))
        if self._also is not None:
            self._also(wall)
        for connection in tuple(self._connections):
            connection.on_tick(now)
