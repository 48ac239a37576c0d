"""`Watch`: who hangs and who has served enough, with numbers as time."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.server.config import load
from pagi.server.config.settings import Process
from pagi.server.supervisor.watch import HELD_UP, Watch
from pagi.server.worker.scoreboard import BOOTING, DRAINING, FREE, READY, Scoreboard, Slot

MIB = 1 << 20


class Child:
    """A worker that serves since the time 0."""

    def __init__(self, slot: Slot | None = None) -> None:
        self.slot = slot or Scoreboard(0).site
        self.slot.state = READY


def limits(**options: Any) -> Process:
    return load({"config_file": None, **options}, environ={}).process


def looked(watch: Watch, children: list[Child], begin: float, end: float) -> list[float]:
    """Look every half second; return when a worker was found to hang."""
    found = []
    now = begin
    while now <= end:
        found += [now for stuck in watch.stuck(children, now) if stuck.child in children]
        now += 0.5
    return found


# --- the heartbeat ---------------------------------------------------------------------------


def test_who_is_silent_for_too_long_is_found() -> None:
    child = Child()
    watch = Watch(limits(heartbeat_timeout=5), 0.0)
    child.slot.beat = 2.0
    assert looked(watch, [child], 0.5, 6.5) == []
    assert watch.deadline([child]) == 7.0
    ((found, silence),) = watch.stuck([child], 7.0)
    assert (found, silence) == (child, 5.0)


def test_who_turns_its_loop_is_well() -> None:
    child = Child()
    watch = Watch(limits(heartbeat_timeout=5), 0.0)
    for second in range(20):
        child.slot.beat = float(second)
        assert watch.stuck([child], second + 0.4) == []
        assert watch.stuck([child], second + 0.9) == []
        assert watch.deadline([child]) == second + 5.0


def test_it_looks_at_each_by_itself() -> None:
    scoreboard = Scoreboard(2)
    children = []
    for beat in (1.0, 4.0):
        slot = scoreboard.free()
        assert slot is not None
        children.append(Child(slot))
        slot.beat = beat
    watch = Watch(limits(heartbeat_timeout=5), 0.0)
    assert watch.deadline(children) == 6.0
    looked(watch, children, 0.5, 5.5)
    assert [stuck.child for stuck in watch.stuck(children, 6.0)] == children[:1]
    assert [stuck.child for stuck in watch.stuck(children, 8.0)] == children[:1]
    assert [stuck.child for stuck in watch.stuck(children, 9.0)] == children


@pytest.mark.parametrize("timeout", ["off", 0])
def test_it_can_be_switched_off(timeout: Any) -> None:
    child = Child()
    watch = Watch(limits(heartbeat_timeout=timeout), 0.0)
    assert watch.deadline([child]) is None
    assert looked(watch, [child], 0.5, 100.0) == []


def test_nobody_has_no_deadline() -> None:
    assert Watch(limits(), 0.0).deadline([]) is None


def test_who_hangs_before_it_could_say_that_it_is_ready_hangs() -> None:
    """It accepts already: the first request may be the one."""
    child = Child()
    child.slot.state = BOOTING
    child.slot.born, child.slot.beat = 0.0, 1.0
    assert looked(Watch(limits(heartbeat_timeout=5), 0.0), [child], 0.5, 50.0) != []


@pytest.mark.parametrize("state", [FREE, BOOTING, DRAINING])
def test_only_who_serves_is_looked_at(state: int) -> None:
    child = Child()
    child.slot.state = state
    assert looked(Watch(limits(heartbeat_timeout=5), 0.0), [child], 0.5, 50.0) == []


def test_who_is_not_looked_at_keeps_nobody_awake() -> None:
    """A worker that was told to stop by somebody else, and cleans up in a call that blocks."""
    child = Child()
    child.slot.state = DRAINING
    watch = Watch(limits(heartbeat_timeout=5), 0.0)
    assert looked(watch, [child], 0.5, 50.0) == []
    deadline = watch.deadline([child])
    assert deadline is None or deadline > 50.0


@pytest.mark.parametrize("timeout", [2.0, 3.0])
def test_a_short_timeout_finds_nobody_who_is_well(timeout: float) -> None:
    child = Child()
    watch = Watch(limits(heartbeat_timeout=timeout), 0.0)
    for second in range(5):
        child.slot.beat = second + 0.01 * (second % 3)  # no timer is exact
        assert watch.stuck([child], second + 0.5) == []
        assert watch.stuck([child], second + 1.0) == []


def test_a_supervisor_that_was_held_up_gives_everybody_time() -> None:
    """They were stopped together, or the machine slept."""
    child = Child()
    watch = Watch(limits(heartbeat_timeout=5), 0.0)
    assert watch.stuck([child], 1.0) == []
    assert watch.stuck([child], 3600.0) == []
    assert watch.deadline([child]) == 3605.0
    assert looked(watch, [child], 3600.5, 3604.5) == []
    assert [stuck.silence for stuck in watch.stuck([child], 3605.0)] == [5.0]


def test_a_little_late_is_not_held_up() -> None:
    child = Child()
    watch = Watch(limits(heartbeat_timeout=5), 0.0)
    assert looked(watch, [child], 0.5, 3.5) == []
    assert watch.stuck([child], 3.5 + HELD_UP) != []


def test_who_was_forked_lately_has_its_whole_time() -> None:
    child = Child()
    watch = Watch(limits(heartbeat_timeout=5), 100.0)
    assert looked(watch, [child], 100.5, 104.5) == []
    assert len(watch.stuck([child], 105.0)) == 1


# --- enough ----------------------------------------------------------------------------------


def test_without_limits_nobody_is_worn() -> None:
    child = Child()
    child.slot.requests = 1 << 40
    child.slot.memory = 1 << 50
    assert Watch(limits(), 0.0).worn([child], 1e9) == []


def test_requests_without_jitter() -> None:
    child = Child()
    watch = Watch(limits(max_requests=100, recycle_jitter=0), 0.0)
    child.slot.requests = 99
    assert watch.worn([child], 1.0) == []
    child.slot.requests = 100
    assert watch.worn([child], 1.0) == [(child, "100 requests", False)]


def test_age_without_jitter() -> None:
    child = Child()
    child.slot.born = 50.0
    watch = Watch(limits(max_age=100, recycle_jitter=0), 0.0)
    assert watch.worn([child], 149.9) == []
    assert watch.worn([child], 150.0) == [(child, "100 seconds of age", False)]


def test_memory() -> None:
    child = Child()
    watch = Watch(limits(max_memory=100 * MIB), 0.0)
    child.slot.memory = 100 * MIB
    assert watch.worn([child], 1.0) == []
    child.slot.memory = 101 * MIB
    assert watch.worn([child], 1.0) == [(child, "101 MiB of memory", False)]


def test_far_too_much_memory() -> None:
    child = Child()
    watch = Watch(limits(max_memory=100 * MIB, max_memory_hard=200 * MIB), 0.0)
    child.slot.memory = 200 * MIB
    assert [worn.hard for worn in watch.worn([child], 1.0)] == [False]
    child.slot.memory = 201 * MIB
    why = "201 MiB of memory, more than max_memory_hard"
    assert watch.worn([child], 1.0) == [(child, why, True)]


def test_the_hard_limit_needs_no_other() -> None:
    child = Child()
    watch = Watch(limits(max_memory_hard=200 * MIB), 0.0)
    child.slot.memory = 200 * MIB
    assert watch.worn([child], 1.0) == []
    child.slot.memory += 1
    assert [worn.hard for worn in watch.worn([child], 1.0)] == [True]


def test_where_memory_is_not_known_nobody_is_worn() -> None:
    child = Child()
    assert child.slot.memory == 0
    assert Watch(limits(max_memory=1, max_memory_hard=1), 0.0).worn([child], 1.0) == []


@pytest.mark.parametrize("jitter", [10, 100])
def test_limits_differ_within_the_jitter(jitter: int) -> None:
    watch = Watch(limits(max_requests=1000, recycle_jitter=jitter), 0.0)
    lowest = 1000 - 10 * jitter
    ends = []
    for _ in range(200):
        child = Child(Scoreboard(0).site)
        low, high = lowest, 1000
        while low < high:  # where it begins to be worn
            child.slot.requests = (low + high) // 2
            if watch.worn([child], 1.0):
                high = child.slot.requests
            else:
                low = child.slot.requests + 1
        ends.append(low)
    assert lowest <= min(ends) <= max(ends) <= 1000
    assert max(ends) - min(ends) > 5 * jitter, "they are not all replaced at once"


def test_a_worker_keeps_its_share_until_it_ends() -> None:
    watch = Watch(limits(max_age=1000, recycle_jitter=100), 0.0)
    child = Child()
    end = next(now for now in range(1001) if watch.worn([child], float(now)))
    assert all(watch.worn([child], end + more) for more in range(100))
    assert not any(watch.worn([child], end - 1.0) for _ in range(100))
    watch.forget(child)
    watch.forget(child)


def test_other_limits_count_at_once() -> None:
    child = Child()
    watch = Watch(limits(), 0.0)
    child.slot.requests = 10
    child.slot.beat = 1.0
    assert watch.worn([child], 1.0) == []
    watch.take(limits(max_requests=10, heartbeat_timeout=5))
    assert watch.worn([child], 1.0) != []
    assert watch.deadline([child]) == 6.0
