"""The soak in small, and whether it would see what it is there to see."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import LOOP, PURE, TRANSPORTS
from tests.soak.__main__ import table
from tests.soak.run import Report, Sample, soak
from tests.soak.server import Options

MIB = 1_048_576

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
async def test_all_is_well(tmp_path: Path) -> None:
    shown: list[Report] = []
    report = await soak(1, Options(1, PURE, LOOP, TRANSPORTS), tmp_path, shown.append)

    assert report.complaints == [], table(report)
    assert all(report.visits[name] >= 1 for name in report.answered)
    assert report.answered.total() > 100
    assert len(shown) == len(report.samples) > 1
    assert "all is well" in table(report)


@linux
async def test_errors_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that fails now and then: answers, log and exit status are judged."""
    from tests.server.client import connect
    from tests.soak import run
    from tests.soak.clients import Kind, Wrong

    async def asks_for_nothing(port: int) -> int:
        async with connect(port) as client:
            response = await client.request("/there-is-no-such-handler")
            raise Wrong(f"status {response.status}")

    monkeypatch.setattr(run, "KINDS", (Kind(asks_for_nothing),))
    monkeypatch.setattr(run, "SETTLING", 0.0)

    report = await soak(0, Options(1, PURE, LOOP, TRANSPORTS), tmp_path)

    told = " ".join(report.complaints)
    assert "1 failed visits: asks for nothing: Wrong: status 500" in told
    assert "errors in the log" in told
    assert "answers with 500" in told


@pytest.mark.parametrize(("per_second", "grows"), [(0, False), (2_000, False), (MIB, True)])
def test_growth_is_the_slope_after_the_warm_up(per_second: int, grows: bool) -> None:
    report = Report(100, 1)
    for second in range(100):
        warming = min(second, 20) * MIB
        report.samples.append(Sample(second, 40 * MIB + warming + second * per_second, second))

    assert report.slope == pytest.approx(per_second, abs=1)
    assert (report.growth > report.bound) is grows
