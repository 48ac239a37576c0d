"""The status document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pagi.server.worker.admin_history import History
from pagi.server.worker.admin_status import status_document
from pagi.server.worker.scoreboard import DRAINING
from pagi.server.worker.tallies import BOUNDS
from tests.unit.worker.boards import Board, count


def document(board: Board, after: float = 0.0, rows: int = 0) -> dict[str, Any]:
    history = History(1000.0)
    for second in range(3):
        history.add(board.view(second))
    made = status_document(board.view(after), history, 1000.0, {"version": "1"}, rows)
    read: dict[str, Any] = json.loads(json.dumps(made))
    return read


def test_the_server() -> None:
    board = Board(2)
    board.site.deaths = 3
    told = document(board, 90)
    assert told["time"] == pytest.approx(board.now + 1090, abs=0.01)
    assert told["server"] == {"version": "1"}
    site = told["site"]
    assert site["started"] == pytest.approx(board.now + 1000, abs=0.01)
    assert site["uptime"] == pytest.approx(90, abs=0.01)
    assert (site["pid"], site["supervised"], site["deaths"], site["hangs"]) == (100, True, 3, 0)


@pytest.mark.parametrize(
    ("after", "state", "alive", "ready", "reason"),
    [
        (0, "ready", True, True, None),
        (40, "down", False, False, "the supervisor has not turned its loop for 40 s"),
    ],
)
def test_verdicts(after: float, state: str, alive: bool, ready: bool, reason: str | None) -> None:
    site = document(Board(2), after)["site"]
    assert (site["state"], site["alive"], site["ready"]) == (state, alive, ready)
    assert site["reason"] == reason
    assert site["workers_wanted"] == 2
    assert site["workers_ready"] == (2 if ready else 0)


def test_workers() -> None:
    board = Board(2)
    first, second = board.slots
    count(first, times=5)
    first.connections, first.open_sse, first.memory, first.lag = 7, 2, 1000, 0.125
    second.state = DRAINING
    told = document(board, 2)
    assert [worker["number"] for worker in told["workers"]] == [1, 2]
    assert [worker["state"] for worker in told["workers"]] == ["ready", "draining"]
    worker = told["workers"][0]
    assert (worker["pid"], worker["requests"], worker["memory"]) == (101, 5, 1000)
    assert (worker["lag"], worker["max_lag"]) == (0.125, 0.0)
    assert worker["silence"] == worker["age"] == pytest.approx(2, abs=0.01)
    assert worker["requests_per_second"] == 0.0
    assert worker["open"] == {"connections": 7, "http": 0, "sse": 2, "websocket": 0}
    assert told["open"] == worker["open"]


def test_totals() -> None:
    board = Board(2)
    count(board.slots[0], sent=10, reason="client_closed")
    count(board.slots[1], sent=10, times=2)
    count(board.slots[1], status=0, seconds=0.2)
    totals = document(board)["totals"]
    assert totals["requests"] == [
        {"kind": "http", "version": "1", "status": 200, "count": 3},
        {"kind": "http", "version": "1", "status": None, "count": 1},
    ]
    assert totals["sent_bytes"] == {"http": 30, "sse": 0, "websocket": 0}
    assert totals["early_ends"] == [{"kind": "http", "reason": "client_closed", "count": 1}]
    assert totals["rejected"] == []
    durations = totals["durations"]["http"]
    assert durations["bounds"] == list(BOUNDS)
    assert len(durations["counts"]) == len(BOUNDS) + 1
    assert (durations["counts"][0], durations["counts"][7]) == (3, 1)
    assert durations["seconds"] == pytest.approx(0.2015, abs=1e-4)


def test_history_comes_when_asked_for() -> None:
    assert "history" not in document(Board())
    rows = document(Board(), rows=10)["history"]
    assert len(rows) == 2
    assert rows[0]["requests"] == 0.0
