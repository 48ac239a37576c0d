"""What ``pagi top`` shows: a status document as lines of text."""

from __future__ import annotations

from collections.abc import Iterable
from time import localtime, strftime
from typing import Any, Final, TypeAlias

from pagi.server.worker.admin_format import NOTHING, age, count, duration, latency, rate, size

__all__ = ["Line", "frame", "painted"]

#: Pieces of text, each with the name of a style or nothing.
Line: TypeAlias = list[tuple[str, str]]

_STYLES: Final = {
    "bold": "\x1b[1m",
    "soft": "\x1b[2m",
    "good": "\x1b[32m",
    "warn": "\x1b[33m",
    "bad": "\x1b[1;31m",
}
_RESET: Final = "\x1b[0m"
_BARS: Final = "▁▂▃▄▅▆▇█"
_LATE: Final = 0.1

_HEADINGS: Final = (
    "worker",
    "state",
    "process",
    "gen",
    "age",
    "req/s",
    "conn",
    "open",
    "sse",
    "ws",
    "memory",
    "lag",
    "max lag",
)
_STATE_COLUMN: Final = 1


def frame(status: dict[str, Any] | None, place: str, trouble: str = "") -> list[Line]:
    """Return the lines.

    Args:
        status: the last document; ``None`` if there was none yet.
        place: where it comes from.
        trouble: why there is none now.
    """
    lines: list[Line] = []
    if status is not None:
        lines.append(_title(status, place))
    if trouble:
        lines.append([(trouble, "bad")])
    if status is None:
        return lines
    if status["site"]["reason"]:
        lines.append([(status["site"]["reason"], "bad")])
    lines += [[], *_summary(status), *_plot(status), []]
    lines += _workers(status["workers"])
    if trouble:  # what is told is what was
        return [lines[0], lines[1], *([(text, "soft") for text, _ in line] for line in lines[2:])]
    return lines


def painted(line: Line, width: int, *, colours: bool) -> str:
    """Return a line as text that is no wider than ``width``."""
    pieces = []
    for text, style in line:
        shown = text[: max(0, width)]
        width -= len(text)
        code = _STYLES.get(style, "") if colours and shown else ""
        pieces.append(f"{code}{shown}{_RESET}" if code else shown)
    return "".join(pieces)


def _state_style(state: str) -> str:
    return {"ready": "good", "silent": "bad", "down": "bad"}.get(state, "warn")


def _title(status: dict[str, Any], place: str) -> Line:
    site = status["site"]
    return [
        ("pagi ", "bold"),
        (f"● {site['state']}", _state_style(site["state"])),
        (f"  {place}, up {age(site['uptime'])}, generation {site['generation']}", ""),
        (strftime("  %H:%M:%S", localtime(status["time"])), "soft"),
    ]


def _summary(status: dict[str, Any]) -> list[Line]:
    recent, opened, site = status["recent"], status["open"], status["site"]
    percentiles, errors = recent["latency"], recent["errors_per_second"]
    missing = site["workers_ready"] < site["workers_wanted"]
    return [
        _facts(
            "per second",
            ("requests", rate(recent["requests_per_second"]), ""),
            ("errors", rate(errors), "bad" * bool(errors)),
            ("rejected", rate(recent["rejected_per_second"]), ""),
            ("sent", size(recent["bytes_per_second"]), ""),
        ),
        _facts("latency", *((name, latency(value), "") for name, value in percentiles.items())),
        _facts(
            "open",
            ("connections", count(opened["connections"]), ""),
            ("requests", count(opened["http"]), ""),
            ("streams", count(opened["sse"]), ""),
            ("WebSockets", count(opened["websocket"]), ""),
        ),
        _facts(
            "workers",
            ("ready", f"{site['workers_ready']} of {site['workers_wanted']}", "bad" * missing),
            ("died", count(site["deaths"]), ""),
            ("hung", count(site["hangs"]), ""),
        ),
    ]


def _facts(name: str, *facts: tuple[str, str, str]) -> Line:
    line: Line = [(f"{name:<13}", "soft")]
    for label, value, style in facts:
        line += [(f"{label} ", "soft"), (value, style or "bold"), ("   ", "")]
    return line


def _plot(status: dict[str, Any]) -> list[Line]:
    """Draw the requests per second of the last minute, the newest at the right."""
    rates = [row["requests"] for row in status.get("history", ())]
    if not rates:
        return []
    top = max(*rates, 1.0)
    bars = "".join(_BARS[round(each / top * (len(_BARS) - 1))] for each in rates)
    return [
        [
            (f"{'last minute':<13}", "soft"),
            (bars, "good"),
            (f"  at most {rate(max(rates))}", "soft"),
        ]
    ]


def _workers(workers: list[dict[str, Any]]) -> list[Line]:
    rows = [_HEADINGS, *(_cells(worker) for worker in workers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for number, row in enumerate(rows):
        # The state is at the left, numbers are at the right.
        texts = [
            f"{cell:<{width}}" if column == _STATE_COLUMN else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        styles = ["soft"] * len(row) if not number else _row_styles(row, workers[number - 1])
        lines.append(_joined(zip(texts, styles, strict=True)))
    return lines


def _row_styles(row: tuple[str, ...], worker: dict[str, Any]) -> list[str]:
    styles = [""] * len(row)
    styles[_STATE_COLUMN] = _state_style(worker["state"])
    if worker["lag"] > _LATE or worker["state"] == "silent":
        styles[-2] = "bad"
    return styles


def _joined(pieces: Iterable[tuple[str, str]]) -> Line:
    line: Line = []
    for piece in pieces:
        line += [piece, ("  ", "")]
    return line[:-1]


def _cells(worker: dict[str, Any]) -> tuple[str, ...]:
    opened = worker["open"]
    silent = worker["state"] == "silent"
    return (
        str(worker["number"]),
        worker["state"],
        str(worker["pid"]),
        str(worker["generation"]),
        age(worker["age"]),
        rate(worker["requests_per_second"]),
        *(count(opened[name]) for name in ("connections", "http", "sse", "websocket")),
        size(worker["memory"]) if worker["memory"] else NOTHING,
        f"silent {age(worker['silence'])}" if silent else duration(worker["lag"]),
        duration(worker["max_lag"]),
    )
