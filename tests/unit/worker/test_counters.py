"""`Counters`: both twins write the same cells, and the layout has a place for each."""

from __future__ import annotations

import random
from array import array
from itertools import pairwise
from typing import Any

import pytest

from pagi.interface.tokens import DISCONNECT_REASONS
from pagi.server.worker import _counters_py as python
from pagi.server.worker import tallies
from pagi.server.worker.scoreboard import Scoreboard
from pagi.server.worker.tallies import BOUNDS, KINDS, REASONS, Tally

TWINS = [python.Counters]
try:
    from pagi.server.worker import _counters_c as compiled  # type: ignore[attr-defined]
except ImportError:  # there is no compiler
    pass
else:
    TWINS.append(compiled.Counters)

both = pytest.mark.parametrize("make", TWINS, ids=lambda twin: str(twin.__module__))
SIZE = len(Scoreboard(0).site.counters)


class Log:
    """Stands in for the access log."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def log(self, *arguments: Any) -> None:
        self.calls.append(arguments)

    def log_rejected(self, *arguments: Any) -> None:
        self.calls.append(arguments)


def counted(make: Any) -> tuple[Any, list[int], list[int]]:
    """Return counters, and the cells they write."""
    cells, requests = array("q", bytes(8 * SIZE)), array("q", [0])
    return make(memoryview(cells), memoryview(requests)), cells, requests  # type: ignore[return-value]


def test_parts_do_not_overlap_and_fit() -> None:
    kinds = len(KINDS)
    parts = [
        (tallies.STATUS, kinds * len(tallies.VERSIONS) * tallies.STATUSES),
        (tallies.DURATION, kinds * tallies.BUCKETS),
        (tallies.MICROSECONDS, kinds),
        (tallies.SENT, kinds),
        (tallies.REASON, kinds * (tallies.OTHER_REASON + 1)),
        (tallies.REJECTED, tallies.STATUSES),
    ]
    for (begin, size), (following, _) in pairwise(sorted(parts)):
        assert begin + size <= following
    begin, size = max(parts)
    assert begin + size <= SIZE
    assert len(BOUNDS) + 1 == tallies.BUCKETS
    assert list(BOUNDS) == sorted(set(BOUNDS))
    assert len(REASONS) <= tallies.OTHER_REASON
    assert set(REASONS) == set(DISCONNECT_REASONS)
    assert tallies.NO_STATUS == tallies.STATUSES - 1


@pytest.mark.skipif(len(TWINS) < 2, reason="there is no compiled twin")
def test_twins_write_the_same_cells() -> None:
    chance = random.Random(7)
    (one, cells, requests), (other, others, others_requests) = map(counted, TWINS)
    for _ in range(5000):
        scope = {
            "type": chance.choice(KINDS),
            "http_version": chance.choice(["1.0", "1.1", "2"]),
        }
        status = chance.choice([0, None, 100, 101, 200, 204, 404, 500, 599, 610, 611, 999, 99])
        seconds = chance.choice([0.0, 0.001, 0.0010004, 0.0025, 59.999999, 60.0, 61.0, 1e6])
        reason = chance.choice([None, *REASONS, "another"])
        for counters in (one, other):
            counters.log("client", scope, status, 1 << 40, seconds, reason)
        rejected = chance.choice([400, 408, 431, 503, 0])
        for counters in (one, other):
            counters.log_rejected("client", rejected, "why")
    assert cells == others
    assert requests == others_requests == array("q", [5000])
    assert Tally.of(cells) == Tally.of(others)


@both
def test_what_is_counted_is_read(make: Any) -> None:
    counters, cells, _ = counted(make)
    counters.log("client", {"type": "sse", "http_version": "2"}, 200, 7, 0.3, "client_closed")
    counters.log("client", {"type": "http", "http_version": "1.0"}, 0, 0, 0.0, "odd")
    counters.log_rejected("client", 400, "bad")
    tally = Tally.of(list(cells))
    assert tally.ended == {("http", "1", 0): 1, ("sse", "2", 200): 1}
    assert tally.reasons == {("http", "other"): 1, ("sse", "client_closed"): 1}
    assert tally.rejected == {400: 1}
    assert tally.sent == {"http": 0, "sse": 7, "websocket": 0}
    assert tally.seconds["sse"] == pytest.approx(0.3, abs=1e-6)
    assert tally.durations["sse"][BOUNDS.index(0.5)] == 1
    assert sum(map(sum, tally.durations.values())) == 2


@both
def test_each_bound_is_within_its_bucket(make: Any) -> None:
    counters, cells, _ = counted(make)
    for bound in BOUNDS:
        counters.log("client", {"type": "http", "http_version": "1.1"}, 200, 0, bound, None)
    assert Tally.of(list(cells)).durations["http"] == [1] * len(BOUNDS) + [0]


@both
def test_every_reason_has_a_place(make: Any) -> None:
    counters, cells, _ = counted(make)
    for reason in REASONS:
        counters.log("c", {"type": "websocket", "http_version": "1.1"}, 101, 0, 1.0, reason)
    assert Tally.of(list(cells)).reasons == {("websocket", reason): 1 for reason in REASONS}


@both
def test_the_access_log_hears_the_same(make: Any) -> None:
    log = Log()
    cells, requests = array("q", bytes(8 * SIZE)), array("q", [0])
    counters = make(memoryview(cells), memoryview(requests), log)
    scope = {"type": "http", "http_version": "1.1"}
    counters.log("client", scope, 200, 5, 0.5, None)
    counters.log_rejected("client", 400, "bad", "app_abort")
    counters.log_rejected("client", 400, "bad")
    assert log.calls == [
        ("client", scope, 200, 5, 0.5, None),
        ("client", 400, "bad", "app_abort"),
        ("client", 400, "bad", None),
    ]
