"""`Crew` under everything that can happen, in any order."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pagi.server.errors import EXIT_APPLICATION, EXIT_STARTUP
from pagi.server.supervisor.crew import Crew

INDEX = st.integers(0, 1000)
STATUS = st.sampled_from([0, 1, -9, -15, EXIT_APPLICATION, EXIT_STARTUP])
WHY = st.sampled_from(["age", "memory", "1000 requests"])
SECONDS = st.sampled_from([0.0, 0.1, 0.5, 3.0, 10.0, 31.0])


@dataclass(eq=False)
class Child:
    """A worker."""

    number: int
    generation: int
    order: int
    is_ready: bool = False
    retired: bool = False


class Machine(RuleBasedStateMachine):
    """The crew, its hands, and what has to be true of them at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.made = 0
        self.alive: list[Child] = []
        self.short = False
        self.may_retire_serving = False
        self.crew: Any = None

    # --- hands

    def fork(self, number: int, generation: int) -> Child | None:
        assert not self.crew.stopping, "nobody is made during a stop"
        if self.short:
            return None
        coming = [c for c in self.of(number) if not c.is_ready and not c.retired]
        assert coming == [], "one is on its way already"
        self.made += 1
        child = Child(number, generation, self.made)
        self.alive.append(child)
        return child

    def retire(self, child: Child) -> None:
        assert child in self.alive, "it has ended"
        assert not child.retired, "it was told before"
        if child.is_ready and not self.may_retire_serving:
            newer = [c for c in self.of(child.number) if c.is_ready and c.order > child.order]
            assert newer, "nobody is ready to take its place"
        child.retired = True

    def of(self, number: int) -> list[Child]:
        return [child for child in self.alive if child.number == number]

    # --- what may happen

    @initialize(count=st.integers(1, 4))
    def begin(self, count: int) -> None:
        self.crew = Crew(count, self, self.now, logging.getLogger("tests.crew"))
        self.crew.tick(self.now)

    def ready(self, child: Child) -> None:
        child.is_ready = True
        self.crew.ready(child, self.now)

    def die(self, child: Child, status: int) -> None:
        self.alive.remove(child)
        self.may_retire_serving = True  # it may stop everything
        self.crew.died(child, status, self.now)
        self.may_retire_serving = False

    @precondition(lambda self: any(not child.is_ready for child in self.alive))
    @rule(index=INDEX)
    def one_is_ready(self, index: int) -> None:
        """Also one that was told to stop: the words may cross."""
        coming = [child for child in self.alive if not child.is_ready]
        self.ready(coming[index % len(coming)])

    @precondition(lambda self: self.alive)
    @rule(index=INDEX, status=STATUS)
    def one_dies(self, index: int, status: int) -> None:
        before = self.crew.stopping
        served = self.crew.serving
        child = self.alive[index % len(self.alive)]
        self.die(child, status)
        if child.is_ready and not before:
            assert not self.crew.stopping, "a worker that was ready stops nobody else"
        assert self.crew.serving >= served - 1 or self.crew.stopping

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.crew.tick(self.now)

    @rule(short=st.booleans())
    def the_system_is_short_of_something(self, short: bool) -> None:
        self.short = short

    @rule()
    def restart(self) -> None:
        self.crew.restart(self.now)

    @rule(index=INDEX, why=WHY)
    def renew(self, index: int, why: str) -> None:
        places = self.crew.places
        self.crew.renew(places[index % len(places)], self.now, why)

    @rule(index=INDEX)
    def replace_now(self, index: int) -> None:
        places = self.crew.places
        self.crew.replace_now(places[index % len(places)], self.now, "it hung")

    @rule(count=st.integers(1, 5))
    def scale(self, count: int) -> None:
        stopping = self.crew.stopping
        self.may_retire_serving = True
        self.crew.scale(count, self.now)
        self.may_retire_serving = False
        assert stopping or len(self.crew.places) == count

    @rule(chance=st.integers(0, 9))
    def stop(self, chance: int) -> None:
        if not chance:
            self.end()

    def end(self) -> None:
        self.may_retire_serving = True
        self.crew.stop()
        self.may_retire_serving = False

    # --- what is true

    @precondition(lambda self: self.crew is not None)
    @invariant()
    def everybody_is_somewhere(self) -> None:
        children = list(self.crew.children)
        assert len(set(children)) == len(children)
        assert set(children) == set(self.alive)
        assert self.crew.retired == {child for child in self.alive if child.retired}
        for place in self.crew.places:
            assert place.serving is None or place.serving.is_ready
            assert place.coming is None or not place.coming.is_ready

    @precondition(lambda self: self.crew is not None)
    @invariant()
    def no_place_is_forgotten(self) -> None:
        deadline = self.crew.deadline()
        if self.crew.stopping:
            assert deadline is None
            assert self.crew.finished == (not self.alive)
            return
        for place in self.crew.places:
            assert place.serving or place.coming or place.due is not None
            if place.due is not None:
                assert deadline <= place.due

    def teardown(self) -> None:
        if self.crew is None:
            return
        self.short = False
        for _ in range(100):  # all trouble is over
            for child in [child for child in self.alive if child.retired]:
                self.die(child, 0)
            for child in [child for child in self.alive if not child.is_ready]:
                if child in self.alive:
                    self.ready(child)
            if (deadline := self.crew.deadline()) is not None:
                self.now = max(self.now, deadline)
                self.crew.tick(self.now)
        if not self.crew.stopping:
            assert self.crew.is_complete
            assert self.crew.serving == len(self.crew.places) == len(self.alive)
            assert self.crew.deadline() is None
            self.end()
        for child in list(self.alive):
            self.die(child, 0)
        assert self.crew.finished


TestCrew = Machine.TestCase
TestCrew.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
