"""python-socketio, as it is, with its own client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import socketio

from tests.integration.client import connected
from tests.integration.conftest import Serving
from tests.integration.frameworks.common import journal, watched
from tests.integration.frameworks.socketio_app import make_app
from tests.integration.sockets import GRACE, MANY, STOP, closing, opened, stop
from tests.server.attacks.wire import eventually

PATH = "/socket.io/?EIO=4&transport="
#: How a client may come in: by long polling, by a WebSocket, by the first and then the second.
TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"]]
#: A poll that waits when its client takes its leave is answered after these two (in seconds), on
#: any server.
QUICK = {"ping_interval": 0.5, "ping_timeout": 0.5}
by_all = pytest.mark.parametrize("transports", TRANSPORTS, ids=" ".join)


@asynccontextmanager
async def joined(port: int | None, transports: list[str]) -> AsyncIterator[Any]:
    """Connect a client."""
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(f"http://127.0.0.1:{port}", transports=transports)
    try:
        yield client
    finally:
        await client.disconnect()


@by_all
async def test_events(transports: list[str], serving: Serving) -> None:
    async with serving(make_app(**QUICK)) as server, joined(server.port, transports) as client:
        assert client.transport() == transports[-1]
        for data in ({"a": [1, "€"]}, b"\0\xff" * 1000, "x" * 100_000):
            assert await client.call("echo", data) == data


@by_all
async def test_the_server_asks(transports: list[str], serving: Serving) -> None:
    async with serving(make_app(**QUICK)) as server, joined(server.port, transports) as client:

        @client.event
        async def question() -> str:
            return "answer"

        assert await client.call("ask") == "answer"


async def test_a_room(serving: Serving) -> None:
    async with serving(make_app(**QUICK)) as server, AsyncExitStack() as stack:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        clients = []
        for transports in TRANSPORTS:
            client = await stack.enter_async_context(joined(server.port, transports))
            client.on("told", heard.put)
            assert await client.call("join", "room") == "room"
            clients.append(client)
        await clients[0].emit("tell", ("room", "news"))
        assert [await heard.get() for _ in clients] == ["news"] * 3


@by_all
async def test_a_client_that_leaves(transports: list[str], serving: Serving) -> None:
    """The library says which of its farewell and the end of the transport it has read first."""
    journal.clear()
    async with serving(make_app(**QUICK)) as server:
        async with joined(server.port, transports):
            await journal.until("connected")
        await eventually(lambda: len(journal.notes) == 2)
    assert journal.notes[0] == "connected"
    assert journal.notes[1] in ("disconnected: client disconnect", "disconnected: transport close")


async def test_a_stop_with_many_sockets(serving: Serving) -> None:
    journal.clear()
    async with serving(watched(make_app()), shutdown_grace=GRACE) as server:
        async with AsyncExitStack() as stack:
            sockets = []
            for _ in range(MANY):
                socket = await stack.enter_async_context(opened(server.port, f"{PATH}websocket"))
                assert str(await socket.recv()).startswith("0{")
                await socket.send("40")
                assert str(await socket.recv()).startswith("40{")
                sockets.append(socket)
            stopped = await stop(server, [closing(socket) for socket in sockets])

    assert [code for code, _ in stopped.seen] == [1012] * MANY
    assert stopped.seconds < STOP
    assert journal.notes.count("ended /socket.io/") == MANY


async def test_a_stop_with_many_polls(serving: Serving) -> None:
    """A poll is a request like any other: it is waited for, and its server gives it an end."""
    async with serving(make_app(**QUICK), shutdown_grace=GRACE) as server:
        async with AsyncExitStack() as stack:
            clients = []
            for _ in range(MANY):
                client = await stack.enter_async_context(connected(server.port))
                answer = await client.ask("GET", f"{PATH}polling")
                number = answer.body.decode().split('"sid":"')[1].split('"')[0]
                await client.begin("GET", f"{PATH}polling&sid={number}")
                clients.append(client)

            async def answered(client: Any) -> int:
                answer = await client.rest(await client.head())
                return int(answer.status)

            stopped = await stop(server, [answered(client) for client in clients])

    assert stopped.seen == [200] * MANY
    assert stopped.seconds < STOP
