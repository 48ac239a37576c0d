"""The layout of what `Counters` writes, and `Tally`: the same, read.

A worker only adds to its cells. What the whole server has done is the sum over all slots.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pagi.interface.tokens import DISCONNECT_REASONS

__all__ = [
    "BOUNDS",
    "BUCKETS",
    "DURATION",
    "KINDS",
    "MICROSECONDS",
    "NO_STATUS",
    "OTHER_REASON",
    "REASON",
    "REASONS",
    "REJECTED",
    "SENT",
    "STATUS",
    "STATUSES",
    "VERSIONS",
    "Tally",
]

#: Types of scopes, and versions of HTTP that carry them.
KINDS: Final = ("http", "sse", "websocket")
VERSIONS: Final = ("1", "2")
#: Upper bounds of the buckets of durations, in seconds; one more bucket is beyond the last.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
REASONS: Final = tuple(sorted(DISCONNECT_REASONS))

#: Cells of a series of statuses: from 100 on; the last is for all others, and for none.
STATUSES: Final = 512
NO_STATUS: Final = 511
BUCKETS: Final = 15
OTHER_REASON: Final = 15

# Where each part begins.
STATUS: Final = 0
DURATION: Final = 3072
MICROSECONDS: Final = 3120
SENT: Final = 3123
REASON: Final = 3126
REJECTED: Final = 3174

_FIRST_STATUS: Final = 100


@dataclass(slots=True)
class Tally:
    """What some workers have done together.

    Attributes:
        ended: exchanges by kind, version and status; the status is 0 where none was sent.
        durations: of exchanges by kind: how many ended within each of `BOUNDS`, not more than in
            the one before; the last counts those beyond.
        seconds: all durations of a kind together.
        sent: body bytes sent, by kind.
        reasons: early ends by kind and reason, ``other`` for those that are not standard.
        rejected: requests that never reached the application, by status.
    """

    ended: dict[tuple[str, str, int], int] = field(default_factory=dict)
    durations: dict[str, list[int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    reasons: dict[tuple[str, str], int] = field(default_factory=dict)
    rejected: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, cells: list[int]) -> Tally:
        """Read counters; see `Reading.counters`."""
        tally = cls()
        for number, kind in enumerate(KINDS):
            for index, version in enumerate(VERSIONS):
                begin = STATUS + (number * len(VERSIONS) + index) * STATUSES
                for status, count in _statuses(cells, begin):
                    tally.ended[kind, version, status] = count
            begin = DURATION + number * BUCKETS
            tally.durations[kind] = cells[begin : begin + BUCKETS]
            tally.seconds[kind] = cells[MICROSECONDS + number] / 1_000_000
            tally.sent[kind] = cells[SENT + number]
            begin = REASON + number * (OTHER_REASON + 1)
            for place, reason in (*enumerate(REASONS), (OTHER_REASON, "other")):
                if cells[begin + place]:
                    tally.reasons[kind, reason] = cells[begin + place]
        tally.rejected = dict(_statuses(cells, REJECTED))
        return tally


def _statuses(cells: list[int], begin: int) -> list[tuple[int, int]]:
    """Return statuses and their counts, those that came up."""
    return [
        (0 if place == NO_STATUS else place + _FIRST_STATUS, count)
        for place, count in enumerate(cells[begin : begin + STATUSES])
        if count
    ]
