"""What tests of proxies share: an application that tells where it thinks it is, and ways to ask."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pagi
from tests.server.attacks.frames import handshake
from tests.server.client import Client
from tests.server.http2_client import Connection

__all__ = ["KINDS", "Told", "ask", "behind", "tells_ends"]

#: Kinds of scopes and versions of the wire that `ask` knows.
KINDS = ["http/1.1", "http/2", "websocket", "sse", "sse/2"]


async def tells_ends(scope: Any, receive: Any, send: Any) -> None:
    """Answer with type, client, server, scheme and host of the scope, in its own way."""
    host = [value.decode() for name, value in scope["headers"] if name == b"host"]
    ends = [scope["type"], scope["client"], scope["server"], scope["scheme"], host]
    text = json.dumps(ends)
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": text})
        await send({"type": "websocket.close"})
    elif scope["type"] == "sse":
        await send({"type": "sse.start"})
        await send({"type": "sse.send", "data": text})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})


class Told:
    """What `tells_ends` answered."""

    def __init__(self, text: str | bytes) -> None:
        self.type, client, server, self.scheme, self.host = json.loads(text)
        self.client = None if client is None else tuple(client)
        self.server = tuple(server)


@asynccontextmanager
async def behind(
    to: pagi.Server | int | str, header: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Client]:
    """Open a connection as a proxy does that speaks first, and then encrypted if wanted."""
    target = to if isinstance(to, (int, str)) else to.port
    assert target is not None
    sock = socket.socket(socket.AF_UNIX if isinstance(target, str) else socket.AF_INET)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    address = target if isinstance(target, str) else ("127.0.0.1", target)
    await loop.sock_connect(sock, address)
    if header:
        await loop.sock_sendall(sock, header)
    reader, writer = await asyncio.open_connection(
        sock=sock, ssl=tls, server_hostname="localhost" if tls else None
    )
    client = Client(reader, writer)
    try:
        yield client
    finally:
        await client.close()


async def ask(kind: str, client: Client, headers: Sequence[tuple[str, str]] = ()) -> Told:
    """Ask `tells_ends` in one of the `KINDS`; the connection is used up."""
    wanted = [*headers, ("Accept", "text/event-stream")] if kind.startswith("sse") else headers
    if kind in ("http/2", "sse/2"):
        connection = Connection(client.reader, client.writer, "http")
        connection.begin()
        try:
            body = (await connection.ask(headers=wanted)).body
        finally:
            await connection.close()
    elif kind == "websocket":
        fields = [(name.encode(), value.encode()) for name, value in headers]
        client.send(handshake(b"/", *fields))
        assert (await client.head()).status == 101
        first, size = await client.reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await client.reader.readexactly(2), "big")
        assert first == 0x81
        body = await client.reader.readexactly(size)
    else:
        body = (await client.request(headers=wanted)).body
    return Told(body.removeprefix(b"data: ").strip())
