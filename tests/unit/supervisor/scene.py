"""A `Crew` whose workers are names: ``1a`` is the first worker of place 1, ``1b`` the next."""

from __future__ import annotations

import logging
import sys

from pagi.server.supervisor.crew import Crew, Place

__all__ = ["Scene"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Scene:
    """Hands of a crew, and its time, which begins at 0.

    Attributes:
        crew: the crew.
        now: the time.
        forked: the workers that were made, in order.
        born: when.
        generations: of which generation they were said to be.
        retired: the workers that were told to stop, in order.
        short: forks fail.
    """

    def __init__(self, count: int) -> None:
        self.now = 0.0
        self.forked: list[str] = []
        self.born: list[float] = []
        self.generations: list[int] = []
        self.retired: list[str] = []
        self.short = False
        self._made: dict[int, int] = {}
        self.crew = Crew(count, self, self.now, logging.getLogger("pagi.server"))

    # --- what the crew asks for

    def fork(self, number: int, generation: int) -> str | None:
        """Make a worker."""
        if self.short:
            return None
        index = self._made.get(number, 0)
        self._made[number] = index + 1
        name = f"{number}{_LETTERS[index]}" if index < len(_LETTERS) else f"{number}_{index}"
        name = sys.intern(name)  # workers are told apart by identity, like those of the tests
        self.forked.append(name)
        self.born.append(self.now)
        self.generations.append(generation)
        return name

    def retire(self, child: str) -> None:
        """Tell a worker to stop."""
        assert child not in self.retired, "once is enough"
        self.retired.append(child)

    # --- what happens

    def place(self, number: int) -> Place:
        """Return a place by its number."""
        return self.crew.places[number - 1]

    def tick(self) -> None:
        """Let the crew do what its time has come for."""
        self.crew.tick(self.now)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with nothing in it."""
        self.now += seconds
        self.tick()

    def until_due(self) -> None:
        """Let time pass until the crew has something to do."""
        deadline = self.crew.deadline()
        assert deadline is not None, "nothing is due"
        self.now = max(self.now, deadline)
        self.tick()

    def ready(self, child: str) -> None:
        """A worker is ready."""
        self.crew.ready(child, self.now)

    def died(self, child: str, status: int) -> None:
        """A worker has ended."""
        self.crew.died(child, status, self.now)

    def all_ready(self) -> None:
        """Let everything be ready that is made, until nothing is made any more."""
        self.tick()
        while coming := [place.coming for place in self.crew.places if place.coming is not None]:
            for child in coming:
                self.ready(child)
            self.tick()

    def restart(self) -> None:
        """Replace every worker."""
        self.crew.restart(self.now)

    def renew(self, number: int, why: str) -> None:
        """Replace the worker of a place."""
        self.crew.renew(self.place(number), self.now, why)
