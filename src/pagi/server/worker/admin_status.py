"""What ``/status`` answers: the state of the server for people, scripts and the status page."""

from __future__ import annotations

from typing import Any

from pagi.server.worker.admin_history import History
from pagi.server.worker.admin_view import View
from pagi.server.worker.scoreboard import Slot
from pagi.server.worker.tallies import BOUNDS, KINDS

__all__ = ["status_document"]


def status_document(
    view: View, history: History, offset: float, server: dict[str, Any], rows: int = 0
) -> dict[str, Any]:
    """Return the document; its keys are documented and stay.

    Args:
        view: what is told.
        history: of the last seconds.
        offset: what is added to monotonic seconds to get those since 1970.
        server: what runs here.
        rows: how many of the last seconds are told one by one.
    """
    document = {
        "time": round(view.now + offset, 3),
        "server": server,
        "site": _site(view, offset),
        "recent": history.recent(),
        "open": _open(view.workers),
        "workers": [_worker(view, slot, history, offset) for slot in view.workers],
        "totals": _totals(view),
    }
    if rows:
        document["history"] = history.rows(rows)
    return document


def _site(view: View, offset: float) -> dict[str, Any]:
    site, not_ready = view.site, view.why_not_ready()
    not_alive = view.why_not_alive()
    return {
        "state": view.site_state,
        "alive": not_alive is None,
        "ready": not_ready is None,
        "reason": not_alive or not_ready,
        "pid": site.pid,
        "supervised": view.supervised,
        "started": round(site.born + offset, 3),
        "uptime": round(view.now - site.born, 3),
        "generation": site.generation,
        "workers_wanted": view.wanted,
        "workers_ready": view.count("ready"),
        "deaths": site.deaths,
        "hangs": site.hangs,
    }


def _worker(view: View, slot: Slot, history: History, offset: float) -> dict[str, Any]:
    return {
        "number": slot.number,
        "pid": slot.pid,
        "state": view.state(slot),
        "generation": slot.generation,
        "started": round(slot.born + offset, 3),
        "age": round(view.now - slot.born, 3),
        "silence": round(view.silence(slot), 3),
        "lag": round(slot.lag, 6),
        "max_lag": round(slot.max_lag, 6),
        "memory": slot.memory,
        "requests": slot.requests,
        "requests_per_second": history.rate(slot),
        "open": _open([slot]),
    }


def _open(slots: list[Slot]) -> dict[str, int]:
    return {
        "connections": sum(slot.connections for slot in slots),
        "http": sum(slot.open_http for slot in slots),
        "sse": sum(slot.open_sse for slot in slots),
        "websocket": sum(slot.open_websockets for slot in slots),
    }


def _totals(view: View) -> dict[str, Any]:
    tally = view.tally
    return {
        "requests": [
            {"kind": kind, "version": version, "status": status or None, "count": count}
            for (kind, version, status), count in tally.ended.items()
        ],
        "durations": {
            kind: {
                "bounds": BOUNDS,
                "counts": tally.durations[kind],
                "seconds": round(tally.seconds[kind], 6),
            }
            for kind in KINDS
        },
        "sent_bytes": {kind: tally.sent[kind] for kind in KINDS},
        "early_ends": [
            {"kind": kind, "reason": reason, "count": count}
            for (kind, reason), count in tally.reasons.items()
        ],
        "rejected": [
            {"status": status or None, "count": count} for status, count in tally.rejected.items()
        ],
    }
