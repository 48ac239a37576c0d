"""Reads the suite's reports, judges the cases, and puts them into words."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

__all__ = ["Result", "read_results", "tell"]

#: What a case may come to, in its behaviour and in its closing. Everything else is a fault.
GOOD = ("OK", "INFORMATIONAL")

#: The suite's categories; 8 and 11 hold no cases.
CATEGORIES = {
    1: "framing",
    2: "pings and pongs",
    3: "reserved bits",
    4: "opcodes",
    5: "fragmentation",
    6: "UTF-8",
    7: "closing",
    9: "limits, performance",
    10: "miscellaneous",
    12: "deflate: payloads",
    13: "deflate: parameters",
}

_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Result:
    """What one case came to.

    Attributes:
        case: its name, such as ``6.4.1``.
        behavior: ``OK``, ``INFORMATIONAL``, ``NON-STRICT``, ``UNIMPLEMENTED``, ``FAILED``, or
            ``MISSING`` if it is in no report.
        closing: the same for the close; also ``UNCLEAN``, ``WRONG CODE``, ``FAILED BY CLIENT``.
        seconds: how long it took.
        description: what is done in it, in words. Only for those that are not good.
        findings: what was seen. Only for those that are not good.
    """

    case: str
    behavior: str
    closing: str
    seconds: float = 0.0
    description: str = ""
    findings: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.behavior in GOOD and self.closing in GOOD

    @property
    def category(self) -> int:
        return int(self.case.split(".")[0])


def read_results(folder: Path, agent: str, cases: Iterable[str]) -> list[Result]:
    """Return what the report in ``folder`` says about a server, in the order of the cases.

    Args:
        folder: where the suite left its reports.
        agent: the server, as it is called in them.
        cases: those that were to be run. One that is in no report is ``MISSING``: the server was
            gone before it came to it.
    """
    index = json.loads((folder / "index.json").read_text("utf-8")).get(agent, {})
    names = sorted({*index, *cases}, key=lambda case: [int(part) for part in case.split(".")])
    return [_result(folder, name, index.get(name)) for name in names]


def _result(folder: Path, case: str, entry: dict[str, Any] | None) -> Result:
    if entry is None:
        return Result(case, "MISSING", "MISSING", findings=("the server was not reached",))
    behavior, closing = entry["behavior"], entry["behaviorClose"]
    result = Result(case, behavior, closing, entry["duration"] / 1000)
    if result.good:  # those of the others hold all that went over the wire: MiBs
        return result
    report = json.loads((folder / entry["reportfile"]).read_text("utf-8"))
    findings = [str(report[name]) for name in ("result", "resultClose") if report.get(name)]
    if report.get("wasNotCleanReason"):
        findings.append(str(report["wasNotCleanReason"]))
    if entry["remoteCloseCode"] is not None:
        findings.append(f"close code of the server: {entry['remoteCloseCode']}")
    description = _plain(report["description"])
    return Result(case, behavior, closing, result.seconds, description, tuple(findings))


def _plain(text: str) -> str:
    """Return a text of the suite without its markup."""
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())


def tell(agent: str, results: Sequence[Result]) -> str:
    """Return a table of the results by category, and every case that is not good, as text."""
    lines = [f"{agent:26}{'cases':>7}{'OK':>7}{'inform.':>9}{'wrong':>7}{'seconds':>9}"]
    for category, group in groupby(results, key=lambda result: result.category):
        name = CATEGORIES.get(category, "")
        lines.append(_row(f"{category:>2}  {name}", list(group)))
    lines.append(_row("all", results))
    for result in results:
        if not result.good:
            lines += ["", f"{result.case}: {result.behavior}, closing {result.closing}"]
            lines += [f"  {text}" for text in (result.description, *result.findings) if text]
    return "\n".join(lines)


def _row(name: str, results: Sequence[Result]) -> str:
    wrong = sum(not result.good for result in results)
    informational = sum(result.good and result.behavior == "INFORMATIONAL" for result in results)
    right = len(results) - wrong - informational
    seconds = sum(result.seconds for result in results)
    return f"{name:26}{len(results):>7}{right:>7}{informational:>9}{wrong:>7}{seconds:>9.1f}"
