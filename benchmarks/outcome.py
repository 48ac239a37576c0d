"""What a load generator saw."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the load generator saw: right answers, latencies in microseconds, failures by kind."""

    requests: int
    seconds: float
    p50: int
    p99: int
    reopened: int
    client_processor: float
    errors: dict[str, int]
    sample: str
