"""Servers under attack: one in the loop of the test, one in a process of its own.

Both are watched: an error in the log, a complaint of the event loop or a server that does not
answer an honest request afterwards fails the test, whatever else it looked at.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pagi
from tests.conftest import LOOP, TRANSPORTS
from tests.server.attacks.tls_wire import TLSWire
from tests.server.attacks.wire import Answer, Wire, get
from tests.server.certificates import client_context

__all__ = ["Process", "Recorder", "Site", "attacked", "process"]

ROOT: Final = Path(__file__).resolve().parents[3]
LOG_FORMAT: Final = '%h "%r" %s %{reason}x "%{detail}x"'


class Recorder:
    """Application that counts what reaches it and answers with the number of body bytes.

    Attributes:
        seen: method and raw path of each request, in order.
        bodies: body of each request that came whole.
        ends: what ended each request that did not.
        called: set once it was called.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.scopes: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.trailers: list[Any] = []
        self.ends: list[str] = []
        self.called = asyncio.Event()

    def note(self, scope: Any) -> None:
        """Count a request."""
        self.seen.append((scope["method"], scope["raw_path"]))
        self.called.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.note(scope)
        self.scopes.append(scope)
        pieces = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.ends.append(message["reason"])
                return
            pieces.append(message["body"])
            if not message["more_body"]:
                break
        body = b"".join(pieces)
        self.bodies.append(body)
        self.trailers.append(message.get("trailers"))
        text = b"served %d" % len(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text})


class _Notes(logging.Handler):
    """Keeps what the server says."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)


class Site:
    """A server in the loop of the test.

    Attributes:
        server: it.
        app: the application.
        faults: what the event loop complained about.
        records: records of the server's log.
        log: text of the access log, once the server has stopped.
    """

    def __init__(self, server: pagi.Server, app: Any) -> None:
        self.server = server
        self.app = app
        self.faults: list[dict[str, Any]] = []
        self.records: list[logging.LogRecord] = []
        self.log = ""

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self.server.port is not None
        return self.server.port

    async def open(self, receive_buffer: int | None = None) -> Wire:
        """Open a connection, over TLS if the second listener speaks it."""
        *_, last = self.server.sockets
        if last.scheme == "http":
            return await Wire.open(self.port, receive_buffer)
        assert last.port is not None
        wire = await TLSWire.open(last.port, receive_buffer)
        return await wire.shake_hands(client_context("h2"))

    async def refused(self, data: bytes) -> Answer:
        """Send ``data``, and what would be served if the server read on; read the refusal.

        Nothing of it may reach the application.
        """
        before = len(self.app.seen)
        async with await self.open() as wire:
            await wire.send(data + b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n" * 2)
            answer = await wire.refusal()
        assert self.app.seen[before:] == [], "a request was served that must not be"
        constant(answer)
        return answer

    def errors(self) -> list[str]:
        """Texts of the errors in the server's log."""
        return [record.getMessage() for record in self.records if record.levelno >= logging.ERROR]


def constant(answer: Answer) -> None:
    """Check that a refusal says what its status is and nothing else."""
    status = b"%d %b" % (answer.status, answer.phrase)
    assert answer.body == status + b"\n"
    assert answer.fields.keys() <= {
        b"date",
        b"server",
        b"content-type",
        b"content-length",
        b"connection",
        b"retry-after",
    }
    assert answer.fields[b"content-type"] == b"text/plain; charset=utf-8"


@asynccontextmanager
async def attacked(
    app: Any = None, *, errors_expected: bool = False, lives: bool = True, **options: Any
) -> AsyncIterator[Site]:
    """Serve ``app`` in this loop and watch it.

    Args:
        app: by default a `Recorder`.
        errors_expected: the application is made to fail, so the log may hold errors.
        lives: make an honest request afterwards, which must be answered.
        options: those of ``pagi.serve``.
    """
    app = Recorder() if app is None else app
    loop = asyncio.get_running_loop()
    logger = logging.getLogger("pagi")
    notes = _Notes()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(notes)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    faults: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    try:
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory, "access.log")
            options = {
                "access_log": str(log),
                "access_log_format": LOG_FORMAT,
                "env": "production",
                "lifespan": "off",
                "transports": TRANSPORTS,
                **({} if {"socket", "listen"} & options.keys() else {"port": 0}),
                **options,
            }
            async with pagi.serve(app, **options) as server:
                site = Site(server, app)
                site.faults, site.records = faults, notes.records
                yield site
                if lives:
                    address = options.get("socket", server.port)
                    assert (await get(address, b"/alive")).status == 200, "it does not live"
            with open(log, encoding="ascii") as lines:  # the server has stopped
                site.log = lines.read()
    finally:
        loop.set_exception_handler(None)
        logger.removeHandler(notes)
        logger.setLevel(level)
        logger.propagate = propagate
    assert not faults, faults
    assert errors_expected or not site.errors(), site.errors()


class Process:
    """A server in a process of its own.

    Attributes:
        port: where it listens.
        pid: its process.
        lines: its log so far, access log included; all of it once it has stopped.
    """

    def __init__(self, running: asyncio.subprocess.Process) -> None:
        self._running = running
        self.pid = running.pid
        self.port = 0
        self.lines: list[str] = []

    async def follow(self, started: asyncio.Future[int]) -> None:
        """Read its log to the end; ``started`` gets the port."""
        assert self._running.stderr is not None
        async for raw in self._running.stderr:
            line = raw.decode("utf-8", "backslashreplace").rstrip("\n")
            self.lines.append(line)
            match = re.search(r"(?:serving|listening) on http://127\.0\.0\.1:(\d+)", line)
            if match is not None and not started.done():
                started.set_result(int(match[1]))
        if not started.done():
            started.set_exception(AssertionError("\n".join(self.lines)))

    def resident(self) -> int:
        """Return the bytes of memory it holds now."""
        return self._status("VmRSS")

    def resident_peak(self) -> int:
        """Return the most it ever held."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(rf"{name}:\s+(\d+) kB", text)
        assert match is not None, text
        return int(match[1]) * 1024

    def processor_seconds(self) -> float:
        """Return the processor time it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sockets(self) -> int:
        """Return how many sockets it has open."""
        found = 0
        for name in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                found += os.readlink(f"/proc/{self.pid}/fd/{name}").startswith("socket:")
            except FileNotFoundError:
                pass
        return found

    async def open(self, receive_buffer: int | None = None) -> Wire:
        """Open a connection."""
        return await Wire.open(self.port, receive_buffer)

    async def stop(self) -> int:
        """Ask it to stop; return its exit status."""
        if self._running.returncode is None:
            self._running.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(15):
                return await self._running.wait()
        except TimeoutError:
            self._running.kill()
            raise AssertionError("it does not stop") from None

    def faults(self) -> list[str]:
        """Return the lines of its log that a healthy server does not write."""
        bad = re.compile(r"Traceback|never retrieved|Fatal error|\bERROR\b|never awaited|leaked")
        return [line for line in self.lines if bad.search(line)]


async def launch(
    target: str, *options: str, in_front: Sequence[str] = (), **settings: Any
) -> asyncio.subprocess.Process:
    """Start ``pagi run`` on the loop and the transports of this run of the tests.

    Args:
        target: what it serves.
        options: of ``pagi run``.
        in_front: words before the command, such as ``prlimit``.
        settings: more for `asyncio.create_subprocess_exec`.
    """
    return await asyncio.create_subprocess_exec(
        *in_front,
        *(sys.executable, "-m", "pagi", "run", target),
        *("--no-config", "--loop", LOOP, "--transports", TRANSPORTS),
        *options,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        **{"stderr": asyncio.subprocess.PIPE, **settings},
    )


@asynccontextmanager
async def process(
    app: str, *options: str, command: tuple[str, ...] = (), errors_expected: bool = False
) -> AsyncIterator[Process]:
    """Run ``tests/server/attacks/apps.py:app`` by the command line, and watch it.

    Args:
        app: name of the application.
        options: of ``pagi run``.
        command: in front of the interpreter's name, such as ``prlimit``.
        errors_expected: the application is made to fail.
    """
    target = f"tests.server.attacks.apps:{app}"
    running = await launch(target, "--port", "0", *options, in_front=command)
    site = Process(running)
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    following = asyncio.ensure_future(site.follow(started))
    try:
        site.port = await asyncio.wait_for(started, 20)
        yield site
        assert (await get(site.port, b"/alive")).status == 200, "it does not live"
        status = await site.stop()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
        await following
    assert status == 0, site.lines
    assert errors_expected or not site.faults(), site.lines
