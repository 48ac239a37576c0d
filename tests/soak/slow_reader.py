"""One slow reader among a thousand: what it costs the others, and the memory.

``python -m tests.soak.slow_reader [--clients 1000] [--rounds 5] [--events 40] …``

Events are published to all clients at an even pace. In every second round there is one client more,
which asks for a history of 8 MiB and reads nothing. The rounds take turns, so that what else the
machine does happens to both sorts alike. A delivery takes from the moment an event is published to
the moment a client has it; the clock is the same in both processes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic_ns
from typing import Any

from tests.server.client import connect
from tests.soak.__main__ import fastest_loop
from tests.soak.server import ROOT, Options

MIB = 1_048_576
#: How much slower the others may be at the 99th percentile, and what memory may grow by.
SLOWER = 1.2
GROWTH = 4 * MIB
#: Between two events, in seconds.
PAUSE = 0.1

_STAMP = re.compile(rb"data: (\d+) ")
_PORT = re.compile(r"(?:serving|listening) on http://127\.0\.0\.1:(\d+)")


class Reader(asyncio.Protocol):
    """A client that reads; it adds to ``took`` how long each event was on its way, in ms."""

    def __init__(self, took: list[float]) -> None:
        self.took = took
        self.rest = b""

    def connection_made(self, transport: Any) -> None:
        """Ask for the events."""
        transport.write(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        """Take events; what is left of one waits for the rest."""
        now = monotonic_ns()
        whole, _, self.rest = (self.rest + data).rpartition(b"\n\n")
        self.took += [(now - int(stamp)) / 1e6 for stamp in _STAMP.findall(whole)]


@dataclass
class Report:
    """What came out.

    Attributes:
        alone, beside: 99th percentile of each round, without the slow reader and with it, in ms.
        middle: the same at the 50th percentile, of all rounds.
        memory_alone, memory_beside: resident memory of the server at the end of each round.
        behind: clients that could not take their events, at the end of each round with it.
        deliveries: events times clients.
        missing: deliveries that did not come.
    """

    clients: int
    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    middle: list[float] = field(default_factory=list)
    memory_alone: list[int] = field(default_factory=list)
    memory_beside: list[int] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)
    deliveries: int = 0
    missing: int = 0

    @property
    def ratio(self) -> float:
        """How many times as long deliveries take beside the slow reader."""
        return median(self.beside) / median(self.alone)

    @property
    def growth(self) -> int:
        """Bytes that the server holds for the slow reader."""
        return int(median(self.memory_beside) - median(self.memory_alone))

    def complaints(self) -> list[str]:
        """Say what is wrong; nothing, if all is well."""
        found = []
        if self.missing:
            found.append(f"{self.missing} deliveries are missing")
        if set(self.behind) != {1}:
            found.append(f"the slow reader should be behind, and nobody else: {self.behind}")
        if self.ratio > SLOWER:
            found.append(f"deliveries take {self.ratio:.2f} times as long beside the slow reader")
        if self.growth > GROWTH:
            found.append(f"memory grows by {self.growth / MIB:.1f} MiB")
        return found


async def measure(clients: int, rounds: int, events: int, options: Options) -> Report:
    """Run a server and ``rounds`` rounds of each sort."""
    report = Report(clients)
    with tempfile.TemporaryDirectory(prefix="pagi-slow-") as folder:
        process, port = await _start(options, Path(folder, "log"))
        try:
            took: list[float] = []
            loop = asyncio.get_running_loop()
            readers = [
                (await loop.create_connection(lambda: Reader(took), "127.0.0.1", port))[0]
                for _ in range(clients)
            ]
            await _until(port, clients)
            await _round(port, 10, took, report, None)
            for _ in range(rounds):
                await _round(port, events, took, report, process.pid)
                with await _slow_reader(port, clients):
                    await _round(port, events, took, report, process.pid, slow=True)
                await _until(port, clients)
            for reader in readers:
                reader.abort()
            await _until(port, 0)
        finally:
            process.terminate()
            await process.wait()
    return report


async def _round(
    port: int, events: int, took: list[float], report: Report, pid: int | None, slow: bool = False
) -> None:
    """Publish ``events``; without ``pid`` nothing is noted, the round is to warm up."""
    took.clear()
    expected = events * report.clients
    async with connect(port) as control:
        for _ in range(events):
            await control.request("/publish")
            await asyncio.sleep(PAUSE)
        for _ in range(20):  # the last ones may be on their way
            if len(took) < expected:
                await asyncio.sleep(PAUSE)
        behind = int((await control.request("/facts")).body.split()[1])
    if pid is None:
        return
    report.deliveries += expected
    report.missing += expected - len(took)
    took.sort()
    report.middle.append(took[len(took) // 2])
    (report.beside if slow else report.alone).append(took[len(took) * 99 // 100])
    (report.memory_beside if slow else report.memory_alone).append(_resident(pid))
    if slow:
        report.behind.append(behind)


async def _slow_reader(port: int, clients: int) -> socket.socket:
    """Connect a client that reads nothing, and wait until the server has no more for it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, b"GET /history HTTP/1.1\r\nHost: h\r\n\r\n")
    await _until(port, clients + 1, behind=1)
    return sock


async def _until(port: int, clients: int, behind: int = 0) -> None:
    """Wait until so many clients are there, and so many of them behind."""
    async with asyncio.timeout(20), connect(port) as control:
        while (await control.request("/facts")).body != b"%d %d" % (clients, behind):
            await control.request("/publish")  # who has left learns of it by an event
            await asyncio.sleep(PAUSE)


async def _start(options: Options, log: Path) -> tuple[asyncio.subprocess.Process, int]:
    """Run the server; return its process and its port."""
    words = ["run", "tests.soak.hub:app", "--port", "0", "--no-access-log", "--no-config"]
    words += ["--loop", options.loop, "--transports", options.transports, "--env", "production"]
    environment = {name: value for name, value in os.environ.items() if name[:5] != "PAGI_"}
    environment["PAGI_PURE_PYTHON"] = "1" if options.pure else "0"
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pagi", *words, stderr=errors, env=environment
        )
    while (match := _PORT.search(log.read_text())) is None:
        if process.returncode is not None:
            raise RuntimeError(f"it does not start: {log.read_text()}")
        await asyncio.sleep(0.05)
    return process, int(match[1])


def _resident(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert match is not None
    return int(match[1]) * 1024


def table(report: Report) -> str:
    """Return what came out, as text."""

    def figures(values: list[float]) -> str:
        return "  ".join(f"{value:6.1f}" for value in values)

    lines = [
        f"{report.clients:,} clients, {report.deliveries:,} deliveries, "
        f"median {median(report.middle):.1f} ms",
        f"p99 alone    {figures(report.alone)}   ms, median {median(report.alone):.1f}",
        f"p99 beside   {figures(report.beside)}   ms, median {median(report.beside):.1f}, "
        f"{report.ratio:.3f} times",
        f"memory       {median(report.memory_alone) / MIB:.1f} MiB alone, "
        f"{report.growth / 1024:+,.0f} KiB beside the slow reader",
        *(f"WRONG        {complaint}" for complaint in report.complaints()),
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure as the command line says; the exit status is 0 if all is well."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.slow_reader", description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--pure", action="store_true", help="pure Python")
    parser.add_argument("--loop", default="auto")
    parser.add_argument("--transports", default="auto")
    given = parser.parse_args()
    options = Options(1, given.pure, given.loop, given.transports)
    with asyncio.Runner(loop_factory=fastest_loop) as runner:
        report = runner.run(measure(given.clients, given.rounds, given.events, options))
    print(table(report))
    return 1 if report.complaints() else 0


if __name__ == "__main__":
    sys.exit(main())
