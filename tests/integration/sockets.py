"""WebSockets over the ``websockets`` library, and a stop with many of them open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from pagi.server.api import Server

#: Streams that are open when a server stops.
MANY = 100
#: What a server is given for them, and how long the whole stop may take.
GRACE, STOP = 0.5, 3.0


def address(port: int | None, path: str) -> str:
    """Return the address of a WebSocket on this machine."""
    return f"ws://127.0.0.1:{port}{path}"


@asynccontextmanager
async def opened(port: int | None, path: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """Open a WebSocket, and close it at the end."""
    options = {"max_size": None, "proxy": None, **options}
    async with connect(address(port, path), **options) as socket:
        yield socket


async def refusal(port: int | None, path: str) -> Response:
    """Return the answer to a WebSocket that is refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with opened(port, path):
            pass
    return caught.value.response


async def closing(socket: ClientConnection) -> tuple[int, str]:
    """Read to the end; return the code and the reason of the server's close, 1006 if it is none."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as closed:
        return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


@dataclass
class Stopped:
    """What the clients of a server saw of its stop; ``seconds`` is how long it took."""

    seconds: float
    seen: list[Any]


async def stop(server: Server, clients: list[Any]) -> Stopped:
    """Stop a server gracefully, while ``clients`` (coroutines) watch."""
    tasks = [asyncio.create_task(client) for client in clients]
    await asyncio.sleep(0)
    begin = monotonic()
    await server.shutdown()
    seconds = monotonic() - begin
    return Stopped(seconds, await asyncio.gather(*tasks))
