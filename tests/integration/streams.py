"""An application of streams, for the tests with a browser: events that go on, and an echo."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pagi

#: Every so many seconds something happens, whether a server runs or not.
BEAT = 0.02


def beats() -> int:
    """Return the number of the last thing that has happened."""
    return int(time.time() / BEAT)


@pagi.native
async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve ``/`` as an empty page, ``/events`` and a WebSocket."""
    if scope["type"] == "websocket":
        await talk(scope, receive, send)
    elif scope["type"] == "sse":
        await tell(scope, send)
    elif scope["type"] == "http":
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"<!doctype html><title>x</title>"})
    else:
        raise NotImplementedError(scope["type"])


async def tell(scope: Any, send: Any) -> None:
    """Send what happened since ``Last-Event-ID``, and what happens."""
    last = next((value for name, value in scope["headers"] if name == b"last-event-id"), None)
    number = beats() if last is None else int(last)
    draining = scope["pagi.connection"].drain_future()
    await send({"type": "sse.start"})
    await send({"type": "sse.send", "event": "hello", "data": str(number), "retry": 100})
    while not draining.done():
        while number < beats():
            number += 1
            await send({"type": "sse.send", "data": f"beat\n{number}", "id": str(number)})
        await asyncio.wait([draining], timeout=BEAT)
    await send({"type": "sse.send", "event": "goodbye", "data": ""})
    await send({"type": "sse.close"})


async def talk(scope: Any, receive: Any, send: Any) -> None:
    """Echo; ``?`` is answered with facts about the connection."""
    connection = scope["pagi.connection"]
    await receive()
    await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "?":
            facts = {"round_trip": connection.round_trip}
            await send({"type": "websocket.send", "text": json.dumps(facts)})
        else:
            await send({**message, "type": "websocket.send"})
