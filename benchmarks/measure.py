"""One measurement: a fresh server, one scenario, one sample.

The processor clock of the server is read before and after the load, when no request is under way,
so every microsecond belongs to a counted request or message. A short warm-up comes first, since
the first requests of a process fill caches that later ones find.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.apps import SITE_VARIABLE, pattern
from benchmarks.certificate import make_certificate
from benchmarks.client import WrongAnswerError, await_answer
from benchmarks.load import LoadGenerator, Outcome, compile_programs
from benchmarks.processes import Cores, ServerProcess, free_port, reset_peak, usage
from benchmarks.results import Sample
from benchmarks.scenarios import FILE_SIZES, Kind, Scenario
from benchmarks.servers import Server, Start

PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how much to measure: seconds of load and warm-up, and counts."""

    duration: float
    warm_up: float
    idle_connections: int
    starts: int


class Bench:
    """The measuring place: two cores, a scratch directory, the compiled programs."""

    def __init__(self, cores: Cores, scratch: Path, effort: Effort) -> None:
        """Compiles the programs and writes the static files into `scratch`."""
        self._cores = cores
        self._scratch = scratch
        self._effort = effort
        self._site = scratch / "site"
        self._site.mkdir()
        scratch.chmod(0o755)  # servers may serve files as another user
        for name, size in FILE_SIZES.items():
            (self._site / name).write_bytes(pattern(size))
        compile_programs(scratch)
        make_certificate(scratch)
        self._load = LoadGenerator(scratch, cores.load, scratch)

    def sample(self, server: Server, scenario: Scenario, number: int) -> Sample:
        """Measures once; whatever the server does wrong becomes the sample's failure."""
        sample = Sample(server=server.name, scenario=scenario.name, round=number)
        measure = {
            Kind.LOAD: self._under_load,
            Kind.IDLE: self._with_idle_connections,
            Kind.START: self._starts,
        }[scenario.kind]
        try:
            measure(server, scenario, sample)
        except WrongAnswerError as error:
            sample.failure = str(error)
        return sample

    def _server(self, server: Server, scenario: Scenario, port: int) -> ServerProcess:
        scratch = Path(tempfile.mkdtemp(prefix=f"{server.name}-", dir=self._scratch))
        start = Start(scenario, port, self._site, scratch, self._scratch)
        paths = [str(PROJECT), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            SITE_VARIABLE: str(self._site),
            **server.environment,
        }
        command = server.command(start)
        return ServerProcess(command, environment, self._cores.server, scratch, PROJECT)

    def _under_load(self, server: Server, scenario: Scenario, sample: Sample) -> None:
        port = free_port()
        with self._server(server, scenario, port) as process:
            await_answer(process, scenario, port)
            with self._load.ready(scenario, port) as load:
                load(self._effort.warm_up)
                reset_peak(process.pid)
                before, cores_before = usage(process.pid), self._cores.busy_seconds()
                outcome = load(self._effort.duration)
                after, cores_after = usage(process.pid), self._cores.busy_seconds()
            _record(sample, outcome)
            if process.ended():
                sample.failure = f"ended under load: {process.last_words()}"
        if sample.failure:
            return
        spent = after.processor - before.processor
        sample.figure = spent * 1e6 / max(outcome.requests, 1)
        sample.system_share = min(1.0, (after.system - before.system) / max(spent, 1e-9))
        sample.busy = spent / outcome.seconds
        foreign = cores_after - cores_before - spent - outcome.client_processor
        sample.foreign = max(0.0, foreign / outcome.seconds)
        sample.resident = after.resident
        sample.peak = after.peak
        sample.grown = after.peak - before.resident

    def _with_idle_connections(self, server: Server, scenario: Scenario, sample: Sample) -> None:
        port = free_port()
        count = self._effort.idle_connections
        with self._server(server, scenario, port) as process:
            await_answer(process, scenario, port)
            # The first fifth takes what the start left free in the heap, so the rest is the slope.
            with self._load.holding(scenario, port, count // 5) as first:
                before = usage(process.pid)
                with self._load.holding(scenario, port, count - first.count) as others:
                    after = usage(process.pid)
                    _record(sample, others.finish())
                first_outcome = first.finish()
        held = first.count + others.count
        if first_outcome.errors:
            _record(sample, first_outcome)
        if held < count:
            sample.failure = f"held {held} of {count}; {sample.failure}"
        sample.figure = (after.resident - before.resident) / max(others.count, 1)
        sample.resident = after.resident
        sample.peak = after.peak
        sample.grown = after.peak - before.resident

    def _starts(self, server: Server, scenario: Scenario, sample: Sample) -> None:
        times: list[float] = []
        for _ in range(self._effort.starts):
            port = free_port()
            with self._server(server, scenario, port) as process:
                times.append(await_answer(process, scenario, port))
                after = usage(process.pid)
                sample.busy = after.processor / times[-1]
                sample.resident = after.resident
                sample.peak = after.peak
        sample.figure = sorted(times)[len(times) // 2] * 1e3

    def clear(self) -> None:
        """Removes what the servers of the last measurements left behind."""
        for path in self._scratch.iterdir():
            if path.is_dir() and path != self._site:
                shutil.rmtree(path, ignore_errors=True)


def _record(sample: Sample, outcome: Outcome) -> None:
    """Takes over what the load generator saw; any error makes the sample a failure."""
    sample.requests = outcome.requests
    sample.seconds = outcome.seconds
    sample.rate = outcome.requests / max(outcome.seconds, 1e-9)
    sample.p50 = outcome.p50
    sample.p99 = outcome.p99
    sample.reopened = outcome.reopened
    sample.errors = outcome.errors
    if outcome.errors:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in outcome.errors.items())
        share = f"{outcome.requests} right answers"
        sample.failure = f"errors: {kinds}; {share}"
        if outcome.sample:
            sample.failure += f"; first: {outcome.sample}"
    elif not outcome.requests:
        sample.failure = "nothing was answered"
