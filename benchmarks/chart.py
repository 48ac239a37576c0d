"""The chart: a panel of bars per scenario, written as SVG by hand."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from benchmarks.servers import SERVERS, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.results import Line, Results
    from benchmarks.scenarios import Scenario

ROLES = {server.name: server.role for server in SERVERS}
COLOURS = {Role.OURS: "#0b6e4f", Role.PEER: "#9db4c0", Role.REFERENCE: "#d9d9d9"}

PANEL_WIDTH = 440
COLUMNS = 2
GAP = 28
MARGIN = 24
TITLE_HEIGHT = 30
BAR_HEIGHT = 15
BAR_STEP = 20
LABEL_WIDTH = 100
VALUE_WIDTH = 64
HEAD_HEIGHT = 64
LONGEST = 4.0
"""Times the panel's median: longer bars are cut, lest one slow server make all others dots."""


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{style}">{escape(text)}</text>'


def _value(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}"


def _bar(line: Line, x: float, y: float, scale: float) -> list[str]:
    role = ROLES.get(line.server, Role.PEER)
    room = PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH
    cut = line.figure * scale > room + 0.5
    width = room if cut else max(line.figure * scale, 1.0)
    left = x + LABEL_WIDTH
    style = "ours" if role is Role.OURS else "label"
    gap = f'<path d="M{left + width - 18:g} {y + BAR_HEIGHT:g}l6 -{BAR_HEIGHT}" class="cut"/>'
    bar = [
        _text(left - 8, y + 12, line.server, f"{style} end"),
        f'<rect x="{left:g}" y="{y:g}" width="{width:.1f}" height="{BAR_HEIGHT}" '
        f'rx="2" fill="{COLOURS[role]}"/>',
        _text(left + width + 6, y + 12, _value(line.figure), style),
    ]
    return [*bar, gap] if cut else bar


def _panel(scenario: Scenario, lines: Sequence[Line], x: float, y: float) -> list[str]:
    parts = [_text(x, y + 14, f"{scenario.title}, {scenario.unit}", "title")]
    figures = [line.figure for line in lines]
    most = min(max(figures), LONGEST * statistics.median(figures))
    scale = (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH) / max(most, 1e-9)
    for index, line in enumerate(lines):
        parts += _bar(line, x, y + TITLE_HEIGHT + index * BAR_STEP, scale)
    return parts


def _height(lines: Sequence[Line]) -> int:
    return TITLE_HEIGHT + len(lines) * BAR_STEP + GAP


def draw(results: Results, scenarios: Sequence[Scenario]) -> str:
    """Returns the chart; panels fill two columns, each next one where there is more room."""
    heights = [HEAD_HEIGHT] * COLUMNS
    parts: list[str] = []
    for scenario in scenarios:
        lines = [line for line in results.lines(scenario.name) if not line.failure]
        if not lines:
            continue
        column = heights.index(min(heights))
        x = MARGIN + column * (PANEL_WIDTH + GAP)
        parts += _panel(scenario, lines, x, heights[column])
        heights[column] += _height(lines)
    width = 2 * MARGIN + COLUMNS * PANEL_WIDTH + (COLUMNS - 1) * GAP
    height = max(heights) + MARGIN - GAP
    facts = [results.facts.get(key, "") for key in ("date", "python")]
    subtitle = ", ".join([*facts, "shorter is better, slanted gaps cut long bars"])
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="Benchmark results">',
        "<style>text{font:12px system-ui,sans-serif;fill:#333}.title{font-weight:600;fill:#111}"
        ".ours{font-weight:600;fill:#0b6e4f}.end{text-anchor:end}"
        ".head{font-size:17px;font-weight:600;fill:#111}"
        ".cut{stroke:#fff;stroke-width:4}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        _text(MARGIN, 30, "One server process on one core: what a request costs", "head"),
        _text(MARGIN, 48, subtitle, "label"),
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"
