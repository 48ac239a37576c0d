"""`Scoreboard`: numbers that all processes of a server see."""

from __future__ import annotations

import subprocess
import sys
from time import monotonic

import pytest

from pagi.server.worker import scoreboard as scoreboard_module
from pagi.server.worker.scoreboard import (
    BOOTING,
    FREE,
    READY,
    Reading,
    Scoreboard,
    Slot,
    micros,
)


def taken(scoreboard: Scoreboard, number: int) -> Slot:
    """Return a slot that was free."""
    slot = scoreboard.free()
    assert slot is not None
    slot.take(4000 + number, number, 7)
    return slot


def test_a_slot_is_taken_by_one_worker() -> None:
    slot = Scoreboard(1).free()
    assert slot is not None
    slot.requests = slot.memory = slot.counters[5] = 99
    before = micros(monotonic())
    slot.take(4711, 3, 2)
    after = micros(monotonic())
    assert (slot.pid, slot.number, slot.generation, slot.state) == (4711, 3, 2, BOOTING)
    assert before <= micros(slot.born) + 1
    assert micros(slot.born) <= after
    assert slot.beat == slot.born
    assert (slot.requests, slot.memory, slot.counters[5]) == (0, 0, 0)


def test_times_are_seconds_and_counts_are_whole() -> None:
    slot = Scoreboard(0).site
    slot.lag = 0.25
    slot.beat = 1234567.000001
    slot.memory = 1 << 45
    assert (slot.lag, slot.memory) == (0.25, 1 << 45)
    assert slot.beat == pytest.approx(1234567.000001, abs=1e-6)
    assert micros(slot.lag) == 250_000


def test_there_are_so_many_slots() -> None:
    scoreboard = Scoreboard(2)
    first, second = taken(scoreboard, 1), taken(scoreboard, 2)
    assert scoreboard.free() is None
    assert list(scoreboard.taken()) == [first, second]
    first.state = READY
    scoreboard.release(first)
    assert first.state == FREE
    assert list(scoreboard.taken()) == [second]
    assert scoreboard.free() is first


def test_the_site_is_no_slot_of_a_worker() -> None:
    scoreboard = Scoreboard(0)
    assert scoreboard.free() is None
    scoreboard.site.state = READY
    assert list(scoreboard.taken()) == []


def test_slots_do_not_touch_each_other() -> None:
    scoreboard = Scoreboard(2)
    first, second = taken(scoreboard, 1), taken(scoreboard, 2)
    first.counters[len(first.counters) - 1] = 5
    second.counters[0] = 6
    assert (first.number, second.number, second.state) == (1, 2, BOOTING)
    assert scoreboard.site.counters[0] == 0
    assert second.counters[len(second.counters) - 1] == 0
    assert first.counters[0] == 0


def test_the_counters_of_the_dead_are_kept() -> None:
    scoreboard = Scoreboard(2)
    first, second = taken(scoreboard, 1), taken(scoreboard, 2)
    first.counters[3] = 10
    second.counters[3] = 5
    second.counters[4] = 1
    scoreboard.release(first)
    scoreboard.release(second)
    assert scoreboard.site.counters[3:6].tolist() == [15, 1, 0]
    assert first.counters[3] == second.counters[3] == 0


_FORK = """
import os
from pagi.server.worker.scoreboard import READY, Scoreboard

scoreboard = Scoreboard(1)
slot = scoreboard.free()
pid = os.fork()
if not pid:
    slot.take(os.getpid(), 1, 0)
    slot.state = READY
    slot.counters[2] = 42
    os._exit(0)
os.waitpid(pid, 0)
print(slot.pid == pid, slot.state == READY, slot.counters[2], len(list(scoreboard.taken())))
"""


def test_a_parent_sees_what_its_child_writes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORK], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == ["True", "True", "42", "1"]


# --- reading ---------------------------------------------------------------------------------


def test_a_reading_is_the_sum_of_all_that_work_and_worked() -> None:
    scoreboard = Scoreboard(3)
    first, second = taken(scoreboard, 1), taken(scoreboard, 2)
    admin = taken(scoreboard, 0)
    first.counters[3], second.counters[3], admin.counters[3] = 10, 5, 1000
    assert scoreboard.read().counters[3] == 15
    scoreboard.release(first)
    reading = scoreboard.read()
    assert reading.counters[3] == 15
    assert [slot.number for slot in reading.workers] == [2]
    second.number = 7
    assert [slot.number for slot in reading.workers] == [2], "a reading stands still"


def test_a_process_without_workers_reads_itself() -> None:
    scoreboard = Scoreboard(0)
    scoreboard.site.pid, scoreboard.site.counters[0] = 4711, 3
    reading = scoreboard.read()
    assert [slot.pid for slot in reading.workers] == [reading.site.pid] == [4711]
    assert reading.counters[0] == 3


class Releasing(Scoreboard):
    """Gives a slot away in the middle of the first readings."""

    readings = 0
    slot: Slot | None = None

    def _read(self) -> Reading:
        self.readings += 1
        reading = super()._read()
        if self.slot is not None:
            self.release(self.slot)
            self.slot = None
            # What was read before is one side of the change, and this the other.
            return reading._replace(counters=super()._read().counters)
        return reading


def test_a_reader_never_sees_a_slot_half_given_away() -> None:
    scoreboard = Releasing(1)
    scoreboard.slot = taken(scoreboard, 1)
    scoreboard.slot.counters[3] = 10
    reading = scoreboard.read()
    assert scoreboard.readings == 2
    assert (reading.workers, reading.counters[3]) == ([], 10)


def test_a_supervisor_killed_in_the_middle_does_not_stop_readers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(scoreboard_module, "sleep", waited.append)
    scoreboard = Scoreboard(1)
    scoreboard.site.cells[scoreboard_module._RELEASES] = 1
    scoreboard.site.counters[0] = 5
    assert scoreboard.read().counters[0] == 5
    assert 0.01 < sum(waited) < 0.1
