"""Figures: one sample per round, medians over the rounds, and the raw form in JSON."""

from __future__ import annotations

import dataclasses
import json
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


@dataclass(slots=True, kw_only=True)
class Sample:
    """What one server did in one scenario in one round.

    Attributes:
        figure: The main figure, in the unit of the scenario's kind.
        system_share: Part of the processor time that was spent in the kernel.
        busy: Processor time by wall time; 1.0 is a core without a pause.
        foreign: Processor time that others spent on the two cores, by wall time.
        resident: KiB of memory at the end.
        grown: KiB by which the peak rose above the memory before the load.
        failure: Why there is no figure; empty if there is one.
    """

    server: str
    scenario: str
    round: int
    figure: float = 0.0
    requests: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    p50: int = 0
    p99: int = 0
    system_share: float = 0.0
    busy: float = 0.0
    foreign: float = 0.0
    resident: int = 0
    peak: int = 0
    grown: int = 0
    reopened: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A server's line in the table of a scenario: medians over the rounds."""

    server: str
    figure: float
    least: float
    most: float
    rate: float
    p50: float
    p99: float
    system_share: float
    busy: float
    resident: float
    peak: float
    grown: float
    failure: str


@dataclass(slots=True)
class Results:
    """Everything that a run found out.

    Attributes:
        facts: The circumstances: date, machine, versions, settings; in order of printing.
        versions: By server; only those that are installed.
        absent: What is missing, by server that is not installed.
        omitted: Why a server did not take part, by scenario and server.
    """

    facts: dict[str, str]
    versions: dict[str, str]
    absent: dict[str, str]
    omitted: dict[str, dict[str, str]]
    samples: list[Sample] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Writes all of it as JSON."""
        data: dict[str, Any] = dataclasses.asdict(self)
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    def foreign(self) -> tuple[float, float]:
        """Returns median and maximum of the load that others put on the two cores."""
        loads = [sample.foreign for sample in self.samples if sample.seconds and not sample.failure]
        return (statistics.median(loads), max(loads)) if loads else (0.0, 0.0)

    def lines(self, scenario: str) -> list[Line]:
        """Returns the scenario's lines: by figure, those that failed last."""
        chosen = [sample for sample in self.samples if sample.scenario == scenario]
        names = dict.fromkeys(sample.server for sample in chosen)
        lines = [_line([sample for sample in chosen if sample.server == name]) for name in names]
        return sorted(lines, key=lambda line: (bool(line.failure), line.figure))

    def line(self, scenario: str, server: str) -> Line | None:
        """Returns one line, or nothing if the server was not measured or failed."""
        for line in self.lines(scenario):
            if line.server == server and not line.failure:
                return line
        return None


def _median(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def _line(samples: Sequence[Sample]) -> Line:
    """Takes medians; a failure in any round is a failure of the whole line."""
    failures = [sample.failure for sample in samples if sample.failure]
    good = [sample for sample in samples if not sample.failure] or list(samples)
    figures = [sample.figure for sample in good]
    failure = failures[0] if failures else ""
    if failures and len(samples) > 1:
        failure += f" ({len(failures)} of {len(samples)} rounds)"
    return Line(
        server=samples[0].server,
        figure=_median(figures),
        least=min(figures),
        most=max(figures),
        rate=_median(sample.rate for sample in good),
        p50=_median(sample.p50 for sample in good),
        p99=_median(sample.p99 for sample in good),
        system_share=_median(sample.system_share for sample in good),
        busy=_median(sample.busy for sample in good),
        resident=_median(sample.resident for sample in good),
        peak=_median(sample.peak for sample in good),
        grown=_median(sample.grown for sample in good),
        failure=failure,
    )
