"""The server under test: ``pagi run`` as a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.autobahn import ROOT

__all__ = ["Options", "Server", "running"]

#: For the server to start and to stop, in seconds.
PATIENCE = 30.0

#: Some cases take minutes. A ping of ours in the midst of one counts as an answer that was not
#: expected, and the suite does nothing but its cases for so long that it might miss a pong.
#: All messages are deflated where that was agreed to: many cases are about short ones, which by
#: default go out as they are. The limits stay as they are: the longest message of the suite is
#: 16 MiB, and none comes in more than 65,536 frames.
SETTINGS = ("--ws-ping-interval", "0", "--ws-deflate-min-size", "0")

_PORT = re.compile(r"serving on http://127\.0\.0\.1:(\d+)")
_KIND = re.compile(r"INFO +Python .*, (compiled|pure Python);")
_BAD = re.compile(r" (ERROR|CRITICAL) |^Traceback|Warning: |never retrieved|was destroyed")


@dataclass(frozen=True)
class Options:
    """How the server runs."""

    pure: bool = False
    loop: str = "auto"
    transports: str = "auto"


@dataclass
class Server:
    """A running server.

    Attributes:
        port: where it serves.
        kind: ``compiled`` or ``pure Python``, as it says itself.
        complaints: filled in when it has ended: what it did wrong.
    """

    port: int
    kind: str
    complaints: list[str]


@asynccontextmanager
async def running(options: Options, log: Path) -> AsyncIterator[Server]:
    """Run the server while the body runs; ``log`` is where it writes."""
    environment = {name: value for name, value in os.environ.items() if name[:5] != "PAGI_"}
    environment["PAGI_PURE_PYTHON"] = "1" if options.pure else "0"
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    command = ["run", "tests.autobahn.echo:app", "--port", "0", "--no-access-log", *SETTINGS]
    command += ["--loop", options.loop, "--transports", options.transports]
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "default", "-m", "pagi", *command,
            cwd=log.parent, env=environment, stdin=asyncio.subprocess.DEVNULL, stderr=file,
        )  # fmt: skip
    try:
        server = await _started(process, log)
        yield server
        server.complaints += await _ended(process, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _started(process: asyncio.subprocess.Process, log: Path) -> Server:
    end = monotonic() + PATIENCE
    while True:
        text = log.read_text("utf-8", "replace")
        port, kind = _PORT.search(text), _KIND.search(text)
        if port and kind:
            return Server(int(port[1]), kind[1], [])
        if process.returncode is not None or monotonic() > end:
            raise RuntimeError(f"the server does not start: {text}")
        await asyncio.sleep(0.02)


async def _ended(process: asyncio.subprocess.Process, log: Path) -> list[str]:
    """Ask it to stop; return what is wrong with its end or in its log."""
    complaints = []
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(PATIENCE):
            status = await process.wait()
    except TimeoutError:
        complaints.append(f"the server does not stop within {PATIENCE:.0f} s")
    else:
        if status:
            complaints.append(f"the server ended with status {status}")
    lines = log.read_text("utf-8", "replace").splitlines()
    errors = [line for line in lines if _BAD.search(line)]
    if errors:
        complaints.append(f"{len(errors)} errors in {log}, the first: {errors[0]}")
    return complaints
