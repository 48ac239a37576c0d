"""`View`: who serves, and whether the server is alive and ready."""

from __future__ import annotations

import pytest

from pagi.server.worker.admin_view import SUPERVISOR_SILENCE
from pagi.server.worker.scoreboard import BOOTING, DRAINING
from tests.unit.worker.boards import Board


def test_all_is_well() -> None:
    view = Board(2).view()
    assert (view.site_state, view.wanted, view.supervised) == ("ready", 2, True)
    assert [view.state(slot) for slot in view.workers] == ["ready", "ready"]
    assert view.why_not_alive() is None
    assert view.why_not_ready() is None


def test_a_process_without_workers_is_its_own() -> None:
    view = Board(0).view()
    assert (view.site_state, view.wanted, view.supervised) == ("ready", 1, False)
    assert [(slot.number, slot.pid) for slot in view.workers] == [(0, 100)]
    assert view.why_not_ready() is None


def test_the_admin_process_is_no_worker() -> None:
    board = Board(1)
    board.add(0)
    assert [slot.number for slot in board.view().workers] == [1]


def test_before_the_first_worker_is_ready() -> None:
    board = Board(2)
    board.site.state = BOOTING
    for slot in board.slots:
        slot.state = BOOTING
    view = board.view()
    assert view.site_state == "starting"
    assert view.why_not_ready() == "the application is starting"
    assert view.why_not_alive() is None


def test_one_worker_that_is_ready_is_enough() -> None:
    board = Board(2)
    board.slots[0].state = BOOTING
    assert board.view().site_state == "degraded"
    assert board.view().why_not_ready() is None
    board.site.state = BOOTING
    assert board.view().site_state == "starting"
    assert board.view().why_not_ready() is None


def test_a_server_that_drains_is_not_ready_although_it_serves() -> None:
    board = Board(2)
    board.site.state = DRAINING
    view = board.view()
    assert view.site_state == "draining"
    assert view.why_not_ready() == "the server is stopping"
    assert view.why_not_alive() is None


def test_no_worker_at_all() -> None:
    board = Board(2)
    for slot in board.slots:
        board.scoreboard.release(slot)
    view = board.view()
    assert view.site_state == "down"
    assert view.why_not_ready() == "no worker is ready"
    assert view.why_not_alive() is None, "the supervisor replaces them"


def silent(board: Board, *numbers: int) -> None:
    """Let workers hang from now on; the supervisor and the others go on."""
    board.site.beat = board.now + 31
    for number, slot in enumerate(board.slots, 1):
        slot.beat = board.now if number in numbers else board.now + 31


def test_a_worker_that_hangs_does_not_count() -> None:
    board = Board(2)
    silent(board, 1)
    view = board.view(31)
    assert [view.state(slot) for slot in view.workers] == ["silent", "ready"]
    assert view.site_state == "degraded"
    assert view.why_not_alive() is None
    assert view.why_not_ready() is None


def test_all_workers_hang() -> None:
    board = Board(2)
    silent(board, 1, 2)
    view = board.view(31)
    assert view.site_state == "down"
    assert view.why_not_alive() == "no worker has turned its loop for 31 s"
    assert view.why_not_ready() == "no worker is ready; 2 do not turn their loop"
    assert board.view(31, heartbeat_timeout=None).why_not_alive() is None
    board.add(1, BOOTING, generation=0)
    assert board.view(31).why_not_alive() is None, "the replacement comes"


def test_a_worker_that_hangs_before_it_says_that_it_is_ready() -> None:
    board = Board(1)
    slot = board.slots[0]
    slot.state, slot.beat = BOOTING, board.now + 1
    assert board.view(30).state(slot) == "booting"
    assert board.view(31).state(slot) == "silent"


def test_a_supervisor_that_hangs() -> None:
    board = Board(1)
    board.slots[0].beat = board.now + SUPERVISOR_SILENCE
    why = board.view(SUPERVISOR_SILENCE).why_not_alive()
    assert why == "the supervisor has not turned its loop for 30 s"
    assert board.view(SUPERVISOR_SILENCE - 1).why_not_alive() is None


@pytest.mark.parametrize("state", [BOOTING, DRAINING])
def test_only_a_worker_that_serves_can_be_silent(state: int) -> None:
    board = Board(1)
    board.slots[0].state = state
    assert board.view(1000).count("silent") == 0
