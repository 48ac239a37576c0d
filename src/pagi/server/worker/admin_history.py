"""`History`: what the server did in each of the last seconds, and what follows from that: rates.

Counters say what was since the start. Whoever looks during an incident wants to know what is now
and what was five minutes ago, also if nobody has collected metrics.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Any, Final, NamedTuple

from pagi.server.worker.admin_view import View
from pagi.server.worker.scoreboard import Slot
from pagi.server.worker.tallies import BOUNDS

__all__ = ["LENGTH", "RECENT", "History", "quantile"]

#: Seconds that are remembered, one sample for each.
LENGTH: Final = 300
#: Seconds that rates of now are about.
RECENT: Final = 5

_LEAST: Final = 0.5
_SERVER_ERROR: Final = 500
_QUANTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


class _Sample(NamedTuple):
    """The counters and gauges of one moment."""

    at: float
    requests: int
    errors: int
    rejected: int
    sent: int
    durations: list[int]
    connections: int
    open: tuple[int, int, int]
    lag: float
    memory: int
    workers: dict[tuple[int, float], int]


class History:
    """Remembers the last five minutes; to be told once a second.

    Args:
        offset: what is added to monotonic seconds to get those since 1970.
    """

    def __init__(self, offset: float) -> None:
        self._offset = offset
        self._samples: deque[_Sample] = deque(maxlen=LENGTH + 1)

    def add(self, view: View) -> None:
        """Take a sample."""
        if self._samples and view.now - self._samples[-1].at < _LEAST:
            return  # timers may fire a little early, and then twice
        self._samples.append(_sample(view))

    def recent(self) -> dict[str, Any]:
        """Return rates and latencies of the last seconds; ``None`` for what is not known yet."""
        if len(self._samples) < 2:
            nothing = dict.fromkeys(("p50", "p90", "p99"))
            rates = ("requests", "errors", "rejected", "bytes")
            return {
                "seconds": 0.0,
                **{f"{name}_per_second": None for name in rates},
                "latency": nothing,
            }
        row = _row(self._before(), self._samples[-1])
        return {
            "seconds": row["seconds"],
            "requests_per_second": row["requests"],
            "errors_per_second": row["errors"],
            "rejected_per_second": row["rejected"],
            "bytes_per_second": row["bytes"],
            "latency": {name: row[name] for name, _ in _QUANTILES},
        }

    def rate(self, slot: Slot) -> float | None:
        """Return the requests per second of a worker in the last seconds."""
        if len(self._samples) < 2:
            return None
        before, last = self._before(), self._samples[-1]
        key = _key(slot)
        if key not in last.workers:
            return None
        seconds = last.at - max(before.at, min(slot.born, last.at - 0.001))
        return round((last.workers[key] - before.workers.get(key, 0)) / seconds, 2)

    def rows(self, count: int) -> list[dict[str, Any]]:
        """Return the last seconds, the oldest first."""
        begin = max(0, len(self._samples) - count - 1)
        return [
            {"time": round(after.at + self._offset, 3), **_row(before, after), **_gauges(after)}
            for before, after in pairwise(islice(self._samples, begin, None))
        ]

    def _before(self) -> _Sample:
        """Return the sample that rates of now begin with."""
        return self._samples[max(0, len(self._samples) - 1 - RECENT)]


def _lag(view: View, slot: Slot) -> float:
    """Return how late a loop is; one that hangs does not say so itself, and ticks each second."""
    return 0.0 if view.state(slot) == "booting" else max(slot.lag, view.silence(slot) - 1.5)


def _key(slot: Slot) -> tuple[int, float]:
    return slot.pid, slot.born


def _sample(view: View) -> _Sample:
    tally = view.tally
    workers = view.workers
    failed = [count for (*_, status), count in tally.ended.items() if status >= _SERVER_ERROR]
    refused = [count for status, count in tally.rejected.items() if status >= _SERVER_ERROR]
    return _Sample(
        view.now,
        sum(tally.ended.values()),
        sum(failed) + sum(refused),
        sum(tally.rejected.values()),
        sum(tally.sent.values()),
        tally.durations["http"],
        sum(slot.connections for slot in workers),
        (
            sum(slot.open_http for slot in workers),
            sum(slot.open_sse for slot in workers),
            sum(slot.open_websockets for slot in workers),
        ),
        max((_lag(view, slot) for slot in workers), default=0.0),
        sum(slot.memory for slot in workers),
        {_key(slot): slot.requests for slot in workers},
    )


def _row(before: _Sample, after: _Sample) -> dict[str, Any]:
    seconds = after.at - before.at
    durations = [b - a for a, b in zip(before.durations, after.durations, strict=True)]
    return {
        "seconds": round(seconds, 3),
        "requests": round((after.requests - before.requests) / seconds, 2),
        "errors": round((after.errors - before.errors) / seconds, 2),
        "rejected": round((after.rejected - before.rejected) / seconds, 2),
        "bytes": round((after.sent - before.sent) / seconds),
        **{name: quantile(durations, share) for name, share in _QUANTILES},
    }


def _gauges(sample: _Sample) -> dict[str, Any]:
    http, sse, websocket = sample.open
    return {
        "connections": sample.connections,
        "http": http,
        "sse": sse,
        "websocket": websocket,
        "lag": round(sample.lag, 4),
        "memory": sample.memory,
    }


def quantile(buckets: Sequence[int], share: float) -> float | None:
    """Estimate a quantile of durations, in seconds; ``None`` if there are none.

    Within a bucket durations are taken to be spread evenly; what is beyond the last bound is taken
    to be there. That is how Prometheus does it.

    Args:
        buckets: how many lie within each of `BOUNDS` and not in the one before; the last is beyond.
        share: such as 0.99.
    """
    total = sum(buckets)
    if not total:
        return None
    rank, passed, lower = share * total, 0, 0.0
    for count, bound in zip(buckets, BOUNDS, strict=False):
        if count and passed + count >= rank:
            return round(lower + (bound - lower) * (rank - passed) / count, 6)
        passed += count
        lower = bound
    return BOUNDS[-1]
