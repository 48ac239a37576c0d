"""`Counters`: exchanges as numbers, written where every process of the server can read them.

One source, two builds: compiled as ``_counters_c`` (see ``_counters_c.pxd``).

The cells are laid out by `pagi.server.worker.tallies`, which also reads them.
"""

from __future__ import annotations

from typing import Any, Final

from pagi.server.worker.tallies import (
    BOUNDS,
    BUCKETS,
    DURATION,
    KINDS,
    MICROSECONDS,
    NO_STATUS,
    OTHER_REASON,
    REASON,
    REASONS,
    REJECTED,
    SENT,
    STATUS,
    STATUSES,
)

__all__ = ["Counters"]

# Under names that have a C type in the compiled twin.
_BUCKETS: Final[int] = BUCKETS
_DURATION: Final[int] = DURATION
_MICROSECONDS: Final[int] = MICROSECONDS
_NO_STATUS: Final[int] = NO_STATUS
_OTHER_REASON: Final[int] = OTHER_REASON
_REASON: Final[int] = REASON
_REJECTED: Final[int] = REJECTED
_SENT: Final[int] = SENT
_STATUS: Final[int] = STATUS
_STATUSES: Final[int] = STATUSES

_KINDS: Final = {name: number for number, name in enumerate(KINDS)}
_REASONS: Final = {name: number for number, name in enumerate(REASONS)}
_BOUNDS: Final = [int(bound * 1_000_000) for bound in BOUNDS]
_FIRST_STATUS: Final = 100


class Counters:
    """Counts the exchanges of one worker when they end.

    Args:
        cells: of the worker's slot, behind its header.
        requests: a cell that counts exchanges of all kinds.
        access_log: told of the same, or ``None``.
    """

    __slots__ = ("_access_log", "_cells", "_requests")

    def __init__(
        self,
        cells: memoryview,
        requests: memoryview,
        access_log: Any = None,
    ) -> None:
        self._cells = cells
        self._requests = requests
        self._access_log = access_log

    def log(
        self,
        client: str,
        scope: dict[str, Any],
        status: int,
        sent: int,
        seconds: float,
        reason: str | None,
    ) -> None:
        """Count an exchange, and log it; the arguments are those of `AccessLog.log`."""
        cells = self._cells
        kind: int = _KINDS[scope["type"]]
        series = kind * 2 + (scope["http_version"] == "2")
        cells[_STATUS + series * _STATUSES + _place(status or 0)] += 1
        micros = int(seconds * 1_000_000)
        bucket = 0
        for bound in _BOUNDS:
            if micros <= bound:
                break
            bucket += 1
        cells[_DURATION + kind * _BUCKETS + bucket] += 1
        cells[_MICROSECONDS + kind] += micros
        cells[_SENT + kind] += sent
        if reason is not None:
            number: int = _REASONS.get(reason, _OTHER_REASON)
            cells[_REASON + kind * (_OTHER_REASON + 1) + number] += 1
        self._requests[0] += 1
        if self._access_log is not None:
            self._access_log.log(client, scope, status, sent, seconds, reason)

    def log_rejected(
        self, client: str, status: int, detail: str, reason: str | None = None
    ) -> None:
        """Count and log a request that never reached the application."""
        self._cells[_REJECTED + _place(status)] += 1
        if self._access_log is not None:
            self._access_log.log_rejected(client, status, detail, reason)


def _place(status: int) -> int:
    """Return which cell of a series counts a status."""
    place = status - _FIRST_STATUS
    return place if 0 <= place < _NO_STATUS else _NO_STATUS
