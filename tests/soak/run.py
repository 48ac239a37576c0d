"""One soak: the crowd, the measurements, and the judgement."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, linear_regression
from time import monotonic

from tests.soak.clients import KINDS, Kind
from tests.soak.server import FACTS, Options, Server, running

__all__ = ["Report", "Sample", "soak"]

#: Part of the time that is for caches, pools and the allocator to fill.
WARM_UP = 0.25
#: What a process may grow by in a minute or more, in bytes: the noise of the allocator while
#: bodies of a MiB come and go. In less time the slope is less certain: it may be steeper.
NOISE = 4 * 1_048_576
#: What it may grow by for each request, in bytes: a leak of one object in six of them.
PER_REQUEST = 4
#: How many more than at the beginning a worker may hold at the end; of what is not named, none.
ALLOWED = {"objects": 2_000, "stock": 128}
EXACT = [name for name in FACTS if name not in ALLOWED]
#: How long connections that were left may take to be noticed and forgotten, in seconds.
SETTLING = 15.0


@dataclass(frozen=True)
class Sample:
    """The server at one moment."""

    second: float
    memory: int
    answered: int


@dataclass
class Report:
    """What came out.

    Attributes:
        visits, answered, failures: by kind of client.
        examples: the first failures in words.
        samples: memory over time.
        before, after: what the server held when it had warmed up, and at the end.
        warnings: lines of the log that are warnings.
        complaints: what is wrong; empty if nothing is.
    """

    seconds: float
    workers: int
    visits: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    warnings: int = 0
    stop_seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)

    @property
    def measured(self) -> list[Sample]:
        """The samples after the warm-up."""
        return [sample for sample in self.samples if sample.second >= self.seconds * WARM_UP]

    @property
    def slope(self) -> float:
        """Bytes per second that memory grows after the warm-up, by least squares."""
        samples = self.measured
        if len(samples) < 2:
            return 0.0
        return linear_regression(
            [sample.second for sample in samples], [sample.memory for sample in samples]
        ).slope

    @property
    def growth(self) -> float:
        """Bytes that memory grew by in the time measured, along the slope."""
        samples = self.measured
        return self.slope * (samples[-1].second - samples[0].second) if samples else 0.0

    @property
    def bound(self) -> float:
        """Bytes that memory may grow by in the time measured."""
        samples = self.measured
        requests = samples[-1].answered - samples[0].answered if samples else 0
        return (
            NOISE * self.workers * max(1.0, 60.0 / max(self.seconds, 1.0)) + PER_REQUEST * requests
        )

    @property
    def mean_memory(self) -> float:
        """Resident memory after the warm-up, in bytes."""
        return fmean(sample.memory for sample in self.measured)


async def soak(
    seconds: float, options: Options, folder: Path, show: Callable[[Report], None] | None = None
) -> Report:
    """Run the server under the crowd for ``seconds`` and judge it.

    Args:
        seconds: how long the crowd comes.
        options: how the server runs.
        folder: for its files and logs.
        show: called each second.
    """
    report = Report(seconds, options.workers)
    async with running(options, folder) as server:
        base = await server.facts()
        # Each kind comes once before counting begins: what is imported late is there.
        await _crowd(server, Report(0.0, options.workers), 0.0)
        report.before = await _settled(server, base)
        sampling = asyncio.create_task(_sample(server, report, show))
        try:
            await _crowd(server, report, seconds)
        finally:
            sampling.cancel()
        report.after = await _settled(server, report.before)
        begin = monotonic()
        await server.stop()
        report.stop_seconds = monotonic() - begin
        _judge(server, report)
    return report


async def _crowd(server: Server, report: Report, seconds: float) -> None:
    """Let all clients come until the time is over; every one comes at least once."""
    end = monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for kind in KINDS:
            for _ in range(kind.number):
                group.create_task(_client(server.port, kind, end, report))


async def _client(port: int, kind: Kind, end: float, report: Report) -> None:
    while True:
        try:
            async with asyncio.timeout(60):
                answered = await kind.visit(port)
            report.answered[kind.name] += answered
        except Exception as error:  # whatever it was: the visit failed
            report.failures[kind.name] += 1
            if len(report.examples) < 10:
                report.examples.append(f"{kind.name}: {type(error).__name__}: {error}")
        report.visits[kind.name] += 1
        if monotonic() >= end:
            return
        await asyncio.sleep(kind.pause)


async def _sample(server: Server, report: Report, show: Callable[[Report], None] | None) -> None:
    begin = monotonic()
    while True:
        second = monotonic() - begin
        report.samples.append(Sample(second, server.memory(), report.answered.total()))
        if show is not None:
            show(report)
        await asyncio.sleep(1 if report.seconds >= 20 else 0.1)


async def _settled(server: Server, base: dict[str, int]) -> dict[str, int]:
    """Wait until the server holds no more than ``base``, but not for ever; return what it holds."""
    end = monotonic() + SETTLING
    facts = await server.facts()
    while any(facts[name] > base[name] for name in EXACT) and monotonic() < end:
        await asyncio.sleep(0.2)
        facts = await server.facts()
    return facts


def _judge(server: Server, report: Report) -> None:
    complain = report.complaints.append
    errors, log = server.errors, server.log
    report.statuses = server.answered
    report.warnings = sum(" WARNING " in line for line in log.splitlines())
    if report.failures:
        complain(f"{report.failures.total()} failed visits: {'; '.join(report.examples)}")
    if errors:
        complain(f"{len(errors)} errors in the log: {'; '.join(errors[:5])}")
    if "500" in report.statuses:
        complain(f"{report.statuses['500']} answers with 500")
    if sum(report.statuses.values()) < report.answered.total():
        complain("fewer lines in the access log than answers")
    if report.growth > report.bound:
        complain(f"memory grows: {report.growth / 1024:.0f} KiB, at most {report.bound / 1024:.0f}")
    for name in FACTS:
        more = report.after[name] - report.before[name]
        if more > ALLOWED.get(name, 0) * report.workers:
            complain(f"{more} {name} more at the end than at the beginning")
    if server.exit_status != 0:
        complain(f"exit status {server.exit_status} after SIGTERM: {log[-500:]}")
