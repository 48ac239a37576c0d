"""`Worker`: what is left when a start fails or a stop is cut short."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from pagi.server.config import Config, load
from pagi.server.errors import EXIT_CONFIGURATION, EXIT_STARTUP, StartError
from pagi.server.worker import worker as worker_module
from pagi.server.worker.process import bind_all
from pagi.server.worker.report import describe_tasks
from pagi.server.worker.scoreboard import Scoreboard
from pagi.server.worker.sockets import BoundSocket
from pagi.server.worker.worker import Worker
from tests.conftest import LOOP, TRANSPORTS

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class App:
    """Notes what it is told; requests wait until they are cancelled, or for ``go``."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(receive, send)
            return
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.noted.append("cancelled")
            raise
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def lifespan(self, receive: Any, send: Any) -> None:
        for kind in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{kind}"
            self.noted.append(kind)
            await send({"type": f"lifespan.{kind}.complete"})


def configuration(**options: Any) -> Config:
    defaults = {"config_file": None, "port": 0, "access_log": None, "transports": TRANSPORTS}
    return load({**defaults, "loop": LOOP, **options}, environ={})


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Let nothing of the server's log get lost."""
    caplog.set_level(logging.DEBUG, "pagi")


@pytest.fixture
def sockets() -> Iterator[list[BoundSocket]]:
    """One listener."""
    bound = bind_all(configuration())
    yield bound
    for each in bound:
        each.close()


@asynccontextmanager
async def connected(sockets: list[BoundSocket]) -> AsyncIterator[asyncio.StreamReader]:
    """Open a connection and send a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sockets[0].port)
    writer.write(GET)
    yield reader
    writer.close()
    try:
        await writer.wait_closed()
    except ConnectionError:
        pass


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# --- starts that fail ------------------------------------------------------------------------


async def test_what_is_missing_is_seen_before_the_application_starts(
    sockets: list[BoundSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiofastnet.selector_transport", None)
    monkeypatch.setitem(sys.modules, "aiofastnet", None)
    app = App()
    with pytest.raises(StartError, match="aiofastnet") as raised:
        await Worker(app, configuration(transports="aiofastnet"), sockets).start()
    assert raised.value.exit_status == EXIT_CONFIGURATION
    assert app.noted == []


async def test_an_access_log_that_cannot_be_opened_is_seen_before_the_application_starts(
    sockets: list[BoundSocket], tmp_path: Path
) -> None:
    app = App()
    log = tmp_path / "missing" / "log"
    with pytest.raises(StartError, match="missing") as raised:
        await Worker(app, configuration(access_log=str(log)), sockets).start()
    assert raised.value.exit_status == EXIT_CONFIGURATION
    assert app.noted == []


async def test_a_refusal_to_start_leaves_no_file_open(
    sockets: list[BoundSocket], tmp_path: Path
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    log = tmp_path / "log"
    worker = Worker(app, configuration(access_log=str(log)), sockets)
    with pytest.raises(StartError, match="no database") as raised:
        await worker.start()
    assert raised.value.exit_status == EXIT_STARTUP
    assert str(log) not in opened()


def opened() -> set[str]:
    """Return the files that this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:  # the one of the listing itself
            continue
    return found


async def test_a_start_that_fails_late_lets_the_application_clean_up(
    sockets: list[BoundSocket], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Broken:
        def __init__(self, *arguments: Any) -> None:
            raise OSError("no epoll")

    monkeypatch.setattr(worker_module, "choose_transports", lambda name, loop: Broken)
    app, log = App(), tmp_path / "log"
    with pytest.raises(OSError, match="no epoll"):
        await Worker(app, configuration(access_log=str(log)), sockets).start()
    assert app.noted == ["startup", "shutdown"]
    assert str(log) not in opened()


async def test_a_start_that_is_cancelled_when_the_application_is_ready(
    sockets: list[BoundSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App()
    worker = Worker(app, configuration(), sockets)
    begin = worker._begin

    async def interrupted(*arguments: Any) -> None:
        starting.cancel()
        await begin(*arguments)

    monkeypatch.setattr(worker, "_begin", interrupted)
    starting = asyncio.ensure_future(worker.start())
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert app.noted == ["startup", "shutdown"]


# --- stops -----------------------------------------------------------------------------------


async def test_connections_are_counted(sockets: list[BoundSocket]) -> None:
    app = App()
    worker = Worker(app, configuration(), sockets)
    await worker.start()
    assert worker.connections == 0
    async with connected(sockets) as reader:
        await app.begun.wait()
        assert worker.connections == 1
        app.go.set()
        await reader.readuntil(b"done")
        await worker.stop()
        assert await reader.read() == b""
    assert worker.connections == 0
    assert app.noted == ["startup", "shutdown"]


async def test_a_stop_that_is_cancelled_skips_the_grace_only(
    sockets: list[BoundSocket], caplog: pytest.LogCaptureFixture
) -> None:
    app = App()
    worker = Worker(app, configuration(shutdown_timeout=None), sockets)
    await worker.start()
    async with connected(sockets) as reader:
        await app.begun.wait()
        stopping = asyncio.ensure_future(worker.stop())
        await turns()
        assert app.noted == ["startup"]
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        with pytest.raises(asyncio.IncompleteReadError):
            await reader_until_end(reader)
    assert app.noted == ["startup", "cancelled", "shutdown"]
    assert worker.connections == 0
    assert "1 connections were still open" in caplog.text


async def reader_until_end(reader: asyncio.StreamReader) -> None:
    """Read a whole response head; however the connection ends before, it ended early."""
    try:
        await reader.readuntil(b"\r\n\r\n")
    except ConnectionError:
        raise asyncio.IncompleteReadError(b"", None) from None


@pytest.mark.parametrize("limit", [None, 300])
async def test_hurry_ends_a_stop(limit: float | None, sockets: list[BoundSocket]) -> None:
    app = App()
    worker = Worker(app, configuration(shutdown_timeout=limit), sockets)
    await worker.start()
    async with connected(sockets):
        await app.begun.wait()
        stopping = asyncio.ensure_future(worker.stop())
        await turns()
        assert not stopping.done()
        worker.hurry()
        worker.hurry()
        await stopping
    assert app.noted == ["startup", "cancelled", "shutdown"]


async def test_hurry_before_a_stop_ends_it_at_once(sockets: list[BoundSocket]) -> None:
    app = App()
    worker = Worker(app, configuration(shutdown_timeout=None), sockets)
    worker.hurry()
    await worker.start()
    async with connected(sockets):
        await app.begun.wait()
        worker.hurry()
        assert app.noted == ["startup"]
        await worker.stop()
    assert app.noted == ["startup", "cancelled", "shutdown"]


async def test_a_worker_says_how_it_is(sockets: list[BoundSocket]) -> None:
    slot = Scoreboard(1).site
    worker = Worker(App(), configuration(), sockets, 1, slot)
    before = monotonic()
    await worker.start()
    assert before - 1e-6 <= slot.beat <= monotonic()
    assert slot.memory > 0
    assert slot.lag == slot.max_lag == 0.0
    await worker.stop()


async def test_the_lag_of_the_loop_is_seen(sockets: list[BoundSocket]) -> None:
    slot = Scoreboard(1).site
    worker = Worker(App(), configuration(), sockets, 1, slot)
    now = monotonic()
    worker._beat(now)
    worker._beat(now + 5.0)
    late = slot.lag
    assert 4.0 <= late <= 5.0
    for _ in range(worker_module.LAG_TICKS - 1):  # whoever looks now and then shall see it
        worker._beat(worker._expected_tick)
        assert slot.lag == late
    worker._beat(worker._expected_tick)
    assert slot.lag == pytest.approx(0.0, abs=1e-5)
    assert slot.max_lag == pytest.approx(late, abs=1e-5)


async def test_it_is_known_what_a_request_is(sockets: list[BoundSocket]) -> None:
    app = App()
    worker = Worker(app, configuration(), sockets)
    assert worker.activities() == {}
    await worker.start()
    async with connected(sockets) as reader:
        await app.begun.wait()
        await turns()
        text = describe_tasks(asyncio.all_tasks(), worker.activities())
        app.go.set()
        await reader.readuntil(b"done")
        await worker.stop()
    assert ": GET / of 127.0.0.1\n" in text


async def test_the_access_log_is_opened_again(sockets: list[BoundSocket], tmp_path: Path) -> None:
    log, old = tmp_path / "log", tmp_path / "old"
    worker = Worker(App(), configuration(access_log=str(log)), sockets)
    worker.reopen_logs()
    await worker.start()
    log.rename(old)
    worker.reopen_logs()
    assert str(log) in opened()
    assert str(old) not in opened()
    await worker.stop()


async def test_a_worker_that_never_started_can_be_stopped(sockets: list[BoundSocket]) -> None:
    app = App()
    await Worker(app, configuration(), sockets).stop()
    assert app.noted == []


async def test_the_listeners_are_closed_first(sockets: list[BoundSocket]) -> None:
    app = App()
    worker = Worker(app, configuration(), sockets)
    await worker.start()
    async with connected(sockets) as reader:
        await app.begun.wait()
        stopping = asyncio.ensure_future(worker.stop())
        await asyncio.sleep(0)
        assert sockets[0].sock.fileno() == -1
        app.go.set()
        assert (await reader.read()).endswith(b"done")
        await stopping


async def test_no_date_and_no_name(sockets: list[BoundSocket]) -> None:
    app = App()
    app.go.set()
    worker = Worker(app, configuration(date_header=False, server_header=""), sockets)
    await worker.start()
    async with connected(sockets) as reader:
        head = await reader.readuntil(b"\r\n\r\n")
        await worker.stop()
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"date:" not in head.lower()
    assert b"server:" not in head.lower()


async def test_the_lifespan_is_told_which_worker_it_is(sockets: list[BoundSocket]) -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append((scope["pagi"]["is_worker"], scope["pagi"]["worker_num"]))
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    worker = Worker(app, configuration(), sockets, 3)
    await worker.start()
    await worker.stop()
    assert told == [(True, 3)]
