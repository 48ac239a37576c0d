"""Starting and stopping: the lifespan's outcomes, draining, the grace, the deadline."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import pytest

import pagi
from pagi.server.worker import lifespan as lifespan_module
from pagi.server.worker import worker as worker_module
from tests.conftest import TRANSPORTS, new_loop
from tests.server.client import connect, get, serving
from tests.server.conftest import Told

START = {"type": "http.response.start", "status": 200, "headers": []}
MORE = {"type": "http.response.body", "body": b"more", "more_body": True}
LAST = {"type": "http.response.body", "body": b"last"}


class App:
    """An application with a lifespan that notes what happens, and requests that wait for ``go``."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer or {"type": "lifespan.startup.complete"}
        self.noted: list[str] = []
        self.go = asyncio.Event()
        self.begun = asyncio.Event()
        self.scope: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(scope, receive, send)
            return
        connection = scope["pagi.connection"]
        connection.on_disconnect(lambda reason, detail: self.noted.append(f"gone: {reason}"))
        if scope["path"] == "/now":
            await send(START)
            await send(LAST)
            return
        if scope["path"] == "/stream":
            await send(START)
            await send(MORE)
        self.begun.set()
        draining = connection.drain_future()
        try:
            if scope["path"] == "/drain":
                await draining
                self.noted.append(f"draining {connection.draining}")
            else:
                await self.go.wait()
            await send({**START}) if scope["path"] != "/stream" else None
            await send(LAST)
            if scope["path"] == "/after":
                await asyncio.sleep(0.05)
            self.noted.append("request ended")
        except asyncio.CancelledError:
            self.noted.append("request cancelled")
            raise

    async def lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        while True:
            message = await receive()
            self.noted.append(message["type"])
            if message["type"] == "lifespan.startup":
                scope["state"]["number"] = 1
                await send(self.answer)
            elif message["type"] == "lifespan.shutdown":
                await send({"type": "lifespan.shutdown.complete"})
                return


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait only shortly for lifespans that do not return after their last answer."""
    monkeypatch.setattr(lifespan_module, "FAREWELL", 0.01)


# --- starting --------------------------------------------------------------------------------


@pytest.mark.spec("LIFE-1", "LIFE-2", "LIFE-3", "LIFE-4", "LIFE-9", "LIFE-12", "LIFE-13")
async def test_a_lifespan_begins_before_and_ends_after_everything() -> None:
    app = App()
    async with serving(app) as server:
        assert app.noted == ["lifespan.startup"]
        assert (await get(server, "/now")).body == b"last"
    assert app.noted == ["lifespan.startup", "lifespan.shutdown"]
    assert set(app.scope) == {"type", "asgi", "pagi", "state", "extensions"}
    assert app.scope["pagi"]["is_worker"] is False
    assert app.scope["pagi"]["worker_num"] is None
    assert app.scope["state"] == {"number": 1}


@pytest.mark.spec("LIFE-3")
async def test_nothing_is_accepted_before_the_application_is_ready() -> None:
    ready = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await ready.wait()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            assert ready.is_set()
            await send(START)
            await send(LAST)

    server = pagi.Server(app, port=0, access_log=None, transports=TRANSPORTS)
    starting = asyncio.ensure_future(server.start())
    while not server.sockets:
        await asyncio.sleep(0)
    async with connect(server) as client:
        client.send_request()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not starting.done()
        ready.set()
        assert (await client.response()).status == 200
        await starting
    await server.shutdown()


@pytest.mark.spec("LIFE-5", "LIFE-6", "LIFE-8", "LIFE-15")
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"type": "lifespan.startup.failed", "message": "no database"}, "no database"),
        ({"type": "lifespan.startup.failed"}, "startup failed"),
        ({"type": "lifespan.startup.complet"}, "startup failed"),
    ],
)
async def test_a_startup_that_fails(answer: Any, text: str, told: Told) -> None:
    with pytest.raises(pagi.StartError, match=text) as raised:
        async with serving(App(answer)):
            """It does not start."""
    assert raised.value.exit_status == 6


@pytest.mark.spec("LIFE-6")
async def test_a_lifespan_that_is_declined(told: Told) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        assert "state" not in scope or scope["state"] == {}
        await send(START)
        await send(LAST)

    async with serving(app) as server:
        assert (await get(server)).body == b"last"
    assert any("no lifespan" in text for text in told.texts)
    with pytest.raises(pagi.StartError, match="declined"):
        async with serving(app, lifespan="on"):
            """It does not start."""


@pytest.mark.spec("LIFE-7")
async def test_no_lifespan_at_all() -> None:
    app = App()
    async with serving(app, lifespan="off") as server:
        assert (await get(server, "/now")).body == b"last"
    assert app.noted == []


@pytest.mark.spec("LIFE-8")
async def test_a_startup_that_takes_too_long() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    with pytest.raises(pagi.StartError, match="timed out"):
        async with serving(app, lifespan_startup_timeout=0.05):
            """It does not start."""


@pytest.mark.spec("LIFE-10")
async def test_a_lifespan_that_dies_is_logged_and_the_server_goes_on(told: Told) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            raise ValueError("later")
        await send(START)
        await send(LAST)

    async with serving(app) as server:
        await asyncio.sleep(0)
        assert (await get(server)).body == b"last"
    assert any("later" in text for text in told.errors)


@pytest.mark.spec("LIFE-14")
@pytest.mark.parametrize("how", ["failed", "raises", "late"])
async def test_a_shutdown_that_fails_is_logged_and_ends(how: str, told: Told) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if how == "failed":
            await send({"type": "lifespan.shutdown.failed", "message": "broken"})
        elif how == "raises":
            raise ValueError("broken")
        else:
            await asyncio.sleep(60)

    async with serving(app, lifespan_shutdown_timeout=0.05):
        """Start and stop."""
    assert any("broken" in text or "timed out" in text for text in told.texts)


# --- stopping --------------------------------------------------------------------------------


@pytest.mark.spec("CORE-38", "CORE-39", "CORE-41", "LIFE-12")
@pytest.mark.parametrize("path", ["/wait", "/stream"])
async def test_a_stop_waits_for_requests_and_closes_idle_connections(path: str) -> None:
    app = App()
    async with serving(app) as server, connect(server) as idle, connect(server) as busy:
        await idle.request("/now")
        busy.send_request(path)
        await app.begun.wait()
        stopping = asyncio.ensure_future(server.shutdown())
        assert await idle.rest() == b""
        assert not stopping.done()
        with pytest.raises(OSError, match="refused|Connect call failed"):
            async with connect(server):
                """Nothing is accepted any more."""
        app.go.set()
        response = await busy.response()
        assert response.body.endswith(b"last")
        assert response.closes is (path == "/wait")
        assert await busy.rest() == b""
        await stopping
    assert app.noted == ["lifespan.startup", "request ended", "lifespan.shutdown"]


@pytest.mark.spec("CORE-37", "CORE-38", "LIFE-11")
async def test_draining_is_visible_before_anything_is_closed() -> None:
    app = App({"type": "lifespan.startup.complete", "shutdown_notice": True})
    async with serving(app) as server, connect(server) as client:
        client.send_request("/drain")
        await app.begun.wait()
        stopping = asyncio.ensure_future(server.shutdown())
        response = await client.response()
        assert response.body == b"last"
        assert response.closes
        await stopping
    assert app.noted[0] == "lifespan.startup"
    assert set(app.noted[1:3]) == {"lifespan.shutdown.notice", "draining True"}
    assert app.noted[3:] == ["request ended", "lifespan.shutdown"]


@pytest.mark.spec("CORE-38")
async def test_requests_on_their_way_are_answered() -> None:
    """Connections that the system has accepted, requests that it holds: none is lost."""
    app = App()
    async with serving(app) as server:
        clients = [connect(server) for _ in range(50)]
        opened = [await client.__aenter__() for client in clients]
        for client in opened[:25]:
            await client.request("/now")
        for client in opened:
            client.send_request("/now")
        stopping = asyncio.ensure_future(server.shutdown())
        for client in opened:
            assert (await client.response()).body == b"last"
        await stopping
        for client in clients:
            await client.__aexit__(None, None, None)


@pytest.mark.spec("CORE-41", "HTTP-38", "LIFE-12")
async def test_work_after_a_response_is_waited_for() -> None:
    app = App()
    app.go.set()
    async with serving(app) as server:
        assert (await get(server, "/after")).body == b"last"
    assert app.noted == ["lifespan.startup", "request ended", "lifespan.shutdown"]


@pytest.mark.spec("CORE-40", "CORE-42", "LIFE-12", "CORE-43")
@pytest.mark.parametrize("path", ["/wait", "/stream"])
async def test_when_the_time_has_passed_scopes_end_and_applications_are_cancelled(
    path: str, told: Told
) -> None:
    app = App()
    async with serving(app, shutdown_timeout=0.05) as server, connect(server) as client:
        client.send_request(path)
        await app.begun.wait()
        begin = monotonic()
        await server.shutdown()
        assert monotonic() - begin < 2
        assert not (await client.rest()).endswith(b"0\r\n\r\n")
    assert app.noted == [
        "lifespan.startup",
        "gone: server_shutdown",
        "request cancelled",
        "lifespan.shutdown",
    ]
    assert any("1 connections were still open" in text for text in told.texts)
    assert told.errors == []


@pytest.mark.spec("CORE-42")
async def test_an_application_that_does_not_end_is_named(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "CANCEL_GRACE", 0.05)
    release = asyncio.Event()
    begun = asyncio.Event()

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with serving(stubborn, lifespan="off", shutdown_timeout=0.05) as server:
        async with connect(server) as client:
            client.send_request()
            await begun.wait()
            await server.shutdown()
    assert any("does not end although cancelled" in text for text in told.errors)
    release.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_stop_in_a_hurry() -> None:
    app = App()
    async with serving(app, shutdown_timeout=None) as server, connect(server) as client:
        client.send_request("/wait")
        await app.begun.wait()
        stopping = asyncio.ensure_future(server.shutdown())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not stopping.done()
        server.hurry()
        await stopping
        server.hurry()
    assert app.noted[-1] == "lifespan.shutdown"


async def test_stopping_twice_and_waiting() -> None:
    app = App()
    server = await pagi.serve(app, port=0, access_log=None, transports=TRANSPORTS)
    waiting = asyncio.ensure_future(server.wait_closed())
    first = asyncio.ensure_future(server.shutdown())
    second = asyncio.ensure_future(server.shutdown())
    await asyncio.gather(first, second, waiting)
    await server.shutdown()
    assert app.noted == ["lifespan.startup", "lifespan.shutdown"]


async def test_cancelling_who_waits_for_a_stop_does_not_cancel_it() -> None:
    app = App()
    async with serving(app) as server, connect(server) as client:
        client.send_request("/wait")
        await app.begun.wait()
        stopping = asyncio.ensure_future(server.shutdown())
        await asyncio.sleep(0)
        stopping.cancel()
        await asyncio.sleep(0)
        app.go.set()
        assert (await client.response()).body == b"last"
        await server.wait_closed()
    assert app.noted[-1] == "lifespan.shutdown"


async def test_a_server_that_was_not_started() -> None:
    server = pagi.Server(App(), port=0)
    await server.shutdown()
    await server.wait_closed()
    server.hurry()
    assert not server.is_running
    assert server.sockets == []
    assert server.port is None
    assert server.config.listening.port == 0


# --- a loop that ends without a stop ---------------------------------------------------------


@pytest.mark.parametrize("path", ["/now", "/wait", "/stream", "/after"])
def test_a_loop_that_ends_first_ends_without_hanging_or_a_word(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    listening: list[Any] = []

    async def main() -> None:
        app = App()
        server = await pagi.serve(app, port=0, access_log=None, transports=TRANSPORTS)
        listening.extend(server.sockets)
        for _ in range(3):
            assert (await get(server, "/now")).status == 200
        async with connect(server) as client:
            client.send_request(path)
            if path == "/now":
                await client.response()
            else:
                await app.begun.wait()

    contexts: list[Any] = []
    begin = monotonic()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.get_loop().set_exception_handler(lambda loop, context: contexts.append(context))
        runner.run(main())
    for bound in listening:
        bound.close()
    assert monotonic() - begin < 10
    assert contexts == []
