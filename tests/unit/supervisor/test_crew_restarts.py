"""`Crew`: restarts, renewals and other numbers of workers; what is new is ready first."""

from __future__ import annotations

import logging
import signal
from typing import Final

import pytest

from pagi.server.errors import EXIT_APPLICATION, EXIT_CONFIGURATION, EXIT_STARTUP
from tests.unit.supervisor.scene import Scene
from tests.unit.supervisor.test_crew import serving

KILLED: Final = -9


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Let nothing of the log get lost."""
    caplog.set_level(logging.DEBUG, "pagi")


# --- restarts --------------------------------------------------------------------------------


def test_a_restart_goes_from_place_to_place_and_only_when_ready(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = serving(3)
    scene.restart()
    assert (scene.forked[3:], scene.retired) == (["1b"], [])
    scene.pass_time(100.0)
    assert (scene.forked[3:], scene.retired) == (["1b"], [])
    scene.ready("1b")
    assert (scene.forked[3:], scene.retired) == (["1b", "2b"], ["1a"])
    assert not scene.crew.is_complete
    scene.died("1a", 0)
    assert scene.forked[3:] == ["1b", "2b"], "the end of an older one is nobody's turn"
    scene.ready("2b")
    scene.ready("3b")
    assert (scene.forked[3:], scene.retired) == (["1b", "2b", "3b"], ["1a", "2a", "3a"])
    assert scene.crew.is_complete
    assert "worker 3 is replaced (restart)" in caplog.text


def test_workers_of_a_restart_are_of_its_generation() -> None:
    scene = serving(2)
    scene.restart()
    assert scene.crew.generation == 1
    scene.all_ready()
    scene.restart()
    scene.all_ready()
    scene.died("1c", KILLED)
    scene.tick()
    assert scene.generations == [0, 0, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    "status", [EXIT_APPLICATION, EXIT_CONFIGURATION, EXIT_STARTUP, 0, 1, KILLED]
)
def test_a_replacement_that_cannot_start_ends_the_restart(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    scene = serving(3)
    scene.restart()
    scene.ready("1b")
    scene.died("2b", status)
    scene.pass_time(100.0)
    assert scene.forked[3:] == ["1b", "2b"]
    assert scene.retired == ["1a"], "the others go on"
    assert scene.crew.serving == 3
    assert scene.crew.is_complete
    assert scene.crew.deadline() is None
    assert "before it was ready; the older one goes on (restart called off)" in caplog.text


def test_the_next_restart_does_better() -> None:
    scene = serving(2)
    scene.restart()
    scene.died("1b", EXIT_APPLICATION)
    scene.restart()
    scene.all_ready()
    assert scene.retired == ["1a", "2a"]
    assert [place.serving for place in scene.crew.places] == ["1c", "2b"]


def test_who_died_before_its_turn_is_replaced_by_the_restart() -> None:
    scene = serving(3)
    scene.restart()
    scene.died("3a", KILLED)
    scene.tick()
    scene.all_ready()
    assert [place.serving for place in scene.crew.places][:2] == ["1b", "2b"]
    assert scene.crew.is_complete
    assert scene.retired[:2] == ["1a", "2a"]


def test_an_older_worker_that_dies_when_its_turn_has_come() -> None:
    scene = serving(2)
    scene.restart()
    scene.died("1a", KILLED)
    scene.died("1b", EXIT_APPLICATION)
    assert not scene.crew.stopping, "2a still serves"
    scene.until_due()
    scene.ready("1c")
    scene.ready("2b")
    assert scene.crew.is_complete
    assert scene.retired == ["2a"]


def test_a_restart_during_a_restart_begins_again() -> None:
    """What was coming may have loaded what was there before."""
    scene = serving(2)
    scene.restart()
    scene.restart()
    assert scene.retired == ["1b"]
    scene.all_ready()
    assert {place.serving for place in scene.crew.places} == {"1c", "2b"}
    assert scene.retired == ["1b", "1a", "2a"] or scene.retired == ["1b", "2a", "1a"]
    scene.died("1b", -15)
    scene.died("1a", 0)
    scene.died("2a", 0)
    assert sorted(scene.crew.children) == ["1c", "2b"]
    assert scene.crew.is_complete


def test_a_restart_during_a_restart_renews_those_that_were_renewed() -> None:
    scene = serving(2)
    scene.restart()
    scene.ready("1b")
    scene.restart()
    scene.all_ready()
    assert {place.serving for place in scene.crew.places} == {"1c", "2c"}
    assert sorted(scene.retired) == ["1a", "1b", "2a", "2b"]


def test_a_restart_during_a_restart_goes_one_at_a_time_as_well() -> None:
    scene = serving(3)
    scene.restart()
    scene.restart()
    coming = [place.coming for place in scene.crew.places if place.coming is not None]
    assert len(coming) == 1


def test_a_restart_during_a_restart_ends_with_a_replacement_that_cannot_start() -> None:
    """Otherwise a broken version is tried again and again, beside a worker that serves."""
    scene = serving(2)
    scene.restart()
    scene.restart()
    for place in scene.crew.places:
        if place.coming is not None:
            scene.died(place.coming, EXIT_APPLICATION)
    assert scene.crew.deadline() is None
    scene.pass_time(100.0)
    assert [place.coming for place in scene.crew.places] == [None, None]
    assert scene.crew.is_complete


def test_a_restart_during_the_first_start() -> None:
    scene = Scene(2)
    scene.tick()
    scene.ready("1a")
    scene.restart()
    assert scene.retired == ["2a"]
    scene.died("2a", -15)
    scene.all_ready()
    assert sorted(child for child in scene.crew.children if child not in scene.retired) == [
        "1b",
        "2b",
    ]
    assert scene.crew.is_complete


def test_a_restart_before_anybody_is_ready_may_still_end_it_all() -> None:
    scene = Scene(2)
    scene.tick()
    scene.restart()
    assert scene.retired == ["1a", "2a"]
    scene.died("1a", -15)
    scene.died("2a", EXIT_APPLICATION)
    assert not scene.crew.stopping, "that one was told to stop"
    scene.tick()
    assert scene.forked == ["1a", "2a", "1b", "2b"]
    scene.died("1b", EXIT_APPLICATION)
    assert scene.crew.status == EXIT_APPLICATION


def test_a_restart_while_a_worker_is_due() -> None:
    scene = serving(2)
    scene.died("2a", KILLED)
    scene.restart()
    assert sorted(scene.forked[2:]) == ["1b", "2b"]
    scene.all_ready()
    assert scene.retired == ["1a"]
    assert scene.crew.is_complete


def test_a_restart_during_a_crash_loop_tries_at_once() -> None:
    """What was wrong may be right in the new version."""
    scene = serving(2)
    for child in ("2a", "2b", "2c"):
        scene.died(child, 1)
        scene.until_due()
    scene.died("2d", 1)
    scene.restart()
    scene.ready("1b")
    scene.ready("2e")
    assert scene.crew.is_complete


def test_a_restart_goes_on_although_a_fork_fails() -> None:
    scene = serving(2)
    scene.short = True
    scene.restart()
    scene.until_due()
    scene.short = False
    scene.until_due()
    scene.ready("1b")
    scene.ready("2b")
    assert scene.crew.is_complete
    assert scene.retired == ["1a", "2a"]


# --- single workers --------------------------------------------------------------------------


def test_who_is_worn_is_renewed(caplog: pytest.LogCaptureFixture) -> None:
    scene = serving(2)
    scene.renew(2, "1000 requests")
    assert (scene.forked[2:], scene.retired) == (["2b"], [])
    scene.ready("2b")
    assert scene.retired == ["2a"]
    assert "worker 2 is replaced (1000 requests)" in caplog.text
    assert scene.crew.is_complete
    assert scene.crew.generation == 0


def test_the_worn_wait_for_their_turn() -> None:
    scene = serving(3)
    scene.renew(3, "age")
    scene.renew(1, "age")
    scene.renew(1, "age")
    assert scene.forked[3:] == ["3b"]
    scene.ready("3b")
    assert scene.forked[3:] == ["3b", "1b"]
    scene.ready("1b")
    assert scene.forked[3:] == ["3b", "1b"]
    assert scene.crew.is_complete


def test_what_fails_for_one_reason_is_not_the_end_of_what_has_another() -> None:
    scene = serving(3)
    scene.renew(1, "age")
    scene.renew(2, "age")
    scene.renew(3, "memory")
    scene.died("1b", EXIT_STARTUP)
    assert scene.forked[3:] == ["1b", "3b"]
    scene.ready("3b")
    assert scene.crew.is_complete


def test_a_restart_takes_the_place_of_renewals() -> None:
    scene = serving(2)
    scene.renew(1, "age")
    scene.renew(2, "age")
    scene.restart()
    scene.all_ready()
    assert scene.forked[2:].count("2b") == 1
    assert [place.serving for place in scene.crew.places] == ["1c", "2b"]


def test_who_hangs_is_replaced_out_of_turn(caplog: pytest.LogCaptureFixture) -> None:
    scene = serving(3)
    scene.restart()
    scene.crew.replace_now(scene.place(3), scene.now, "it hung")
    assert scene.forked[3:] == ["1b", "3b"]
    scene.ready("3b")
    assert scene.retired == ["3a"]
    assert "worker 3 is replaced (it hung)" in caplog.text
    scene.died("3a", KILLED)
    scene.all_ready()
    assert scene.crew.is_complete


def test_who_hangs_while_the_next_one_is_coming_needs_no_other() -> None:
    scene = serving(1)
    scene.restart()
    scene.crew.replace_now(scene.place(1), scene.now, "it hung")
    assert scene.forked == ["1a", "1b"]


def test_who_hung_and_was_killed_has_its_replacement_already() -> None:
    scene = serving(1)
    scene.crew.replace_now(scene.place(1), scene.now, "it hung")
    scene.died("1a", KILLED)
    scene.died("1b", EXIT_STARTUP)
    assert not scene.crew.stopping
    scene.until_due()
    scene.ready("1c")
    assert scene.crew.is_complete


# --- other numbers ---------------------------------------------------------------------------


def test_more_workers_are_made_at_once() -> None:
    scene = serving(1)
    scene.crew.scale(3, scene.now)
    assert scene.forked == ["1a", "2a", "3a"]
    assert not scene.crew.is_complete
    scene.all_ready()
    assert scene.crew.is_complete
    assert scene.retired == []


def test_fewer_workers_are_those_in_front() -> None:
    scene = serving(3)
    scene.crew.scale(1, scene.now)
    assert sorted(scene.retired) == ["2a", "3a"]
    scene.died("3a", 0)
    scene.died("2a", 0)
    assert scene.forked == ["1a", "2a", "3a"]
    assert scene.crew.is_complete
    assert scene.crew.deadline() is None


def test_the_same_number_is_no_change() -> None:
    scene = serving(2)
    scene.crew.scale(2, scene.now)
    assert scene.forked == ["1a", "2a"]
    assert scene.retired == []


def test_down_and_up_again() -> None:
    scene = serving(2)
    scene.crew.scale(1, scene.now)
    scene.crew.scale(2, scene.now)
    assert scene.forked == ["1a", "2a", "2b"]
    scene.died("2a", 0)
    scene.ready("2b")
    assert scene.crew.is_complete


@pytest.mark.parametrize("status", [EXIT_APPLICATION, EXIT_STARTUP])
def test_one_more_that_cannot_start_does_not_end_the_site(status: int) -> None:
    scene = serving(1)
    scene.crew.scale(2, scene.now)
    scene.died("2a", status)
    assert not scene.crew.stopping
    scene.until_due()
    scene.ready("2b")
    assert scene.crew.is_complete


def test_fewer_while_they_are_coming_or_due() -> None:
    scene = serving(3)
    scene.renew(2, "age")
    scene.died("3a", KILLED)
    scene.crew.scale(1, scene.now)
    assert sorted(scene.retired) == ["2a", "2b"]
    assert scene.crew.deadline() is None
    scene.died("2a", 0)
    scene.died("2b", -15)
    scene.pass_time(100.0)
    assert scene.forked == ["1a", "2a", "3a", "2b"]
    assert scene.crew.is_complete


def test_nobody_is_made_for_a_place_that_goes() -> None:
    scene = serving(3)
    scene.renew(3, "age")
    scene.died("2a", KILLED)
    scene.crew.scale(1, scene.now)
    assert sorted(scene.retired) == ["3a", "3b"]


def test_a_restart_goes_on_with_fewer() -> None:
    scene = serving(3)
    scene.restart()
    scene.ready("1b")
    scene.crew.scale(1, scene.now)
    assert sorted(scene.retired) == ["1a", "2a", "2b", "3a"]
    assert scene.crew.is_complete


def test_a_restart_goes_on_when_the_place_whose_turn_it_is_is_gone() -> None:
    scene = serving(2)
    scene.renew(2, "age")
    scene.renew(1, "age")
    scene.crew.scale(1, scene.now)
    assert scene.forked[2:] == ["2b", "1b"]
    scene.ready("1b")
    assert scene.crew.is_complete


def test_a_restart_goes_on_with_more() -> None:
    scene = serving(2)
    scene.restart()
    scene.crew.scale(3, scene.now)
    assert scene.forked[2:] == ["1b", "3a"]
    assert scene.generations[-1] == 1
    scene.ready("3a")
    assert scene.forked[2:] == ["1b", "3a"], "the turn is still that of the first"
    scene.ready("1b")
    scene.ready("2b")
    assert scene.crew.is_complete


def test_one_that_is_given_up_before_it_is_ready_is_no_news(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = serving(1)
    scene.restart()
    scene.restart()
    assert scene.retired == ["1b"]
    scene.died("1b", -signal.SIGTERM)
    scene.ready("1c")
    assert scene.crew.is_complete
    assert "1b ended" not in caplog.text
