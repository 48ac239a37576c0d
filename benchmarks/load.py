"""The C programs: compiling them, and running the load generators."""

from __future__ import annotations

import contextlib
import functools
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.outcome import Outcome
from benchmarks.processes import pinned
from benchmarks.programs import load_command, parse_h2load, parse_wrk
from benchmarks.scenarios import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.messages import Messages
    from benchmarks.scenarios import Scenario

SOURCES = Path(__file__).parent
PROGRAMS = ("floor", "floor_messages", "load", "load_messages")
PATIENCE_SECONDS = 30.0
"""How much longer than asked the load generator may take; it has time-outs of its own."""


def compile_programs(directory: Path) -> None:
    """Compiles all programs of this package into the directory."""
    for name in PROGRAMS:
        source = SOURCES / f"{name}.c"
        subprocess.run(["cc", "-O2", "-o", directory / name, source], check=True)


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

    def __init__(self, programs: Path, core: int, scratch: Path) -> None:
        """Takes where the programs are, a core, and a directory for requests and answers."""
        self._programs = programs
        self._core = core
        self._scratch = scratch

    def _file(self, name: str, content: bytes) -> str:
        path = self._scratch / name
        path.write_bytes(content)
        return str(path)

    def _command(
        self, scenario: Scenario, port: int, connections: int, seconds: float, mode: str
    ) -> list[str]:
        return [
            *(str(self._programs / "load"), str(port)),
            *(self._file("request", scenario.request(port)), str(connections), str(seconds)),
            *(str(len(scenario.answer)), mode),
            *([self._file("body", scenario.answer)] if scenario.compared else []),
        ]

    def _messages_command(self, messages: Messages, port: int, connections: int) -> list[str]:
        supplement = messages.supplement(port)
        return [
            *(str(self._programs / "load_messages"), str(port), str(connections)),
            *(self._file("request", messages.opening(port)), self._file("body", messages.first())),
            *(messages.flow.value, str(messages.count)),
            *([self._file("supplement", supplement)] if supplement else []),
        ]

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

    @contextlib.contextmanager
    def ready(self, scenario: Scenario, port: int) -> Iterator[Callable[[float], Outcome]]:
        """Yields what loads the server for some seconds, then waits for the answers still due.

        Connections for messages stand already, and stay until the context is left.
        """
        if not scenario.messages:
            yield functools.partial(self._request, scenario, port)
            return
        with self.holding(scenario, port, scenario.connections) as held:
            yield held.exchange

    def _request(self, scenario: Scenario, port: int, seconds: float) -> Outcome:
        if scenario.wire is not Wire.PLAIN:
            return self._by_others(scenario, port, seconds)
        mode = "close" if scenario.close else "keep"
        command = self._command(scenario, port, scenario.connections, seconds, mode)
        with self._started(command) as process:
            output, _ = process.communicate(timeout=seconds + PATIENCE_SECONDS)
        return _parse(output)

    def _by_others(self, scenario: Scenario, port: int, seconds: float) -> Outcome:
        log = self._scratch / "latencies"
        with self._started(load_command(scenario, port, seconds, log)) as process:
            output, _ = process.communicate(timeout=seconds + PATIENCE_SECONDS)
        if scenario.wire is Wire.HTTPS and not scenario.close:
            return parse_wrk(output, scenario)
        return parse_h2load(output, log, scenario)

    @contextlib.contextmanager
    def holding(self, scenario: Scenario, port: int, connections: int) -> Iterator[HeldConnections]:
        """Holds connections open, each after one request or message, while the context lasts."""
        if scenario.messages:
            command = self._messages_command(scenario.messages, port, connections)
        else:
            command = self._command(scenario, port, connections, 0, "hold")
        with self._started(command) as process:
            yield HeldConnections(process)


class HeldConnections:
    """Connections that are open; `count` of them had their first request or message answered."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Waits until the load generator has had its first answer on each connection."""
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the load generator is not connected")
        self._process = process
        self._input = process.stdin
        self._output = process.stdout
        self.count = int(self._output.readline().split()[1])

    def exchange(self, seconds: float) -> Outcome:
        """Exchanges messages for some seconds, then waits for those still due."""
        self._input.write(f"{seconds}\n")
        self._input.flush()
        return _parse(self._output.readline())

    def finish(self) -> Outcome:
        """Asks once more on each connection, which shows that all were kept, and closes them."""
        output, _ = self._process.communicate("0\n", timeout=PATIENCE_SECONDS)
        return _parse(output)
