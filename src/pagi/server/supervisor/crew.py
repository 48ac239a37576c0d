"""`Crew`: which workers there should be. Policy only: no processes, no signals, no clock.

Theory
------
There are *places*, numbered from 1. A place has a worker that serves, and perhaps one that is
coming to take its place:

    nobody ──fork──► coming ──ready──► serving ──a newer one is ready──► retired ──► gone
                        │                 │
                        └──── dies ───────┴──► due: forked again, later and later

Whatever the reason for a new worker (a restart, its age, its size, one that hangs), the newer one
must be ready before the older one stops. Restarts go from place to place, one at a time, so that
at no moment more than one worker more than wanted is loading the application.

Exit statuses mean something. A worker of the first generation that could not load or start its
application will not do better a second time: the whole server stops with that status. A
replacement with the same fate ends the restart that wanted it, and the older worker goes on. Any
other death is answered with a new worker.
"""

from __future__ import annotations

import logging
import signal
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, Protocol

from pagi.server.errors import EXIT_APPLICATION, EXIT_CONFIGURATION, EXIT_STARTUP
from pagi.server.supervisor.exits import describe

__all__ = ["HEALTHY_LIFE", "MAX_BACKOFF", "Crew", "Hands", "Place"]

_FATAL: Final = frozenset({EXIT_APPLICATION, EXIT_CONFIGURATION, EXIT_STARTUP})
#: A worker that lived this long, in seconds, did not die of what makes a crash loop.
HEALTHY_LIFE: Final = 10.0
MAX_BACKOFF: Final = 30.0


class Hands(Protocol):
    """What the crew has done for it. A child is whatever ``fork`` returns."""

    def fork(self, number: int, generation: int) -> Any:
        """Make a worker, or return None if the system is short of something; it has been logged."""

    def retire(self, child: Any) -> None:
        """Tell a worker to stop gracefully."""


class Place:
    """One place of the crew.

    Attributes:
        number: 1, 2, ….
        serving: the worker that is ready.
        coming: the worker that is not ready yet.
        born: when the coming one was forked.
        serves_since: when the serving one was forked.
        due: when to fork the next one; ``None`` when none is wanted.
        deaths: early deaths in a row.
        was_ready: a worker has served here.
        patience: no renewal before: the last one was called off.
        why: what the coming one, or the one that is due, is there for; empty after a death.
    """

    __slots__ = (
        "born",
        "coming",
        "deaths",
        "due",
        "number",
        "patience",
        "serves_since",
        "serving",
        "was_ready",
        "why",
    )

    def __init__(self, number: int, due: float) -> None:
        self.number = number
        self.serving: Any = None
        self.coming: Any = None
        self.born = 0.0
        self.serves_since = 0.0
        self.due: float | None = due
        self.deaths = 0
        self.was_ready = False
        self.patience = 0.0
        self.why = ""


class Crew:
    """Keeps as many workers as are wanted.

    Args:
        count: how many are wanted.
        hands: makes and ends them.
        now: monotonic seconds.
        logger: told of everything an operator wants to know.
        name: what it calls them.

    Attributes:
        status: exit status of the server.
        stopping: no workers are made any more.
        generation: how many restarts have begun.
    """

    def __init__(
        self,
        count: int,
        hands: Hands,
        now: float,
        logger: logging.Logger,
        name: str = "worker",
    ) -> None:
        self._hands = hands
        self._name = name
        self._logger = logger
        self._places = {number: Place(number, now) for number in range(1, count + 1)}
        self._retired: set[Any] = set()
        self._queue: deque[tuple[Place, str]] = deque()
        self._renewing: Place | None = None  # whose turn it is
        self.status = 0
        self.stopping = False
        self.generation = 0

    # ------------------------------------------------------------- questions

    @property
    def places(self) -> list[Place]:
        """The places, in order."""
        return list(self._places.values())

    @property
    def retired(self) -> set[Any]:
        """Workers that stop."""
        return self._retired

    @property
    def children(self) -> Iterator[Any]:
        """All workers."""
        for place in self._places.values():
            yield from (child for child in (place.serving, place.coming) if child is not None)
        yield from self._retired

    @property
    def is_complete(self) -> bool:
        """Whether every place is served, and no restart is under way."""
        return self._renewing is None and not self._queue and self.serving == len(self._places)

    @property
    def serving(self) -> int:
        """How many workers are ready."""
        return sum(place.serving is not None for place in self._places.values())

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do after a stop."""
        return self.stopping and next(self.children, None) is None

    def deadline(self) -> float | None:
        """When to call `tick` next."""
        return min(
            (place.due for place in self._places.values() if place.due is not None), default=None
        )

    def place_of(self, child: Any) -> Place | None:
        """Return where a worker is; ``None`` if it stops."""
        for place in self._places.values():
            if child is place.serving or child is place.coming:
                return place
        return None

    # ------------------------------------------------------------- what is asked for

    def restart(self, now: float, why: str = "restart") -> None:
        """Replace every worker, one after the other."""
        if self.stopping:
            return
        self.generation += 1
        self._queue.clear()
        self._renewing = None
        for place in self._places.values():
            place.patience = 0.0
            if place.coming is not None:  # it may have loaded what was there before
                self._retire(place.coming)
                place.coming = None
            if place.serving is None:
                place.deaths = 0
                place.due, place.why = now, why
            else:
                place.due = None
                self._queue.append((place, why))
        self._next_turn(now)

    def renew(self, place: Place, now: float, why: str) -> None:
        """Replace one worker, when it is its turn."""
        waits = place is self._renewing or any(place is waiting for waiting, _ in self._queue)
        if self.stopping or waits or now < place.patience:
            return
        self._queue.append((place, why))
        self._next_turn(now)

    def replace_now(self, place: Place, now: float, why: str) -> None:
        """Replace a worker out of turn: it serves nobody."""
        if not self.stopping and place.coming is None:
            place.why = why
            place.due = now
            self.tick(now)

    def scale(self, count: int, now: float) -> None:
        """Want another number of workers."""
        if self.stopping:
            return
        for number in range(len(self._places) + 1, count + 1):
            self._places[number] = Place(number, now)
            self._places[number].was_ready = True  # the site serves: what is wrong may pass
        for number in range(len(self._places), count, -1):
            self._remove(self._places.pop(number))
        self._next_turn(now)

    def stop(self, status: int = 0) -> None:
        """Make no more workers and retire all."""
        if self.stopping:
            return
        self.stopping = True
        self.status = status
        self._queue.clear()
        self._renewing = None
        for place in self._places.values():
            place.due = None
            self._retire_all(place)

    def _remove(self, place: Place) -> None:
        place.due = None
        self._queue = deque((each, why) for each, why in self._queue if each is not place)
        self._retire_all(place)
        if self._renewing is place:
            self._renewing = None

    def _retire_all(self, place: Place) -> None:
        for child in (place.coming, place.serving):
            if child is not None:
                self._retire(child)
        place.coming = place.serving = None

    def _retire(self, child: Any) -> None:
        self._retired.add(child)
        self._hands.retire(child)

    # ------------------------------------------------------------- what happens

    def tick(self, now: float) -> None:
        """Make the workers that are due."""
        for place in self._places.values():
            if place.due is not None and place.due <= now:
                place.due = None
                self._fork(place, now)

    def _fork(self, place: Place, now: float) -> None:
        child = self._hands.fork(place.number, self.generation)
        if child is None:
            self._put_off(place, now, early=True)
        else:
            place.coming = child
            place.born = now

    def ready(self, child: Any, now: float) -> None:
        """A worker accepts connections: it takes its place, and the one before it retires."""
        place = self.place_of(child)
        if place is None or child is place.serving:
            return
        before, place.serving, place.coming = place.serving, child, None
        place.serves_since = place.born
        place.was_ready = True
        if before is not None:
            self._logger.info(
                "%s %d is replaced (%s)", self._name, place.number, place.why or "restart"
            )
            self._retire(before)
        place.why = ""
        self._end_turn(place, now)

    def died(self, child: Any, status: int, now: float) -> None:
        """A worker has ended; ``status`` is negative for a signal."""
        place = self.place_of(child)
        if place is None:
            self._retired.discard(child)
            # Of SIGTERM dies who was told to stop before it had loaded the application.
            if status not in (0, -signal.SIGTERM) and not self.stopping:
                self._logger.warning(
                    "%s %s ended with %s", self._name, child, _describe(child, status)
                )
        elif child is place.serving:
            self._lost(place, status, now)
        else:
            self._never_ready(place, status, now)

    def _lost(self, place: Place, status: int, now: float) -> None:
        child, place.serving = place.serving, None
        if place.coming is not None:
            self._logger.error("%s %s ended with %s", self._name, child, _describe(child, status))
            return
        delay = self._put_off(place, now, early=now - place.serves_since < HEALTHY_LIFE)
        self._tell_of_death(child, status, delay)

    def _tell_of_death(self, child: Any, status: int, delay: float) -> None:
        self._logger.error(
            "%s %s ended with %s; replacing it in %.1f s",
            self._name,
            child,
            _describe(child, status),
            delay,
        )

    def _never_ready(self, place: Place, status: int, now: float) -> None:
        child, place.coming = place.coming, None
        if status in _FATAL and self._is_hopeless(place):
            self._logger.error("%s %d cannot start; stopping", self._name, place.number)
            self.stop(status)
            return
        if place.serving is not None and self._renewing is place:
            self._call_off(place, child, status, now)
            return
        delay = self._put_off(place, now, early=now - place.born < HEALTHY_LIFE)
        self._tell_of_death(child, status, delay)

    def _is_hopeless(self, place: Place) -> bool:
        """Tell whether what cannot start here would not start a second time either."""
        if self.generation:  # something else has been loaded before, and serves perhaps
            return not any(each.was_ready for each in self._places.values())
        return not place.was_ready

    def _call_off(self, place: Place, child: Any, status: int, now: float) -> None:
        """A replacement cannot start: the older workers go on."""
        self._logger.error(
            "%s %s ended with %s before it was ready; the older one goes on (%s called off)",
            self._name,
            child,
            _describe(child, status),
            place.why,
        )
        # What fails here would fail in the other places, and soon again.
        place.patience = now + MAX_BACKOFF
        self._queue = deque(each for each in self._queue if each[1] != place.why)
        place.why = ""
        self._end_turn(place, now)

    def _put_off(self, place: Place, now: float, *, early: bool) -> float:
        """Plan the next fork; return how long it is till then."""
        deaths = place.deaths + 1 if early else 0
        place.deaths = deaths
        delay = min(MAX_BACKOFF, 0.0 if deaths <= 1 else 0.5 * 2 ** min(deaths - 2, 10))
        place.due = now + delay
        return delay

    # ------------------------------------------------------------- turns

    def _next_turn(self, now: float) -> None:
        while self._renewing is None and self._queue:
            place, why = self._queue.popleft()
            if place.coming is not None or place.due is not None:
                continue  # a new worker comes anyway
            self._renewing = place
            place.why = why
            place.due = now
        self.tick(now)

    def _end_turn(self, place: Place, now: float) -> None:
        if self._renewing is place:
            self._renewing = None
        self._next_turn(now)


def _describe(child: Any, status: int) -> str:
    return describe(status, ours=getattr(child, "killed", False))
