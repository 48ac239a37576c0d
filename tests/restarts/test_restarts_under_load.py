"""A short run of ``python -m tests.restarts``, and that it would notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.restarts.clients import Failure, Tally
from tests.restarts.run import Plan, Report, run

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc")


@needs_proc
@pytest.mark.parametrize("options", [(), ("--reuseport",)], ids=["shared", "reuseport"])
async def test_not_one_request_is_lost(options: tuple[str, ...], tmp_path: Path) -> None:
    plan = Plan(requests=8_000, restarts=2, hot_restarts=1, kept=20, options=options)
    report = await run(plan, tmp_path)
    assert report.complaints == [], report.log
    assert report.tally.answered >= 8_000
    assert len(report.tally.workers) >= 4


@needs_proc
async def test_only_connections_of_a_killed_worker_fail(tmp_path: Path) -> None:
    plan = Plan(requests=6_000, restarts=1, hot_restarts=0, kills=2, kept=20)
    report = await run(plan, tmp_path)
    assert report.complaints == [], report.log
    assert len(report.killed) == 2


def test_a_lost_request_is_a_complaint() -> None:
    lost = Failure("cut", 7, 0.0)
    report = Report(Plan(restarts=0, hot_restarts=0), Tally(1, failures=[lost]))
    assert report.complaints == ["cut (worker 7)"]
    report.killed = {7}
    assert report.complaints == []
