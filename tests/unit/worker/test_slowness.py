"""What is told of slow requests and of slow turns of the loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest

from pagi.server.worker.report import Report
from pagi.server.worker.slowness import SlowRequests, SlowTurns

LOGGER = logging.getLogger("pagi.server")
HTTP = {"type": "http", "method": "GET", "path": "/x"}


class Exchange:
    """One that began some seconds ago."""

    def __init__(self, seconds: float, begun: bool = False) -> None:
        self.started_at = perf_counter() - seconds if seconds else 0.0
        self.response_begun = begun

    def describe(self) -> str:
        return "GET /x of c, 2.0 s"


class Observer:
    """Takes notes."""

    def __init__(self) -> None:
        self.noted: list[Any] = []

    def log(self, *arguments: Any) -> None:
        self.noted.append(arguments)

    def log_rejected(self, *arguments: Any) -> None:
        self.noted.append(arguments)


async def waits() -> None:
    await asyncio.sleep(600)


@pytest.fixture
def report() -> Iterator[Report]:
    made = Report()
    yield made
    made.close()


def test_the_end_of_a_slow_request(caplog: pytest.LogCaptureFixture) -> None:
    observer = Observer()
    slow = SlowRequests(1.0, observer, LOGGER)
    slow.log("c", HTTP, 200, 1, 0.9, None)
    assert caplog.messages == []
    slow.log("c", HTTP, 200, 1, 1.0, None)
    assert caplog.messages == ["GET /x of c took 1.0 s"]
    for kind in ("sse", "websocket"):
        slow.log("c", {"type": kind}, 200, 1, 100.0, None)
    slow.log_rejected("c", 400, "", None)
    assert len(caplog.messages) == 1
    assert len(observer.noted) == 5
    SlowRequests(1.0, None, LOGGER).log("c", HTTP, 200, 1, 2.0, None)
    SlowRequests(1.0, None, LOGGER).log_rejected("c", 400, "")


async def test_a_request_that_waits_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    running = waits()
    task = asyncio.ensure_future(running)
    await asyncio.sleep(0)
    slow = SlowRequests(1.0, None, LOGGER)
    exchange = Exchange(2.0)
    for _ in range(3):
        slow.tick({task: (exchange, running)})
    (message,) = caplog.messages
    assert message.startswith(f"GET /x of c, 2.0 s and still waits at {__file__}:")
    assert message.endswith(" in waits")
    assert "sleep" in caplog.records[0].detail  # type: ignore[attr-defined]
    slow.tick({})
    assert slow._told == set(), "nothing is kept of what has ended"
    task.cancel()


async def test_what_is_not_slow(caplog: pytest.LogCaptureFixture) -> None:
    slow = SlowRequests(1.0, None, LOGGER)
    task: Any = asyncio.current_task()
    for exchange in (Exchange(0.5), Exchange(5.0, begun=True), Exchange(0.0), None):
        slow.tick({task: (exchange, None)})
    assert caplog.messages == []


def test_a_turn_that_takes_too_long(report: Report, caplog: pytest.LogCaptureFixture) -> None:
    report.file.write(
        b"Timeout (0:00:01)!\nThread 0x1 (most recent call first):\n"
        b'  File "/srv/other.py", line 1 in other\n\n'
        b"Thread 0x2 (most recent call first):\n"
        b'  File "<frozen x>", line 5 in sleep\n'
        b'  File "/srv/app.py", line 7 in block\n'
        b'  File "/srv/worker/process.py", line 9 in run_worker\n'
        b'  File "/srv/main.py", line 9 in main\n'
    )
    report.file.flush()
    turns = SlowTurns(1.0, report, LOGGER)
    try:
        turns.tick(1.2, 600.0)
        assert caplog.messages == [
            "the loop did not turn for 1.2 s; it was at /srv/app.py:7 in block"
        ]
        detail: str = caplog.records[0].detail  # type: ignore[attr-defined]
        assert "other" in detail
        assert "main.py" not in detail
        assert report.stacks() == ""
        turns.tick(0.9, 600.0)
        assert len(caplog.messages) == 1
        turns.tick(1.0, 600.0)
        assert caplog.messages[1] == "the loop did not turn for 1.0 s"
    finally:
        turns.stop()


def test_stacks_of_a_turn_that_was_not_slow_enough(report: Report) -> None:
    report.file.write(b"Timeout\n")
    report.file.flush()
    turns = SlowTurns(1.0, report, LOGGER)
    try:
        turns.tick(0.6, 600.0)
        assert report.stacks() == ""
    finally:
        turns.stop()
