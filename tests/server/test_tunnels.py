"""WebSockets over HTTP/2 (RFC 8441) whose clients end them in other ways than by a close frame."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.server.client import serving
from tests.server.conftest import Told, told
from tests.server.http2_client import Connection, Stream, connect_http2

__all__ = ["told"]


async def accepts(scope: Any, receive: Any, send: Any) -> None:
    """Accept, and go when the client has gone."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


async def open_tunnel(client: Connection) -> Stream:
    """Open a WebSocket's stream."""
    stream = client.request(
        "/",
        method="CONNECT",
        headers=[("sec-websocket-version", "13")],
        end=False,
        pseudo=[(":protocol", "websocket")],
    )
    await stream.head()
    assert stream.status == 200
    return stream


async def test_streams_that_clients_end_make_room_for_others(told: Told) -> None:
    async with serving(accepts, lifespan="off", h2_max_concurrent_streams=5) as server:
        async with connect_http2(server) as client:
            for _ in range(12):
                stream = await open_tunnel(client)
                await stream.send(b"", end=True)
                assert await stream.read() == b""
            assert (await client.ask()).body == b"ok"
        async with asyncio.timeout(10):
            await server.shutdown()
    assert told.errors == []


async def test_a_close_frame_that_comes_with_the_end_is_answered(told: Told) -> None:
    """Browsers do that: both are in one DATA frame."""
    async with serving(accepts, lifespan="off") as server, connect_http2(server) as client:
        stream = await open_tunnel(client)
        await stream.send(bytes((0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8)), end=True)
        assert await stream.read() == bytes((0x88, 2, 0x03, 0xE8))
        assert await stream.read() == b""
        assert (await client.ask()).body == b"ok"
    assert told.errors == []
