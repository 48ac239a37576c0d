"""Puts figures of the last complete run into the README.

``python -m benchmarks.readme`` reads ``benchmarks/results.json`` and rewrites what stands between
the two marks in ``README.md``.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- figures:begin -->\n", "<!-- figures:end -->"

SERVERS = {
    "pagi": "PAGI",
    "pagi-pure": "PAGI, pure Python",
    "uvicorn": "uvicorn",
    "hypercorn": "hypercorn",
    "granian": "granian",
}
#: scenario: what it is, unit, decimals
ROWS = {
    "browser": ("hello, 12 request headers", "µs", 1),
    "connect": ("a new connection per request", "µs", 1),
    "json": ("JSON echo, 1 KiB", "µs", 1),
    "body-10k": ("answer of 10 KiB", "µs", 1),
    "stream": ("answer in 100 pieces of 1 KiB", "µs", 0),
    "upload": ("upload of 10 MiB", "µs", 0),
    "download": ("answer of 10 MiB", "µs", 0),
    "file-100k": ("file of 100 KiB", "µs", 1),
    "websocket": ("WebSocket echo, 32 bytes", "µs", 1),
    "websocket-pipelined": ("WebSocket echo, 16 in flight", "µs", 1),
    "broadcast": ("WebSocket message to 1,000, each", "µs", 1),
    "sse-200": ("100 events to 200 clients, each", "µs", 1),
    "sse-singly": ("an event to 200 clients, each", "µs", 1),
    "idle": ("memory per idle connection", "KiB", 1),
    "websocket-idle": ("memory per idle WebSocket", "KiB", 1),
    "websocket-idle-deflate": ("the same, compressing", "KiB", 1),
    "start": ("start to first answer", "ms", 0),
}


def medians(samples: list[dict[str, Any]]) -> dict[tuple[str, str], float | None]:
    """Returns the median figure by scenario and server; ``None`` where a round failed."""
    figures: dict[tuple[str, str], list[float]] = {}
    failed: set[tuple[str, str]] = set()
    for sample in samples:
        key = (sample["scenario"], sample["server"])
        figures.setdefault(key, []).append(sample["figure"])
        if sample["failure"]:
            failed.add(key)
    return {
        key: None if key in failed else statistics.median(values) for key, values in figures.items()
    }


def table(results: dict[str, Any]) -> str:
    """Returns the table with its date and method."""
    found = medians(results["samples"])
    lines = [
        f"Measured {results['facts']['date']} with {results['facts']['python']} on "
        f"{results['facts']['machine']}: processor time of the server per request or "
        "message, one worker, less is better. "
        "[All servers, all scenarios](benchmarks/RESULTS.md).",
        "",
        "| | " + " | ".join(SERVERS.values()) + " |",
        "|---" * (len(SERVERS) + 1) + "|",
    ]
    measured = {scenario for scenario, _ in found}
    for scenario, (name, unit, decimals) in ROWS.items():
        if scenario not in measured:
            continue
        cells = []
        for server in SERVERS:
            figure = found.get((scenario, server))
            cells.append("–" if figure is None else f"{figure:,.{decimals}f} {unit}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Rewrites the README."""
    results = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    readme = ROOT / "README.md"
    text = readme.read_text()
    begin = text.index(BEGIN) + len(BEGIN)
    readme.write_text(text[:begin] + table(results) + text[text.index(END) :])


if __name__ == "__main__":
    main()
