"""`Crew`: who is made and who is retired, with numbers as time and names as workers."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Final

import pytest

from pagi.server.errors import (
    EXIT_APPLICATION,
    EXIT_CONFIGURATION,
    EXIT_LISTENING,
    EXIT_STARTUP,
)
from pagi.server.supervisor.crew import HEALTHY_LIFE, MAX_BACKOFF
from tests.unit.supervisor.scene import Scene

KILLED: Final = -9
FATAL: Final = [EXIT_APPLICATION, EXIT_CONFIGURATION, EXIT_STARTUP]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Let nothing of the log get lost."""
    caplog.set_level(logging.DEBUG, "pagi")


def serving(count: int = 2) -> Scene:
    """Return a crew that serves; its workers are called ``1a``, ``2a``, …."""
    scene = Scene(count)
    scene.all_ready()
    assert scene.crew.is_complete
    return scene


# --- the first start -------------------------------------------------------------------------


def test_every_place_gets_a_worker_at_once() -> None:
    scene = Scene(3)
    assert scene.crew.deadline() == 0.0
    scene.tick()
    assert scene.forked == ["1a", "2a", "3a"]
    assert scene.generations == [0, 0, 0]
    assert scene.crew.deadline() is None
    assert not scene.crew.is_complete


def test_it_is_complete_when_the_last_is_ready() -> None:
    scene = Scene(2)
    scene.tick()
    scene.ready("2a")
    assert (scene.crew.serving, scene.crew.is_complete) == (1, False)
    scene.ready("1a")
    assert (scene.crew.serving, scene.crew.is_complete) == (2, True)
    assert scene.retired == []
    assert scene.crew.status == 0
    assert not scene.crew.finished


def test_a_worker_is_ready_once() -> None:
    scene = serving(1)
    scene.ready("1a")
    assert scene.crew.serving == 1
    assert scene.retired == []


def test_everybody_is_known_by_place() -> None:
    scene = serving(2)
    assert [place.number for place in scene.crew.places] == [1, 2]
    place = scene.place(2)
    assert scene.crew.place_of("2a") is place
    assert scene.crew.place_of("nobody") is None
    scene.crew.renew(place, scene.now, "age")
    assert scene.crew.place_of("2b") is place
    assert sorted(scene.crew.children) == ["1a", "2a", "2b"]
    scene.ready("2b")
    assert scene.crew.place_of("2a") is None
    assert scene.crew.retired == {"2a"}
    assert sorted(scene.crew.children) == ["1a", "2a", "2b"]


@pytest.mark.parametrize("status", FATAL)
def test_a_first_worker_that_cannot_start_ends_it_all(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(2)
    scene.tick()
    scene.died("2a", status)
    assert scene.crew.stopping
    assert scene.crew.status == status
    assert scene.retired == ["1a"]
    assert "worker 2 cannot start; stopping" in caplog.text
    assert not scene.crew.finished
    scene.died("1a", KILLED)
    assert scene.crew.finished
    assert scene.forked == ["1a", "2a"]


def test_those_that_serve_already_stop_with_it() -> None:
    scene = Scene(3)
    scene.tick()
    scene.ready("1a")
    scene.died("3a", EXIT_STARTUP)
    assert sorted(scene.retired) == ["1a", "2a"]


def test_the_first_reason_is_the_exit_status() -> None:
    scene = Scene(2)
    scene.tick()
    scene.died("1a", EXIT_STARTUP)
    scene.died("2a", EXIT_APPLICATION)
    assert scene.crew.status == EXIT_STARTUP
    assert scene.crew.finished


@pytest.mark.parametrize("status", [0, 1, KILLED, EXIT_LISTENING])
def test_other_ends_of_a_first_worker_are_answered_with_another(status: int) -> None:
    scene = Scene(1)
    scene.tick()
    scene.died("1a", status)
    scene.tick()
    assert scene.forked == ["1a", "1b"]


@pytest.mark.parametrize("before", ["a death", "a failed fork"])
def test_a_second_try_that_cannot_start_ends_it_all_as_well(before: str) -> None:
    """Nobody has ever served with this application: it will not do better a third time."""
    scene = Scene(1)
    scene.short = before == "a failed fork"
    scene.tick()
    scene.short = False
    if before == "a death":
        scene.died("1a", KILLED)
    scene.tick()
    scene.died(scene.forked[-1], EXIT_APPLICATION)
    assert scene.crew.stopping
    assert scene.crew.status == EXIT_APPLICATION


# --- deaths ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (KILLED, "signal 9 SIGKILL (was the system short of memory?); replacing it in 0.0 s"),
        (-11, "signal 11 SIGSEGV; replacing"),
        (-40, "signal 40 of real time; replacing"),
        (1, "status 1; replacing"),
        (0, "status 0; replacing"),
        (EXIT_LISTENING, "status 5; replacing"),
        (EXIT_APPLICATION, "status 4; replacing"),
    ],
)
def test_a_dead_worker_is_replaced_at_once(
    status: int, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene = serving(2)
    scene.pass_time(1.0)
    scene.died("2a", status)
    assert scene.crew.deadline() == 1.0
    scene.tick()
    assert scene.forked == ["1a", "2a", "2b"]
    assert "worker 2a ended with " + text in caplog.text
    assert not scene.crew.is_complete
    scene.ready("2b")
    assert scene.crew.is_complete
    assert scene.retired == []


def test_early_deaths_in_a_row_are_answered_later_and_later() -> None:
    scene = Scene(1)
    for _ in range(10):
        scene.until_due()
        scene.died(scene.forked[-1], 1)
    pauses = [later - earlier for earlier, later in pairwise(scene.born)]
    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, MAX_BACKOFF, MAX_BACKOFF]


def test_it_makes_no_difference_whether_they_were_ready() -> None:
    scene = Scene(1)
    for _ in range(4):
        scene.until_due()
        scene.ready(scene.forked[-1])
        scene.died(scene.forked[-1], 1)
    pauses = [later - earlier for earlier, later in pairwise(scene.born)]
    assert pauses == [0.0, 0.5, 1.0]


def test_a_crash_loop_that_nobody_looks_after_goes_on() -> None:
    """Half a day of deaths is no number that breaks the sum."""
    scene = Scene(1)
    for _ in range(1400):
        scene.until_due()
        scene.died(scene.forked[-1], 1)
    assert scene.born[-1] - scene.born[-2] == MAX_BACKOFF


@pytest.mark.parametrize("was_ready", [True, False])
def test_a_healthy_life_is_a_new_beginning(was_ready: bool) -> None:
    scene = Scene(1)
    for _ in range(3):
        scene.until_due()
        scene.died(scene.forked[-1], 1)
    scene.until_due()
    if was_ready:
        scene.ready(scene.forked[-1])
    scene.pass_time(HEALTHY_LIFE)
    scene.died(scene.forked[-1], 1)
    for _ in range(3):
        scene.until_due()
        scene.died(scene.forked[-1], 1)
    pauses = [later - earlier for earlier, later in pairwise(scene.born)]
    assert pauses == [0.0, 0.5, 1.0, HEALTHY_LIFE, 0.0, 0.5]


def test_a_life_counts_from_the_fork_of_the_one_that_died() -> None:
    scene = serving(1)
    scene.pass_time(HEALTHY_LIFE)
    scene.renew(1, "age")
    scene.pass_time(1.0)
    scene.ready("1b")
    scene.pass_time(HEALTHY_LIFE - 2.0)
    scene.died("1b", 1)
    assert scene.place(1).deaths == 1
    scene.until_due()
    scene.died("1c", 1)
    assert scene.crew.deadline() == scene.now + 0.5


def test_others_do_not_wait_for_the_one_that_dies() -> None:
    scene = Scene(2)
    scene.tick()
    scene.died("1a", 1)  # number 1 twice, so that it is due later
    scene.tick()
    scene.died("1b", 1)
    scene.died("2a", 1)  # number 2 for the first time
    scene.tick()
    assert scene.forked[-1] == "2b"
    scene.until_due()
    assert scene.forked[-1] == "1c"
    assert scene.born == [0.0, 0.0, 0.0, 0.0, 0.5]


def test_a_fork_that_fails_is_tried_again() -> None:
    """A system that is short of something must not lose the workers that serve."""
    scene = serving(2)
    scene.died("2a", KILLED)
    scene.short = True
    for _ in range(3):
        scene.until_due()
    scene.short = False
    assert scene.crew.serving == 1
    scene.until_due()
    assert scene.forked == ["1a", "2a", "2b"]
    assert scene.now == 0.5 + 1.0 + 2.0


@pytest.mark.parametrize("status", FATAL)
def test_a_replacement_of_a_dead_one_that_cannot_start_is_tried_again(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The others serve, and what it lacks may come back: no reason to end the site."""
    scene = serving(2)
    scene.died("2a", KILLED)
    scene.tick()
    scene.died("2b", status)
    assert not scene.crew.stopping
    assert f"worker 2b ended with status {status}; replacing it in 0.5 s" in caplog.text
    scene.until_due()
    scene.ready("2c")
    assert scene.crew.is_complete


def test_a_worker_that_retires_may_die_as_it_likes(caplog: pytest.LogCaptureFixture) -> None:
    scene = serving(1)
    scene.renew(1, "age")
    scene.ready("1b")
    scene.died("1a", 0)
    assert "1a ended" not in caplog.text
    scene.renew(1, "age")
    scene.ready("1c")
    scene.died("1b", KILLED)
    assert "worker 1b ended with signal 9" in caplog.text
    assert scene.crew.is_complete
    assert list(scene.crew.children) == ["1c"]
    assert scene.crew.deadline() is None


def test_who_dies_with_the_next_one_on_its_way_needs_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = serving(1)
    scene.renew(1, "age")
    scene.died("1a", KILLED)
    assert "worker 1a ended with signal 9" in caplog.text
    assert scene.crew.deadline() is None
    scene.ready("1b")
    assert scene.forked == ["1a", "1b"]
    assert scene.crew.is_complete


def test_both_die_one_after_the_other() -> None:
    scene = serving(1)
    scene.renew(1, "age")
    scene.died("1a", KILLED)
    scene.died("1b", EXIT_STARTUP)
    scene.until_due()
    scene.ready("1c")
    assert scene.crew.is_complete
    assert not scene.crew.stopping


# --- stops -----------------------------------------------------------------------------------


def test_a_stop_retires_all_and_waits_for_them() -> None:
    scene = serving(2)
    scene.crew.stop()
    assert sorted(scene.retired) == ["1a", "2a"]
    scene.died("2a", 0)
    assert not scene.crew.finished
    scene.died("1a", 0)
    assert scene.crew.finished
    assert scene.crew.status == 0
    assert scene.forked == ["1a", "2a"]


def test_a_stop_before_anybody_was_made() -> None:
    scene = Scene(2)
    scene.crew.stop()
    assert scene.crew.finished
    assert scene.crew.deadline() is None
    scene.tick()
    assert scene.forked == []


def test_a_stop_while_they_start() -> None:
    scene = Scene(2)
    scene.tick()
    scene.ready("1a")
    scene.crew.stop()
    scene.ready("2a")
    assert sorted(scene.retired) == ["1a", "2a"]
    scene.died("1a", 0)
    scene.died("2a", EXIT_STARTUP)
    assert scene.crew.finished
    assert scene.crew.status == 0, "none of its business during a stop"


def test_a_stop_between_a_death_and_its_replacement() -> None:
    scene = serving(1)
    scene.died("1a", 1)
    scene.crew.stop()
    scene.tick()
    assert scene.forked == ["1a"]
    assert scene.crew.finished


def test_a_stop_amid_a_restart() -> None:
    scene = serving(2)
    scene.restart()
    scene.crew.stop()
    assert sorted(scene.retired) == ["1a", "1b", "2a"]
    for child in ("1a", "1b", "2a"):
        scene.died(child, 0)
    scene.pass_time(100.0)
    assert scene.crew.finished
    assert scene.forked == ["1a", "2a", "1b"]


def test_a_stop_after_a_turn_of_a_restart() -> None:
    scene = serving(2)
    scene.restart()
    scene.ready("1b")
    scene.crew.stop()
    assert sorted(scene.retired) == ["1a", "1b", "2a", "2b"]


def test_after_a_stop_nothing_is_begun() -> None:
    scene = serving(2)
    scene.crew.stop(7)
    scene.crew.stop(8)
    scene.restart()
    scene.renew(1, "age")
    scene.crew.replace_now(scene.place(1), scene.now, "it hung")
    scene.crew.scale(5, scene.now)
    scene.pass_time(100.0)
    assert scene.forked == ["1a", "2a"]
    assert sorted(scene.retired) == ["1a", "2a"]
    assert len(scene.crew.places) == 2
    assert scene.crew.generation == 0
    assert scene.crew.status == 7
