"""The server of the soak: ``pagi run`` as a process of its own, and what it holds (Linux)."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.server.client import connect
from tests.soak import BLOCK
from tests.soak.clients import HEADER_TIMEOUT

ROOT = Path(__file__).resolve().parents[2]
PAGE = os.sysconf("SC_PAGE_SIZE")
#: Nothing that is waited for here takes longer, in seconds.
PATIENCE = 30.0
FACTS = ("requests", "descriptors", "tasks", "stock", "objects")

_PORT = re.compile(r"(?:serving|listening) on http://127\.0\.0\.1:(\d+)")
_BAD = re.compile(r" (ERROR|CRITICAL) |^Traceback|Warning: |never retrieved|was destroyed")


@dataclass(frozen=True)
class Options:
    """How the server runs."""

    workers: int = 1
    pure: bool = False
    loop: str = "auto"
    transports: str = "auto"


class Server:
    """A running server.

    Attributes:
        port: where it serves.
        exit_status: set when it has ended.
    """

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, workers: int) -> None:
        self._process = process
        self._folder = folder
        self._workers = workers
        self.port = 0
        self.exit_status: int | None = None

    @property
    def log(self) -> str:
        """What it has written so far."""
        return (self._folder / "log").read_text("utf-8", "replace")

    @property
    def errors(self) -> list[str]:
        """The lines of the log that should not be there."""
        return [line for line in self.log.splitlines() if _BAD.search(line)]

    @property
    def answered(self) -> dict[str, int]:
        """How many lines of the access log have which status."""
        counts: dict[str, int] = {}
        with (self._folder / "access").open(encoding="ascii") as lines:
            for line in lines:
                counts[line.strip()] = counts.get(line.strip(), 0) + 1
        return counts

    async def start(self) -> None:
        """Wait until it serves."""
        end = monotonic() + PATIENCE
        while (match := _PORT.search(self.log)) is None:
            if self._process.returncode is not None or monotonic() > end:
                raise RuntimeError(f"it does not start: {self.log}")
            await asyncio.sleep(0.02)
        self.port = int(match[1])

    def processes(self) -> list[int]:
        """Return the ids of the processes that serve."""
        pid = self._process.pid
        if self._workers == 1:
            return [pid]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
        return [int(child) for child in children.split()]

    def memory(self) -> int:
        """Return the resident memory of the processes that serve, in bytes."""
        total = 0
        for pid in self.processes():
            total += int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * PAGE
        return total

    async def facts(self) -> dict[str, int]:
        """Return what all processes that serve hold together: see `FACTS`."""
        found: dict[int, dict[str, int]] = {}
        end = monotonic() + PATIENCE
        while len(found) < self._workers:
            if monotonic() > end:
                raise RuntimeError(f"only {len(found)} of {self._workers} workers answer")
            answers = [self._facts_of_one() for _ in range(1 if self._workers == 1 else 8)]
            for facts in await asyncio.gather(*answers):
                found[facts["process"]] = facts
        return {name: sum(facts[name] for facts in found.values()) for name in FACTS}

    async def _facts_of_one(self) -> dict[str, int]:
        async with connect(self.port) as client:
            response = await client.request("/facts", headers=[("Connection", "close")])
            facts: dict[str, int] = json.loads(response.body)
            return facts

    async def stop(self) -> None:
        """Ask it to stop and wait for its end."""
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            self.exit_status = await self._process.wait()

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self._process.returncode is None:
            self._process.kill()


@asynccontextmanager
async def running(options: Options, folder: Path) -> AsyncIterator[Server]:
    """Run the server in ``folder`` while the body runs."""
    (folder / "file").write_bytes(BLOCK)
    environment = {name: value for name, value in os.environ.items() if name[:5] != "PAGI_"}
    environment["PAGI_PURE_PYTHON"] = "1" if options.pure else "0"
    environment["SOAK_FILE"] = str(folder / "file")
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    arguments = ["run", "tests.soak.app:app", "--port", "0", "--workers", str(options.workers)]
    arguments += ["--loop", options.loop, "--transports", options.transports]
    arguments += ["--header-timeout", str(HEADER_TIMEOUT)]
    arguments += ["--access-log", str(folder / "access"), "--access-log-format", "%s"]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "default", "-m", "pagi", *arguments,
            cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL, stderr=log,
        )  # fmt: skip
    server = Server(process, folder, options.workers)
    try:
        await server.start()
        yield server
    finally:
        server.kill()
        await process.wait()
