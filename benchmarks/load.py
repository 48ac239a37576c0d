"""The C programs: compiling them, and running the load generator."""

from __future__ import annotations

import contextlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import pinned
from benchmarks.scenarios import LARGEST_COMPARED, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = Path(__file__).parent
PATIENCE_SECONDS = 30.0
"""How much longer than asked the load generator may take; it has time-outs of its own."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the load generator saw: latencies in microseconds, failures by kind."""

    requests: int
    seconds: float
    p50: int
    p99: int
    reopened: int
    client_processor: float
    errors: dict[str, int]
    sample: str


def compile_program(name: str, directory: Path) -> Path:
    """Compiles `NAME.c` of this package into the directory and returns the program."""
    program = directory / name
    subprocess.run(["cc", "-O2", "-o", program, SOURCES / f"{name}.c"], check=True)
    return program


def _parse(text: str) -> Outcome:
    values = json.loads(text.splitlines()[-1])
    return Outcome(
        requests=values["requests"],
        seconds=values["seconds"],
        p50=values["p50_us"],
        p99=values["p99_us"],
        reopened=values["reopened"],
        client_processor=values["client_cpu_seconds"],
        errors={kind: count for kind, count in values["errors"].items() if count},
        sample=values["sample"],
    )


class LoadGenerator:
    """Loads a server on 127.0.0.1 from a core of its own."""

    def __init__(self, program: Path, core: int, scratch: Path) -> None:
        """Takes the compiled program, its core, and a directory for request and answer."""
        self._program = program
        self._core = core
        self._scratch = scratch

    def _command(
        self, scenario: Scenario, port: int, connections: int, seconds: float, mode: str
    ) -> list[str]:
        request = self._scratch / "request"
        request.write_bytes(scenario.request(port))
        body = self._scratch / "body"
        compared = len(scenario.answer) <= LARGEST_COMPARED and not scenario.file
        if compared:
            body.write_bytes(scenario.answer)
        size = str(len(scenario.answer))
        start = [str(self._program), str(port), str(request), str(connections), str(seconds)]
        return [*start, size, mode, *([str(body)] if compared else [])]

    @contextlib.contextmanager
    def _started(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        with pinned(self._core):
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        with process:  # closes its pipes and waits for it
            try:
                yield process
            finally:
                process.kill()

    def run(self, scenario: Scenario, port: int, seconds: float) -> Outcome:
        """Loads the server for some seconds, then waits for the answers still due."""
        mode = "close" if scenario.close else "keep"
        command = self._command(scenario, port, scenario.connections, seconds, mode)
        with self._started(command) as process:
            output, _ = process.communicate(timeout=seconds + PATIENCE_SECONDS)
        return _parse(output)

    @contextlib.contextmanager
    def holding(self, scenario: Scenario, port: int, connections: int) -> Iterator[HeldConnections]:
        """Holds idle connections open, each after one request, while the context lasts."""
        command = self._command(scenario, port, connections, 0, "hold")
        with self._started(command) as process:
            yield HeldConnections(process)


class HeldConnections:
    """Connections that wait for `finish`; `count` of them had their first request answered."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Waits until the load generator has had its first answer on each connection."""
        self._process = process
        if process.stdout is None:
            raise RuntimeError("the load generator has no output")
        self.count = int(process.stdout.readline().split()[1])

    def finish(self) -> Outcome:
        """Sends a second request on each connection, which shows that all were kept."""
        output, _ = self._process.communicate(timeout=PATIENCE_SECONDS)
        return _parse(output)
