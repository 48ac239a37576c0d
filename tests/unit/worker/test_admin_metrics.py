"""The metrics, as the parser of Prometheus reads them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from pagi.server.worker.admin_metrics import METRICS, metrics_text
from pagi.server.worker.admin_view import View
from pagi.server.worker.counters import Counters
from pagi.server.worker.scoreboard import BOOTING, DRAINING
from pagi.server.worker.tallies import BOUNDS
from tests.unit.worker.boards import Board, count

BUILD = {
    "version": "1.0",
    "python": "3.11.7",
    "implementation": "cpython",
    "loop": 'u"v\\\nloop',
    "compiled": "true",
}


def parsed(view: View) -> dict[str, Metric]:
    text = metrics_text(view, 1_000_000.0, BUILD)
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(view: View, name: str, labels: Mapping[str, str] | None = None) -> float:
    found = [
        sample.value
        for family in parsed(view).values()
        for sample in family.samples
        if sample.name == name and sample.labels == (labels or {})
    ]
    assert len(found) == 1, (name, labels, found)
    return float(found[0])


def busy() -> Board:
    board = Board(2)
    first, second = board.slots
    count(first, times=3, sent=10, seconds=0.003)
    count(second, status=404, version="2")
    count(second, status=500, seconds=0.02)
    count(second, status=0, reason="client_closed")
    count(first, "sse", sent=50, seconds=100.0, reason="idle_timeout")
    count(first, "websocket", 101, version="2", reason="no such reason", seconds=7.0)
    Counters(second.counters, second.request_cell).log_rejected("client", 431, "too large")
    first.connections, second.connections = 5, 6
    first.open_http, second.open_sse, second.open_websockets = 1, 2, 3
    first.lag, first.max_lag, first.memory = 0.25, 0.5, 30_000_000
    board.site.deaths, board.site.hangs, board.site.generation = 4, 1, 2
    return board


def test_exchanges() -> None:
    view = busy().view()
    ended = {"kind": "http", "version": "1", "status": "200"}
    assert value(view, "pagi_requests_total", ended) == 3
    assert value(view, "pagi_requests_total", {**ended, "version": "2", "status": "404"}) == 1
    assert value(view, "pagi_requests_total", {**ended, "status": "none"}) == 1
    websocket = {"kind": "websocket", "version": "2", "status": "101"}
    assert value(view, "pagi_requests_total", websocket) == 1
    assert value(view, "pagi_sent_bytes_total", {"kind": "http"}) == 30
    assert value(view, "pagi_sent_bytes_total", {"kind": "websocket"}) == 0
    early = {"kind": "http", "reason": "client_closed"}
    assert value(view, "pagi_early_ends_total", early) == 1
    assert value(view, "pagi_early_ends_total", {"kind": "websocket", "reason": "other"}) == 1
    assert value(view, "pagi_rejected_requests_total", {"status": "431"}) == 1


def test_durations() -> None:
    view = busy().view()
    name = "pagi_request_duration_seconds"
    assert value(view, f"{name}_bucket", {"kind": "http", "le": "0.001"}) == 2
    assert value(view, f"{name}_bucket", {"kind": "http", "le": "0.005"}) == 5
    assert value(view, f"{name}_bucket", {"kind": "http", "le": "0.025"}) == 6
    assert value(view, f"{name}_bucket", {"kind": "http", "le": "+Inf"}) == 6
    assert value(view, f"{name}_count", {"kind": "http"}) == 6
    assert value(view, f"{name}_sum", {"kind": "http"}) == pytest.approx(0.03, abs=1e-5)
    assert value(view, f"{name}_bucket", {"kind": "sse", "le": "60.0"}) == 0
    assert value(view, f"{name}_bucket", {"kind": "sse", "le": "+Inf"}) == 1
    bounds = [s.labels["le"] for s in parsed(view)[name].samples if "le" in s.labels]
    assert bounds[: len(BOUNDS) + 1] == [*map(str, BOUNDS), "+Inf"]


def test_workers() -> None:
    view = busy().view(2.0)
    assert value(view, "pagi_open_connections", {"worker": "2"}) == 6
    assert value(view, "pagi_open_exchanges", {"worker": "2", "kind": "websocket"}) == 3
    assert value(view, "pagi_open_exchanges", {"worker": "1", "kind": "http"}) == 1
    assert value(view, "pagi_loop_lag_seconds", {"worker": "1"}) == 0.25
    assert value(view, "pagi_loop_lag_max_seconds", {"worker": "1"}) == 0.5
    assert value(view, "pagi_loop_silence_seconds", {"worker": "2"}) == pytest.approx(2, abs=0.001)
    assert value(view, "pagi_resident_memory_bytes", {"worker": "1"}) == 30_000_000


def test_the_server() -> None:
    board = busy()
    view = board.view()
    assert value(view, "pagi_workers", {"state": "ready"}) == 2
    assert value(view, "pagi_workers", {"state": "silent"}) == 0
    assert value(view, "pagi_workers_wanted") == 2
    assert value(view, "pagi_worker_deaths_total") == 4
    assert value(view, "pagi_worker_hangs_total") == 1
    assert value(view, "pagi_generation") == 2
    assert (value(view, "pagi_ready"), value(view, "pagi_draining")) == (1, 0)
    started = value(view, "pagi_start_time_seconds")
    assert started == pytest.approx(1_000_000 + board.now, abs=0.001)
    assert value(view, "pagi_build_info", BUILD) == 1
    board.site.state = DRAINING
    view = board.view()
    assert (value(view, "pagi_ready"), value(view, "pagi_draining")) == (0, 1)


def test_a_worker_and_its_replacement_are_one_series() -> None:
    board = busy()
    board.slots[0].state = DRAINING
    fresh = board.add(1, BOOTING, generation=1)
    fresh.connections = fresh.memory = 2
    view = board.view()
    assert value(view, "pagi_open_connections", {"worker": "1"}) == 7
    assert value(view, "pagi_resident_memory_bytes", {"worker": "1"}) == 30_000_002
    assert value(view, "pagi_loop_lag_seconds", {"worker": "1"}) == 0.25
    assert value(view, "pagi_worker_generation", {"worker": "1"}) == 1
    assert value(view, "pagi_workers", {"state": "booting"}) == 1
    seen = [(s.name, *s.labels.items()) for f in parsed(view).values() for s in f.samples]
    assert len(seen) == len(set(seen)), "a series twice"


def test_a_process_without_workers() -> None:
    board = Board(0)
    count(board.site, times=2)
    view = board.view()
    assert value(view, "pagi_workers_wanted") == 1
    assert value(view, "pagi_workers", {"state": "ready"}) == 1
    assert value(view, "pagi_open_connections", {"worker": "0"}) == 0
    ended = {"kind": "http", "version": "1", "status": "200"}
    assert value(view, "pagi_requests_total", ended) == 2


def test_counters_of_workers_that_have_ended_stay() -> None:
    board = busy()
    ended = {"kind": "http", "version": "1", "status": "200"}
    board.scoreboard.release(board.slots[0])
    assert value(board.view(), "pagi_requests_total", ended) == 3
    count(board.slots[1], times=2)
    assert value(board.view(), "pagi_requests_total", ended) == 5
    board.scoreboard.release(board.slots[1])
    assert value(board.view(), "pagi_requests_total", ended) == 5


def test_names_types_and_labels_are_as_declared() -> None:
    families = parsed(busy().view())
    for name, kind, help, labels in METRICS:
        family = families.pop(name.removesuffix("_total") if kind == "counter" else name)
        assert (family.type, family.documentation) == (kind, help)
        assert family.samples
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(labels), name
        assert name.endswith("_total") == (kind == "counter")
    assert not families
