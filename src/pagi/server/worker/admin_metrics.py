"""The metrics of the server in the text format of Prometheus, version 0.0.4."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final, TypeAlias

from pagi.server.worker.admin_view import WORKER_STATES, View
from pagi.server.worker.scoreboard import Slot
from pagi.server.worker.tallies import BOUNDS, KINDS

__all__ = ["CONTENT_TYPE", "METRICS", "metrics_text"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

#: What a series is called by: names and values of labels.
Labels: TypeAlias = Mapping[str, object]
#: Name, type and help of each metric, and the names of its labels, in the order they are written.
METRICS: Final[tuple[tuple[str, str, str, tuple[str, ...]], ...]] = (
    (
        "pagi_requests_total",
        "counter",
        "Requests, event streams and WebSockets that have ended; status none: no response.",
        ("kind", "version", "status"),
    ),
    (
        "pagi_request_duration_seconds",
        "histogram",
        "Time from the head of the request to the end of the exchange.",
        ("kind",),
    ),
    ("pagi_sent_bytes_total", "counter", "Bytes of bodies and messages sent.", ("kind",)),
    (
        "pagi_early_ends_total",
        "counter",
        "Exchanges that ended before they were complete, by the reason the application is told.",
        ("kind", "reason"),
    ),
    (
        "pagi_rejected_requests_total",
        "counter",
        "Requests that the server refused by itself: malformed, or beyond a limit.",
        ("status",),
    ),
    ("pagi_open_connections", "gauge", "Open connections.", ("worker",)),
    (
        "pagi_open_exchanges",
        "gauge",
        "Requests, event streams and WebSockets whose application is at work or waits.",
        ("worker", "kind"),
    ),
    (
        "pagi_loop_lag_seconds",
        "gauge",
        "How late the event loop was at most in the last five seconds.",
        ("worker",),
    ),
    (
        "pagi_loop_lag_max_seconds",
        "gauge",
        "How late the event loop was at most since the worker was started.",
        ("worker",),
    ),
    (
        "pagi_loop_silence_seconds",
        "gauge",
        "Time since the last tick of the event loop, once a second; it is blocked if it is more.",
        ("worker",),
    ),
    ("pagi_resident_memory_bytes", "gauge", "Resident memory.", ("worker",)),
    ("pagi_worker_start_time_seconds", "gauge", "When the worker was started.", ("worker",)),
    (
        "pagi_worker_generation",
        "gauge",
        "How many restarts of the server came before the worker.",
        ("worker",),
    ),
    ("pagi_workers", "gauge", "Workers by state.", ("state",)),
    ("pagi_workers_wanted", "gauge", "How many workers there should be.", ()),
    ("pagi_ready", "gauge", "1 if /readyz says so, else 0.", ()),
    ("pagi_draining", "gauge", "1 if the server is stopping, else 0.", ()),
    ("pagi_generation", "gauge", "How many restarts of the workers were asked for.", ()),
    (
        "pagi_worker_deaths_total",
        "counter",
        "Workers that ended without being told to.",
        (),
    ),
    (
        "pagi_worker_hangs_total",
        "counter",
        "Workers whose loop did not turn for heartbeat_timeout.",
        (),
    ),
    ("pagi_start_time_seconds", "gauge", "When the server was started.", ()),
    (
        "pagi_build_info",
        "gauge",
        "Always 1; what runs here is in the labels.",
        ("version", "python", "implementation", "loop", "compiled"),
    ),
)


def metrics_text(view: View, offset: float, build: Labels) -> str:
    """Return the whole text.

    Args:
        view: what is told.
        offset: what is added to monotonic seconds to get those since 1970.
        build: the labels of ``pagi_build_info``.
    """
    series: dict[str, list[tuple[Labels, float]]] = {
        **_of_exchanges(view),
        **_of_workers(view, offset),
        **_of_site(view, offset),
        "pagi_build_info": [(build, 1)],
    }
    lines: list[str] = []
    for name, kind, help, _ in METRICS:
        lines += (f"# HELP {name} {help}", f"# TYPE {name} {kind}")
        if kind == "histogram":
            lines += _histograms(name, view)
        else:
            lines += (_line(name, labels, value) for labels, value in series[name])
    return "\n".join(lines) + "\n"


def _of_exchanges(view: View) -> dict[str, list[tuple[Labels, float]]]:
    tally = view.tally
    return {
        "pagi_requests_total": [
            ({"kind": kind, "version": version, "status": status or "none"}, count)
            for (kind, version, status), count in tally.ended.items()
        ],
        "pagi_sent_bytes_total": [({"kind": kind}, tally.sent[kind]) for kind in KINDS],
        "pagi_early_ends_total": [
            ({"kind": kind, "reason": reason}, count)
            for (kind, reason), count in tally.reasons.items()
        ],
        "pagi_rejected_requests_total": [
            ({"status": status or "none"}, count) for status, count in tally.rejected.items()
        ],
    }


def _of_workers(view: View, offset: float) -> dict[str, list[tuple[Labels, float]]]:
    """Make series of workers. One that stops and its replacement have the number in common.

    What they hold is added up, of their lags the larger one counts, and the newer one is described.
    """
    places = {
        number: list(slots) for number, slots in groupby(view.workers, lambda slot: slot.number)
    }

    def each(value: Callable[[list[Slot]], float]) -> list[tuple[Labels, float]]:
        return [({"worker": number}, value(slots)) for number, slots in places.items()]

    return {
        "pagi_open_connections": each(lambda slots: sum(slot.connections for slot in slots)),
        "pagi_open_exchanges": [
            ({"worker": number, "kind": kind}, sum(_open(slot, kind) for slot in slots))
            for number, slots in places.items()
            for kind in KINDS
        ],
        "pagi_loop_lag_seconds": each(lambda slots: max(slot.lag for slot in slots)),
        "pagi_loop_lag_max_seconds": each(lambda slots: max(slot.max_lag for slot in slots)),
        "pagi_loop_silence_seconds": each(
            lambda slots: max(
                (view.silence(slot) for slot in slots if view.state(slot) != "booting"),
                default=0.0,
            )
        ),
        "pagi_resident_memory_bytes": each(lambda slots: sum(slot.memory for slot in slots)),
        "pagi_worker_start_time_seconds": each(lambda slots: slots[-1].born + offset),
        "pagi_worker_generation": each(lambda slots: slots[-1].generation),
    }


def _open(slot: Slot, kind: str) -> int:
    return {"http": slot.open_http, "sse": slot.open_sse, "websocket": slot.open_websockets}[kind]


def _of_site(view: View, offset: float) -> dict[str, list[tuple[Labels, float]]]:
    values = {
        "pagi_workers_wanted": view.wanted,
        "pagi_ready": int(view.why_not_ready() is None),
        "pagi_draining": int(view.site_state == "draining"),
        "pagi_generation": view.site.generation,
        "pagi_worker_deaths_total": view.site.deaths,
        "pagi_worker_hangs_total": view.site.hangs,
        "pagi_start_time_seconds": view.site.born + offset,
    }
    series: dict[str, list[tuple[Labels, float]]] = {
        name: [({}, value)] for name, value in values.items()
    }
    series["pagi_workers"] = [({"state": state}, view.count(state)) for state in WORKER_STATES]
    return series


def _histograms(name: str, view: View) -> Iterator[str]:
    for kind in KINDS:
        total = 0
        for bound, count in zip((*BOUNDS, "+Inf"), view.tally.durations[kind], strict=True):
            total += count
            yield _line(f"{name}_bucket", {"kind": kind, "le": bound}, total)
        yield _line(f"{name}_sum", {"kind": kind}, view.tally.seconds[kind])
        yield _line(f"{name}_count", {"kind": kind}, total)


def _line(name: str, labels: Labels, value: float) -> str:
    return f"{name}{_written(labels.items())} {_number(value)}"


def _written(labels: Iterable[tuple[str, Any]]) -> str:
    text = ",".join(f'{name}="{_escape(str(value))}"' for name, value in labels)
    return f"{{{text}}}" if text else ""


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}".rstrip("0").rstrip(".")
