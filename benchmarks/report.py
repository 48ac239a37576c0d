"""The report in Markdown: circumstances, bars, and a table per scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.scenarios import Kind, Scenario
from benchmarks.servers import SERVERS, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bars import Verdict
    from benchmarks.results import Line, Results

ROLES = {server.name: server.role for server in SERVERS}
FILES = {server.name: server.files for server in SERVERS}
WORDS = {True: "met", False: "**not met**", None: "not measured"}

INTRODUCTION = """\
The main figure is the processor time of the server per request, per echoed message, or per message
or event delivered to one client: user and system time of its whole process tree, read before and
after the load while nothing is under way. Rates and latencies come from a closed loop and are bound
by the core that they share with nothing else; the latency of a message that goes to many clients
is the time from its publication, or from that of the first of 100 events, to its arrival.
Memory is the sum over the server's processes, pages that they share counted for each of them.
`range` gives the least and the greatest figure of the rounds, `busy` the share of its core that
the server used. A line with any wrong, short or missing answer has failed and has no figure.
Servers in italics are references, not ASGI servers.
"""


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _header(*cells: str) -> list[str]:
    """Returns the head of a table: text in the first column, numbers in the others."""
    return [_row(*cells), "|---" + "|---:" * (len(cells) - 1) + "|"]


def _name(server: str) -> str:
    role = ROLES.get(server, Role.PEER)
    return {Role.OURS: f"**{server}**", Role.REFERENCE: f"*{server}*"}.get(role, server)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}"


def _latency(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f}"


def _mebibytes(kibibytes: float) -> str:
    return f"{kibibytes / 1024:.1f}"


def _circumstances(results: Results) -> list[str]:
    lines = [f"- {key.capitalize()}: {value}" for key, value in results.facts.items()]
    typical, most = results.foreign()
    lines.append(
        f"- Other work on the two cores while measuring: median {typical:.0%}, at most {most:.0%} "
        "of a core (much of it makes every figure too high)"
    )
    versions = [f"{name} {version}" for name, version in results.versions.items()]
    lines.append(f"- Measured: {'; '.join(versions) or 'nothing'}")
    absent = [f"{name} ({missing})" for name, missing in results.absent.items()]
    lines.append(f"- Not installed: {', '.join(absent) or 'none'}")
    return lines


def _bars(verdicts: Sequence[Verdict]) -> list[str]:
    rows = [_row(one.bar, one.figure, one.limit, WORDS[one.met]) for one in verdicts]
    return ["## Bars", "", *_header("Bar", "Figure", "At most", "Verdict"), *rows, ""]


def _common(line: Line) -> list[str]:
    return [
        _name(line.server),
        _number(line.figure),
        f"{_number(line.least)} to {_number(line.most)}",
    ]


def _load_row(line: Line) -> str:
    return _row(
        *_common(line),
        f"{line.rate:,.0f}",
        _latency(line.p50),
        _latency(line.p99),
        f"{line.system_share:.0%}",
        f"{line.busy:.0%}",
        _mebibytes(line.resident),
        _mebibytes(line.peak),
        "",
    )


LOAD_COLUMNS = ("p50 ms", "p99 ms", "kernel", "busy", "RSS MiB", "peak MiB", "errors")


def _table(scenario: Scenario, lines: Sequence[Line]) -> list[str]:
    if scenario.kind is Kind.LOAD:
        rate = f"{scenario.counted}s/s"
        header = _header("Server", scenario.kind.value, "range", rate, *LOAD_COLUMNS)
        rows = [_load_row(line) for line in lines if not line.failure]
    else:
        header = _header("Server", scenario.unit, "range", "RSS MiB", "errors")
        rows = [
            _row(*_common(line), _mebibytes(line.resident), "")
            for line in lines
            if not line.failure
        ]
    empty = [""] * (header[0].count("|") - 3)
    failed = [_row(_name(line.server), *empty, "failed") for line in lines if line.failure]
    return header + rows + failed


def _section(scenario: Scenario, results: Results) -> list[str]:
    lines = results.lines(scenario.name)
    text = [f"## {scenario.title[0].upper()}{scenario.title[1:]}", ""]
    text += [f"`{scenario.name}`, {scenario.connections} connections", ""]
    if lines:
        text += [*_table(scenario, lines), ""]
    notes = [f"- {line.server} failed: {line.failure}" for line in lines if line.failure]
    omitted = results.omitted.get(scenario.name, {})
    notes += [f"- {server} was not measured: {reason}" for server, reason in omitted.items()]
    if scenario.file and lines:
        facilities = ", ".join(f"{line.server} {FILES[line.server]}" for line in lines)
        notes.append(f"- Served by: {facilities}")
    return text + ([*notes, ""] if notes else [])


def render(results: Results, scenarios: Sequence[Scenario], verdicts: Sequence[Verdict]) -> str:
    """Returns the whole report."""
    text = ["# Benchmark results", "", *_circumstances(results), "", INTRODUCTION]
    text += ["![The same figures as bars](results.svg)", ""]
    text += _bars(verdicts)
    for scenario in scenarios:
        text += _section(scenario, results)
    return "\n".join(text).rstrip() + "\n"
