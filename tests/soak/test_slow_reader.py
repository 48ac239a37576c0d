"""One slow reader among many: in small by default, with a thousand when asked for."""

from __future__ import annotations

import sys

import pytest

from tests.conftest import LOOP, PURE, TRANSPORTS
from tests.soak.server import Options
from tests.soak.slow_reader import GROWTH, Report, measure, table

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.spec("SSE-11", "CORE-23")
async def test_the_others_get_their_events() -> None:
    report = await measure(50, 1, 5, Options(1, PURE, LOOP, TRANSPORTS))

    assert report.missing == 0
    assert report.behind == [1]
    assert report.growth < GROWTH


@pytest.mark.slow
@pytest.mark.spec("SSE-11", "CORE-23")
async def test_a_thousand_do_not_notice() -> None:
    report = await measure(1000, 4, 30, Options(1, PURE, LOOP, TRANSPORTS))

    assert report.complaints() == [], table(report)


def test_what_is_wrong_is_said() -> None:
    report = Report(10, alone=[10.0], beside=[13.0], middle=[5.0], behind=[2], missing=3)
    report.memory_alone, report.memory_beside = [0], [2 * GROWTH]

    assert [complaint.split()[-1] for complaint in report.complaints()] == [
        "missing", "[2]", "reader", "MiB",
    ]  # fmt: skip
    assert table(report).count("WRONG") == 4
