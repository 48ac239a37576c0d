"""The pages about metrics and status say what the server tells."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pagi.server.worker.admin_history import History
from pagi.server.worker.admin_metrics import METRICS
from pagi.server.worker.admin_status import status_document
from pagi.server.worker.admin_view import SITE_STATES, WORKER_STATES
from pagi.server.worker.counters import Counters
from pagi.server.worker.tallies import BOUNDS, KINDS
from tests.unit.worker.boards import Board, count

DOCS = Path(__file__).resolve().parents[2] / "docs"


def rows(page: str) -> list[list[str]]:
    """Return the rows of the first table of a page, without its heading."""
    text = (DOCS / page).read_text(encoding="utf-8")
    lines = re.search(r"^\|[-|]+\|\n((?:\|.*\|\n)+)", text, re.MULTILINE)
    assert lines is not None
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in lines[1].replace("| |", "|  |").splitlines()
    ]


def code(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", text))


def test_metrics_are_as_documented() -> None:
    told = [
        (code(name)[0], kind, code(labels))
        for name, kind, labels, _ in rows("reference/metrics.md")
    ]
    assert told == [(name, kind, labels) for name, kind, _, labels in METRICS]


def test_buckets_are_as_documented() -> None:
    text = (DOCS / "reference/metrics.md").read_text(encoding="utf-8")
    sentence = text[text.index("The buckets of durations") :]
    milliseconds, seconds = (
        [float(number) for number in re.findall(r"\d+(?:\.\d+)?", part)]
        for part in sentence.split(" ms")
    )
    assert [*(n / 1000 for n in milliseconds), *seconds] == list(BOUNDS)


def paths(value: Any, prefix: str = "") -> set[str]:
    """Return the keys of a document, those of kinds as ``KIND``, of lists with ``[]``."""
    if isinstance(value, dict):
        if set(value) == set(KINDS) and prefix.startswith("totals"):
            return paths(value["http"], f"{prefix}.KIND")
        dot = "." if prefix else ""
        return {path for key in value for path in paths(value[key], f"{prefix}{dot}{key}")}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return paths(value[0], f"{prefix}[]")
    return {prefix}


def test_the_status_document_is_as_documented() -> None:
    board, history = Board(1), History(0.0)
    slot = board.slots[0]
    count(slot, reason="client_closed")
    Counters(slot.counters, slot.request_cell).log_rejected("client", 400, "bad")
    for second in (0, 1):
        history.add(board.view(second))
    server = dict.fromkeys(("version", "python", "implementation", "loop", "compiled"))
    document = status_document(board.view(), history, 0.0, server, 10)
    documented = [key for cells in rows("reference/status.md") for key in code(cells[0])]

    assert len(documented) == len(set(documented))
    assert set(documented) == paths(document)


def test_states_are_as_documented() -> None:
    cells = {code(first)[0]: code(second) for first, second in rows("reference/status.md")}
    assert cells["site.state"] == SITE_STATES
    assert tuple(w for w in cells["workers[].state"] if w in WORKER_STATES) == WORKER_STATES


def test_queries_use_metrics_that_exist() -> None:
    text = (DOCS / "how-to/observe.md").read_text(encoding="utf-8")
    known = {name for name, *_ in METRICS}
    used = set(re.findall(r"\bpagi_[a-z_]+", text))

    assert {re.sub("_(bucket|sum|count)$", "", name) for name in used} <= known
