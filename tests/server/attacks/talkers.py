"""Applications that talk over WebSockets, and the rounds of an attack on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from tests.server.attacks.frames import TEXT, Socket, frame
from tests.server.attacks.site import Process, Recorder, Site, attacked, process
from tests.server.attacks.wire import eventually

__all__ = ["SMUGGLED", "Slow", "Talker", "bystander", "fails", "shown", "talking"]

#: A message behind a fault, which nobody may receive.
SMUGGLED: Final = frame(TEXT, b"smuggled")


class Talker(Recorder):
    """Echoes on WebSockets and counts what reaches it; requests are answered as ever.

    Attributes:
        messages: what was received, in order.
        closes: code and reason of the end of each WebSocket.
    """

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str | bytes] = []
        self.closes: list[tuple[int, str | None]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            await super().__call__(scope, receive, send)
            return
        self.seen.append(("websocket", scope["raw_path"]))
        self.scopes.append(scope)
        self.called.set()
        await receive()
        try:
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                self.messages.append(message.get("text") or message.get("bytes") or "")
                await send({**message, "type": "websocket.send"})
        except OSError:  # it has gone; what it had said before comes first
            while (message := await receive())["type"] == "websocket.receive":
                continue
        self.closes.append((message["code"], scope["pagi.connection"].disconnect_reason))


class Slow(Talker):
    """Accepts, receives nothing until it may, and says nothing.

    Attributes:
        go: it may.
    """

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            await super().__call__(scope, receive, send)
            return

        async def accepted(message: Any) -> None:
            if message["type"] == "websocket.accept":
                await send(message)
                await self.go.wait()

        await super().__call__(scope, receive, accepted)


@asynccontextmanager
async def talking(**options: Any) -> AsyncIterator[tuple[Site, Socket]]:
    """Serve a `Talker`; another client's WebSocket is open and works before and afterwards."""
    async with attacked(Talker(), **options) as site:
        async with await Socket.open(site.port) as honest:
            await honest.echoes(b"before")
            yield site, honest
            await honest.echoes(b"after")


@asynccontextmanager
async def bystander(*options: str) -> AsyncIterator[tuple[Process, Socket]]:
    """The same around a process that says everything in its log."""
    said = ("--log-level", "debug", "--access-log-format", "%U %s %{reason}x")
    async with process("sockets", *said, *options) as site:
        async with await Socket.open(site.port) as honest:
            await honest.echoes(b"before")
            yield site, honest
            await honest.echoes(b"after")


async def fails(site: Site, sent: bytes, code: int, *, deflate: bool = False) -> str:
    """Send what breaks a WebSocket, and a message; read the close and return its reason.

    The message must not reach the application.
    """
    before = len(site.app.messages)
    async with await Socket.open(site.port, deflate=deflate) as socket:
        await socket.send(sent, SMUGGLED, SMUGGLED)
        found, detail = await socket.closed()
        assert found == code, detail
    await eventually(lambda: len(site.app.closes) > 0)
    reason = "body_too_large" if code == 1009 else "protocol_error"
    assert site.app.closes.pop() == (code, reason)
    assert site.app.messages[before:] == []
    assert f"127.0.0.1: {detail}" in [record.getMessage() for record in site.records]
    return detail


def shown(value: Any) -> str:
    """Return an identifier for what is sent."""
    return value[:16].hex() if isinstance(value, bytes) else str(value)
