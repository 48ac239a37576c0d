"""`History`: rates and latencies of the last seconds."""

from __future__ import annotations

import pytest

from pagi.server.worker.admin_history import LENGTH, RECENT, History, quantile
from pagi.server.worker.scoreboard import BOOTING
from pagi.server.worker.tallies import BUCKETS
from tests.unit.worker.boards import Board, count


def test_nothing_is_known_in_the_first_second() -> None:
    board, history = Board(), History(0.0)
    for _ in range(2):
        recent = history.recent()
        assert recent["seconds"] == 0.0
        assert recent["requests_per_second"] is None
        assert recent["latency"] == {"p50": None, "p90": None, "p99": None}
        assert history.rate(board.slots[0]) is None
        assert history.rows(10) == []
        history.add(board.view())


def test_rates() -> None:
    board, history = Board(), History(0.0)
    count(board.slots[0], times=50)  # before anybody looked
    history.add(board.view(0))
    count(board.slots[0], times=30, sent=100, seconds=0.02)
    count(board.slots[1], times=10, status=503)
    history.add(board.view(1))
    history.add(board.view(2))
    recent = history.recent()
    assert recent["seconds"] == 2.0
    assert recent["requests_per_second"] == 20.0
    assert recent["errors_per_second"] == 5.0
    assert recent["bytes_per_second"] == 1500
    assert 0.01 < recent["latency"]["p50"] <= 0.025
    assert [history.rate(slot) for slot in board.view().workers] == [15.0, 5.0]


def test_rates_are_of_the_last_seconds_only() -> None:
    board, history = Board(), History(0.0)
    history.add(board.view(0))
    count(board.slots[0], times=1000)
    for second in range(1, RECENT + 2):
        history.add(board.view(second))
    assert history.recent()["requests_per_second"] == 0.0
    assert history.rate(board.slots[0]) == 0.0


def test_the_rate_of_a_worker_that_has_just_come() -> None:
    board, history = Board(1), History(0.0)
    for second in range(6):
        history.add(board.view(second))
    fresh = board.add(2)
    fresh.born = fresh.beat = board.now + 6
    assert history.rate(fresh) is None
    count(fresh, times=8)
    history.add(board.view(8))
    assert history.rate(fresh) == pytest.approx(4.0, abs=0.01)


def test_rejected_requests_are_no_errors_unless_the_server_is_at_fault() -> None:
    from pagi.server.worker.counters import Counters

    board, history = Board(), History(0.0)
    history.add(board.view(0))
    counters = Counters(board.slots[0].counters, board.slots[0].request_cell)
    counters.log_rejected("client", 400, "bad")
    counters.log_rejected("client", 503, "too many connections")
    history.add(board.view(1))
    recent = history.recent()
    assert (recent["rejected_per_second"], recent["errors_per_second"]) == (2.0, 1.0)
    assert recent["requests_per_second"] == 0.0


def test_rows_are_seconds() -> None:
    board, history = Board(), History(1_000_000.0)
    board.slots[0].connections, board.slots[1].connections = 3, 4
    board.slots[0].open_sse, board.slots[1].open_websockets = 1, 2
    board.slots[0].memory = board.slots[1].memory = 1000
    for second in range(5):
        count(board.slots[0], times=second)
        history.add(board.view(second))
    rows = history.rows(3)
    assert [row["requests"] for row in rows] == [2.0, 3.0, 4.0]
    assert [round(row["time"] - board.now - 1_000_000) for row in rows] == [2, 3, 4]
    newest = rows[-1]
    assert (newest["connections"], newest["sse"], newest["websocket"]) == (7, 1, 2)
    assert newest["memory"] == 2000
    assert len(history.rows(LENGTH)) == 4


def test_five_minutes_are_remembered() -> None:
    board, history = Board(), History(0.0)
    for second in range(LENGTH + 50):
        history.add(board.view(second))
    assert len(history.rows(LENGTH)) == len(history.rows(LENGTH * 2)) == LENGTH


def test_a_timer_that_fires_twice_makes_one_sample() -> None:
    board, history = Board(), History(0.0)
    history.add(board.view(0))
    history.add(board.view(1.0))
    history.add(board.view(1.001))
    assert len(history.rows(10)) == 1


def test_the_lag_of_a_loop_that_hangs_is_how_long_it_hangs() -> None:
    board, history = Board(), History(0.0)
    history.add(board.view(0))
    board.slots[0].beat = board.now + 10
    board.add(3, BOOTING)
    history.add(board.view(10))
    assert history.rows(1)[0]["lag"] == pytest.approx(8.5, abs=0.01)


def test_quantiles() -> None:
    buckets = [0] * BUCKETS
    assert quantile(buckets, 0.5) is None
    buckets[3] = 100  # from 5 to 10 ms
    assert quantile(buckets, 0.5) == pytest.approx(0.0075)
    assert quantile(buckets, 1.0) == pytest.approx(0.01)
    buckets[0] = 100
    assert quantile(buckets, 0.5) == pytest.approx(0.001)
    assert quantile(buckets, 0.25) == pytest.approx(0.0005)
    buckets[-1] = 1000  # more than a minute
    assert quantile(buckets, 0.99) == 60.0
