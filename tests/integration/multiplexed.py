"""An application that tells on which connection its requests come, and how streams end."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pagi

SEEN: list[dict[str, Any]] = []
ENDS: list[dict[str, Any]] = []
_gate: asyncio.Event | None = None
TOGETHER = 50


@pagi.native
async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve an empty page, ``/part/N``, ``/events``, a WebSocket, and ``/told``."""
    if scope["type"] == "lifespan":
        raise NotImplementedError
    if scope["path"] == "/told":
        await answer(send, json.dumps({"seen": SEEN, "ends": ENDS}).encode(), b"application/json")
        return
    kind, host = scope["type"], scope["client"]
    SEEN.append({"type": kind, "version": scope["http_version"], "from": host, **note(scope)})
    if kind == "websocket":
        await echo(receive, send)
    elif kind == "sse":
        await tick(scope, receive, send)
    else:
        if scope["path"].startswith("/part/"):
            await all_are_here()
        await answer(send, b"<!doctype html><title>x</title>", b"text/html; charset=utf-8")


def note(scope: Any) -> dict[str, Any]:
    """Return what is worth a look in the scope."""
    return {"path": scope["path"], "scheme": scope["scheme"], "tls": "tls" in scope["extensions"]}


async def answer(send: Any, body: bytes, kind: bytes) -> None:
    """Send a whole response."""
    headers = [(b"content-type", kind), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def all_are_here() -> None:
    """Wait until all parts are asked for: no one is answered before the last has come."""
    global _gate
    if _gate is None:
        _gate = asyncio.Event()
    if sum(each["path"].startswith("/part/") for each in SEEN) >= TOGETHER:
        _gate.set()
    await _gate.wait()


async def tick(scope: Any, receive: Any, send: Any) -> None:
    """Send events until somebody leaves; keep when that was heard of, and why."""
    await receive()  # the request, which has no body
    await send({"type": "sse.start"})
    ended = asyncio.ensure_future(receive())
    number = 0
    while not ended.done():
        number += 1
        await send({"type": "sse.send", "data": str(number)})
        await asyncio.wait([ended], timeout=0.02)
    message = ended.result()
    ENDS.append({"at": time.monotonic(), "why": message.get("reason"), "type": message["type"]})


async def echo(receive: Any, send: Any) -> None:
    """Echo text."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
