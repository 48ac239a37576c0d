"""`Watch`: are the workers well? Policy only: it looks at the scoreboard and says what it finds."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from pagi.server.config.settings import Process
from pagi.server.worker.scoreboard import BOOTING, READY, Slot

__all__ = ["Stuck", "Watch", "Worn"]

#: If the supervisor itself was held up for this long (seconds), so were the workers: they were
#: stopped together, or the machine slept. Their beats mean nothing until they have had a turn.
HELD_UP: Final = 2.0


class Stuck(NamedTuple):
    """A worker whose loop does not turn, and for how long, in seconds."""

    child: Any
    silence: float


class Worn(NamedTuple):
    """A worker that is to be replaced, and why; ``hard``: at once."""

    child: Any
    why: str
    hard: bool


class Watch:
    """Compares workers with the limits of the configuration.

    Limits of requests and age differ a little from worker to worker, so that they are not all
    replaced at once.

    Args:
        process: the limits.
        now: monotonic seconds.
    """

    def __init__(self, process: Process, now: float) -> None:
        self._process = process
        self._looked = now
        self._not_before = now
        self._shares: dict[Any, float] = {}

    def deadline(self, children: Iterable[Any]) -> float | None:
        """Return when a worker may have been silent for too long."""
        timeout = self._process.heartbeat_timeout
        if timeout is None:
            return None
        signs = (self._last_sign(child.slot) for child in children if _serves(child.slot))
        return min((sign + timeout for sign in signs), default=None)

    def stuck(self, children: Iterable[Any], now: float) -> list[Stuck]:
        """Return the workers that have been silent for too long."""
        if now - self._looked > HELD_UP:
            self._not_before = now
        self._looked = now
        timeout = self._process.heartbeat_timeout
        if timeout is None:
            return []
        found = []
        for child in children:
            silence = now - self._last_sign(child.slot)
            if _serves(child.slot) and silence >= timeout:
                found.append(Stuck(child, silence))
        return found

    def _last_sign(self, slot: Slot) -> float:
        return max(slot.beat, self._not_before)

    def worn(self, children: Iterable[Any], now: float) -> list[Worn]:
        """Return the workers that have served enough."""
        found = []
        for child in children:
            reason = self._reason(child, now)
            if reason is not None:
                found.append(Worn(child, *reason))
        return found

    def _reason(self, child: Any, now: float) -> tuple[str, bool] | None:
        process, slot = self._process, child.slot
        if process.max_memory_hard and slot.memory > process.max_memory_hard:
            return f"{slot.memory >> 20} MiB of memory, more than max_memory_hard", True
        if process.max_memory and slot.memory > process.max_memory:
            return f"{slot.memory >> 20} MiB of memory", False
        share = self._share(child)
        if process.max_requests and slot.requests >= process.max_requests * share:
            return f"{slot.requests} requests", False
        if process.max_age is not None and now - slot.born >= process.max_age * share:
            return f"{now - slot.born:.0f} seconds of age", False
        return None

    def _share(self, child: Any) -> float:
        """Return what part of its limits a worker has: less than one by up to the jitter."""
        if child not in self._shares:
            jitter = self._process.recycle_jitter / 100
            self._shares[child] = 1.0 - random.random() * jitter
        return self._shares[child]

    def take(self, process: Process) -> None:
        """Compare with other limits from now on."""
        self._process = process

    def forget(self, child: Any) -> None:
        """A worker has ended."""
        self._shares.pop(child, None)


def _serves(slot: Slot) -> bool:
    """Tell whether a worker accepts connections, even if it had no turn to say so."""
    return slot.state == READY or (slot.state == BOOTING and slot.beat > slot.born)
