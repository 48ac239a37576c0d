"""Applications for servers in a process of their own."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

_OPEN = asyncio.Event()


async def _answer(send: Any, body: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Any) -> tuple[int, int, str] | None:
    """Read a body as it comes: bytes, messages, digest; ``None`` if it breaks off."""
    size = messages = 0
    digest = hashlib.sha256()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        size += len(message["body"])
        messages += 1
        digest.update(message["body"])
        if not message["more_body"]:
            return size, messages, digest.hexdigest()


async def count(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what the body was: bytes, messages, digest."""
    if scope["type"] != "http":
        raise NotImplementedError
    found = await _read(receive)
    if found is not None:
        await _answer(send, b"%d %d %b" % (found[0], found[1], found[2].encode()))


async def blocked(scope: Any, receive: Any, send: Any) -> None:
    """Answer ``/alive`` at once, ``/open`` too, and others when somebody has asked for that."""
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] == "/open":
        _OPEN.set()
    elif scope["path"] != "/alive":
        await _OPEN.wait()
    await _answer(send, b"x")


async def large(scope: Any, receive: Any, send: Any) -> None:
    """Answer with 64 KiB at once, ``/endless`` with 1 GiB as far as it is taken."""
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] == "/alive":
        await _answer(send, b"x")
    elif scope["path"] == "/endless":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        piece = bytes(65_536)
        for _ in range(16_384):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await _answer(send, bytes(65_536))


async def mixed(scope: Any, receive: Any, send: Any) -> None:
    """Application of the soak: small, large, streamed, slow, echoing, failing."""
    if scope["type"] != "http":
        raise NotImplementedError
    path = scope["path"]
    if path == "/large":
        await _answer(send, bytes(1 << 20))
    elif path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(20):
            await send({"type": "http.response.body", "body": bytes(4096), "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})
    elif path == "/slow":
        await asyncio.sleep(0.05)
        await _answer(send, b"slow")
    elif path == "/refuse":
        await _answer(send, b"unread")
    else:
        found = await _read(receive)
        if found is not None:
            await _answer(send, b"%d %b" % (found[0], found[2].encode()))


async def fails(scope: Any, receive: Any, send: Any) -> None:
    """Fail with a message that holds the path; ``/alive`` does not."""
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] != "/alive":
        raise ValueError(scope["path"])
    await _answer(send, b"x")


async def sockets(scope: Any, receive: Any, send: Any) -> None:
    """Echo what a WebSocket says; answer requests with "x".

    ``/hold`` receives nothing until somebody has asked for ``/open``, then echoes; ``/late`` does
    not even accept until then. ``/flood`` receives nothing and sends 1 GiB as far as it is taken.
    """
    if scope["type"] == "http":
        if scope["path"] == "/open":
            _OPEN.set()
        await _answer(send, b"x")
        return
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    path = scope["path"]
    if path == "/late":
        await _OPEN.wait()
    await send({"type": "websocket.accept"})
    if path == "/flood":
        piece = bytes(65_536)
        for _ in range(16_384):
            await send({"type": "websocket.send", "bytes": piece})
    elif path == "/hold":
        await _OPEN.wait()
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def events(scope: Any, receive: Any, send: Any) -> None:
    """Send 1 GiB of events as far as it is taken; ``/alive`` is answered with "x".

    ``/plain`` does so by the messages of HTTP.
    """
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] == "/alive":
        await _answer(send, b"x")
        return
    if scope["path"] == "/plain":
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        body = b"data: %b\n\n" % bytes(65_536)
        for _ in range(16_384):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        return
    await send({"type": "sse.start"})
    data = "x" * 65_536
    for _ in range(16_384):
        await send({"type": "sse.send", "data": data})
    await send({"type": "sse.close"})
