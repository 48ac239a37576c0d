"""`Alarm`: one timer for all deadlines of an exchange, moved lazily.

Deadlines that move with every message (silence, idleness) are not worth a timer each time: the
alarm rings when the earliest of them could have been due and is told then when to ring again.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable

__all__ = ["Alarm"]


class Alarm:
    """Calls back at or after a time of the loop's clock.

    Args:
        loop: the running loop.
        ring: called with the time. It returns when to ring next, or ``None``.
    """

    __slots__ = ("_handle", "_loop", "_ring")

    def __init__(self, loop: AbstractEventLoop, ring: Callable[[float], float | None]) -> None:
        self._loop = loop
        self._ring = ring
        self._handle: TimerHandle | None = None

    def set(self, due: float | None) -> None:
        """Ring at ``due`` if that is before it would have rung; ``None`` changes nothing."""
        if due is None:
            return
        if self._handle is not None:
            if self._handle.when() <= due:
                return
            self._handle.cancel()
        self._handle = self._loop.call_at(due, self._fire)

    def stop(self) -> None:
        """Ring no more."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.cancel()

    def _fire(self) -> None:
        self._handle = None
        self.set(self._ring(self._loop.time()))
