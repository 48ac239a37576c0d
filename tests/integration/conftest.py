"""What the integration tests share: where a test runs, the server, the command, its log."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

import pagi
from pagi.server.api import Server
from tests.conftest import LOOP, PURE, TRANSPORTS

ROOT = Path(__file__).resolve().parents[2]
FILE_SIZE = 5 * 1_048_576
#: No process that a test starts takes longer to say something, or to end.
TIMEOUT = 60.0

Serving = Callable[..., AbstractAsyncContextManager[Server]]


# --- files -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make the file that the applications serve as ``/files/big.bin``; return its content."""
    folder = tmp_path_factory.mktemp("files")
    content = random.Random(5).randbytes(FILE_SIZE)
    (folder / "big.bin").write_bytes(content)
    os.environ["TEST_FILES"] = str(folder)
    return content


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes, as the applications report it."""
    return hashlib.sha256(data).hexdigest()


# --- the server, in this process -------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[list[logging.LogRecord]]:
    """Collect the records of the server and of asyncio, from warnings upwards."""
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    collector = Collector(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("pagi", "asyncio")]
    for logger in loggers:
        logger.addHandler(collector)
    yield records
    for logger in loggers:
        logger.removeHandler(collector)


@pytest.fixture
def serving(log: list[logging.LogRecord]) -> Serving:
    """Serve an application on a free port; nothing may be in the log at the end.

    Errors that a test wants are taken out of ``log`` by the test.
    """

    @asynccontextmanager
    async def serve(app: Any, **options: Any) -> AsyncIterator[Server]:
        options = {"access_log": None, "transports": TRANSPORTS, **options}
        if "listen" not in options:
            options["port"] = 0
        async with pagi.serve(app, **options) as server:
            yield server
        await asyncio.sleep(0)
        assert [told(record) for record in log] == []

    return serve


def told(record: logging.LogRecord) -> str:
    """Return what a record says, with its traceback."""
    return logging.Formatter().format(record)


# --- the command, as a process of its own ----------------------------------------------------


@dataclass
class Command:
    """A server that runs as ``pagi run``; ``status`` is set when it has ended."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    status: int | None = None

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return (self.folder / "log").read_text(encoding="utf-8")

    @property
    def notes(self) -> list[str]:
        """What its application has noted."""
        lines = (self.folder / "out").read_text(encoding="utf-8").splitlines()
        return [line.removeprefix("note: ") for line in lines if line.startswith("note: ")]

    @property
    def peak_memory(self) -> int:
        """The most memory it has held so far, in bytes (Linux)."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        match = re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE)
        assert match is not None
        return int(match[1]) * 1024


def environment() -> dict[str, str]:
    """Return an environment in which the command runs as this run of the tests does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAGI_")}
    kept["PAGI_PURE_PYTHON"] = "1" if PURE else "0"
    kept["TEST_FILES"] = os.environ.get("TEST_FILES", "")
    kept["TEST_JOURNAL"] = "1"
    kept["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    return kept


@contextmanager
def command(target: str, folder: Path, *options: str) -> Iterator[Command]:
    """Run ``pagi run TARGET`` on a free port; at the end SIGTERM stops it.

    ``folder`` takes what it writes.
    """
    arguments = [sys.executable, "-m", "pagi", "run", target, "--port", "0"]
    arguments += ["--loop", LOOP, "--transports", TRANSPORTS, *options]
    with (folder / "log").open("wb") as log, (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            arguments, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=log
        )
    try:
        server = Command(process, _port_of(process, folder / "log"), folder)
        yield server
        process.send_signal(signal.SIGTERM)
        server.status = process.wait(TIMEOUT)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait until the server says where it serves."""
    end = monotonic() + TIMEOUT
    text = ""
    while monotonic() < end:
        text = log.read_text(encoding="utf-8")
        if match := re.search(r"(?:serving|listening) on https?://[^\s:]+:(\d+)", text):
            return int(match[1])
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"pagi run ended: {text}")
    pytest.fail(f"pagi run does not serve: {text}")
