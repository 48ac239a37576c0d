"""The order of measurements: interleaved rounds, so that drift of the machine meets all alike."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.servers import STARLETTE, Server, distribution_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.measure import Bench
    from benchmarks.results import Results, Sample
    from benchmarks.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Turn:
    """One server's turn in one round of one scenario."""

    scenario: Scenario
    number: int
    server: Server


def contestants(
    scenario: Scenario, servers: Sequence[Server], omitted: dict[str, dict[str, str]]
) -> list[Server]:
    """Returns who takes part in a scenario; notes in `omitted` who does not, and why."""
    reasons = omitted.setdefault(scenario.name, {})
    chosen = []
    for server in servers:
        if not server.takes(scenario):
            continue
        reason = server.omits.get(scenario.name, "")
        needs = scenario.needs
        if scenario.file and server.files == STARLETTE:
            needs = "starlette"
        if needs and not distribution_version(needs):
            reason = f"{needs} is not installed"
        missing = [name for name in scenario.programs if not shutil.which(name)]
        if missing:
            reason = f"{' and '.join(missing)} not installed here"
        if reason:
            reasons[server.name] = reason
        else:
            chosen.append(server)
    return chosen


def turns(
    scenarios: Sequence[Scenario],
    servers: Sequence[Server],
    rounds: int,
    omitted: dict[str, dict[str, str]],
) -> Iterator[Turn]:
    """Yields all turns: in each round every server once, each round beginning with another."""
    for scenario in scenarios:
        chosen = contestants(scenario, servers, omitted)
        for number in range(1, rounds + 1):
            shift = (number - 1) * len(chosen) // rounds
            for server in chosen[shift:] + chosen[:shift]:
                yield Turn(scenario, number, server)


def run(bench: Bench, plan: Sequence[Turn], rounds: int, results: Results) -> None:
    """Measures every turn into the results, telling how far it is."""
    start = time.monotonic()
    failed: set[tuple[str, str]] = set()
    for index, turn in enumerate(plan):
        if (turn.scenario.name, turn.server.name) in failed:
            continue  # its line has failed for good; waiting for the same time-outs tells no more
        left = (time.monotonic() - start) / index * (len(plan) - index) if index else 0.0
        _tell(
            f"[{index + 1}/{len(plan)}{f', {_clock(left)} left' if index else ''}] "
            f"{turn.scenario.name} round {turn.number}/{rounds} {turn.server.name}: "
        )
        sample = bench.sample(turn.server, turn.scenario, turn.number)
        results.samples.append(sample)
        if sample.failure:
            failed.add((turn.scenario.name, turn.server.name))
        _tell(_summary(turn, sample) + "\n")
        bench.clear()


def _tell(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _summary(turn: Turn, sample: Sample) -> str:
    if sample.failure:
        return f"FAILED ({sample.failure})"
    figure = f"{sample.figure:.2f} {turn.scenario.unit}"
    return f"{figure}, {sample.rate:,.0f}/s, busy {sample.busy:.0%}" if sample.rate else figure
