"""The status page: one file with everything in it, filled with the numbers of now.

In a browser with JavaScript it asks ``/status`` each second and draws curves; without, it is a page
of numbers that loads itself anew.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any, Final

from pagi.server.worker.admin_format import NOTHING, age, count, duration, latency, rate, size

__all__ = ["page", "page_headers"]

_LATE: Final = 0.1
_SERVER_ERROR: Final = 500


@cache
def _template() -> str:
    return (files("pagi.server.worker") / "admin_page.html").read_text("utf-8")


@cache
def page_headers() -> tuple[tuple[bytes, bytes], ...]:
    """Return the header fields of the page: nothing but its own style and script may run."""
    style, script = (
        b64encode(sha256(text.encode()).digest()).decode()
        for text in (_between("style"), _between("script"))
    )
    policy = (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return (
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"no-referrer"),
    )


def _between(tag: str) -> str:
    found = re.search(f"<{tag}>(.*?)</{tag}>", _template(), re.DOTALL)
    assert found is not None
    return found[1]


def page(status: dict[str, Any]) -> str:
    """Return the page, filled from a status document."""
    site, totals = status["site"], status["totals"]
    parts = {
        "state": escape(site["state"]),
        "reason": escape(site["reason"] or ""),
        "facts": escape(_facts(site, status["server"])),
        "tiles": "".join(_tile(*tile) for tile in _tiles(status)),
        "workers": "".join(_worker(worker) for worker in status["workers"]),
        "ended": _table(
            (f"{e['kind']} over HTTP/{e['version']}", e["status"] or "none", count(e["count"]))
            for e in totals["requests"]
        ),
        "early": _table(
            (e["kind"], ("left", e["reason"]), count(e["count"])) for e in totals["early_ends"]
        ),
        "rejected": _table((e["status"] or "none", count(e["count"])) for e in totals["rejected"]),
    }
    return re.sub("%%([a-z]+)%%", lambda found: parts[found[1]], _template())


def _facts(site: dict[str, Any], server: dict[str, Any]) -> str:
    return (
        f"process {site['pid']}, up {age(site['uptime'])}, generation {site['generation']}; "
        f"version {server['version']}, Python {server['python']}, {server['loop']}, "
        f"{'compiled' if server['compiled'] else 'pure Python'}"
    )


def _tiles(status: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    recent, opened, site, totals = (status[name] for name in ("recent", "open", "site", "totals"))
    percentiles = recent["latency"]
    ended = sum(e["count"] for e in totals["requests"])
    failed = sum(e["count"] for e in totals["requests"] if (e["status"] or 0) >= _SERVER_ERROR)
    rejected = sum(e["count"] for e in totals["rejected"])
    ready, wanted = site["workers_ready"], site["workers_wanted"]
    return [
        ("requests/s", rate(recent["requests_per_second"]), f"{count(ended)} in all", False),
        (
            "errors/s (5xx)",
            rate(recent["errors_per_second"]),
            f"{count(failed)} in all",
            bool(recent["errors_per_second"]),
        ),
        ("rejected/s", rate(recent["rejected_per_second"]), f"{count(rejected)} in all", False),
        (
            "sent/s",
            size(recent["bytes_per_second"]),
            f"{size(sum(totals['sent_bytes'].values()))} in all",
            False,
        ),
        ("latency p50", latency(percentiles["p50"]), f"p90 {latency(percentiles['p90'])}", False),
        ("latency p99", latency(percentiles["p99"]), "of requests", False),
        (
            "connections",
            count(opened["connections"]),
            f"requests open: {count(opened['http'])}",
            False,
        ),
        ("streams", count(opened["sse"]), f"{count(opened['websocket'])} WebSockets", False),
        (
            "workers ready",
            f"{ready} of {wanted}",
            f"{site['deaths']} died, {site['hangs']} hung",
            ready < wanted,
        ),
    ]


def _tile(name: str, value: str, note: str, alarm: bool) -> str:
    alarmed = " alarm" if alarm else ""
    return (
        f'<div class="card{alarmed}"><dt>{escape(name)}</dt>'
        f"<dd>{escape(value)}<small>{escape(note)}</small></dd></div>"
    )


def _worker(worker: dict[str, Any]) -> str:
    opened = worker["open"]
    silent = worker["state"] == "silent"
    lag = f"silent for {age(worker['silence'])}" if silent else duration(worker["lag"])
    late = silent or worker["lag"] > _LATE
    state = f'<td class="left"><span class="badge {worker["state"]}">{worker["state"]}</span></td>'
    cells = (
        worker["pid"],
        worker["generation"],
        age(worker["age"]),
        rate(worker["requests_per_second"]),
        *(count(opened[name]) for name in ("connections", "http", "sse", "websocket")),
        size(worker["memory"]) if worker["memory"] else NOTHING,
        ("alarm" if late else "", lag),
        duration(worker["max_lag"]),
    )
    return f"<tr><td>{worker['number']}</td>{state}{''.join(map(_cell, cells))}</tr>"


def _table(rows: Any) -> str:
    made = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return made or "<tr><td>nothing yet</td></tr>"


def _cell(value: Any) -> str:
    style, text = value if isinstance(value, tuple) else ("", value)
    return f'<td class="{style}">{escape(str(text))}</td>'
