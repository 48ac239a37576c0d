"""Numbers for people, as the status page and ``pagi top`` write them."""

from __future__ import annotations

from typing import Final

from pagi.server.worker.tallies import BOUNDS

__all__ = ["NOTHING", "age", "count", "duration", "latency", "rate", "size"]

#: For what is not known.
NOTHING: Final = "–"

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_TEN: Final = 10


def count(value: float) -> str:
    """Write a whole number: ``12,345``."""
    return f"{value:,.0f}"


def rate(value: float | None) -> str:
    """Write something per second: small ones with a decimal, large ones with separators."""
    if value is None:
        return NOTHING
    return f"{value:.1f}" if 0 < value < _TEN else count(value)


def size(value: float | None) -> str:
    """Write bytes: ``512 B``, ``1.5 kB``, ``48 MB``."""
    if value is None:
        return NOTHING
    units = iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    # What is more would be written 1000.
    while value >= 999.5 and (larger := next(units, "")):
        value, unit = value / 1000, larger
    digits = 1 if value < _TEN and unit != "B" else 0
    return f"{value:.{digits}f} {unit}"


def latency(seconds: float | None) -> str:
    """Write a duration that comes from a histogram: ``<1 ms``, ``12 ms``, ``1.5 s``."""
    if seconds is not None and seconds <= BOUNDS[0]:
        return f"<{BOUNDS[0] * 1000:.0f} ms"  # it is not known better
    return duration(seconds)


def duration(seconds: float | None) -> str:
    """Write a duration: ``0.3 ms``, ``12 ms``, ``1.5 s``."""
    if seconds is None:
        return NOTHING
    if seconds < 0.00005:  # less would be written 0.0 ms
        return "0 ms"
    if seconds < 0.9995:
        ms = seconds * 1000
        return f"{ms:.1f} ms" if ms < _TEN else f"{ms:.0f} ms"
    return f"{seconds:.1f} s" if seconds < _TEN * _TEN else f"{seconds:.0f} s"


def age(seconds: float) -> str:
    """Write how long something has lasted, in its two largest units: ``42 s``, ``3 h 07 min``."""
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02d} h"
