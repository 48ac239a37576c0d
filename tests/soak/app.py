"""The application that the soak is about: bodies both ways, files, and facts about its process."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import zlib
from typing import Any
from urllib.parse import parse_qs

from tests.soak import BLOCK

FILE = os.environ.get("SOAK_FILE", "")
TEXT = (b"content-type", b"text/plain")

running: set[int] = set()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer by the first part of the path."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    handler = HANDLERS[scope["path"].split("/")[1]]
    running.add(id(scope))
    try:
        await handler(scope, receive, send)
    except OSError:
        """The client has left: half of them do."""
    finally:
        running.discard(id(scope))


async def lifespan(receive: Any, send: Any) -> None:
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def whole(send: Any, body: bytes) -> None:
    headers = [TEXT, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the path."""
    await whole(send, scope["path"].encode())


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length and the checksum of the body."""
    length, checksum = 0, 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        checksum = zlib.crc32(message["body"], checksum)
        if not message.get("more_body"):
            break
    await whole(send, b"%d %d" % (length, checksum))


async def body(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the block in one message."""
    await whole(send, BLOCK)


async def stream(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the block in pieces of ``size`` bytes."""
    size = int(parse_qs(scope["query_string"].decode())["size"][0])
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
    for begin in range(0, len(BLOCK), size):
        piece = BLOCK[begin : begin + size]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        if begin // size % 16 == 0:
            await asyncio.sleep(0)
    await send({"type": "http.response.body"})


async def file(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the file, or with a part of it, by ``how``: its path or a handle."""
    query = parse_qs(scope["query_string"].decode())
    first, length = int(query["first"][0]), int(query["length"][0])
    headers = [TEXT, (b"content-length", b"%d" % length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    part = {"type": "http.response.body", "offset": first, "length": length}
    if query["how"] == ["path"]:
        await send({**part, "file": FILE})
        return
    with open(FILE, "rb") as handle:
        await send({**part, "fh": handle})


async def forever(scope: Any, receive: Any, send: Any) -> None:
    """Stream until the client leaves."""
    await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
    while True:
        await send({"type": "http.response.body", "body": BLOCK[:20_000], "more_body": True})
        await asyncio.sleep(0.001)


async def wait(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing until the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def facts(scope: Any, receive: Any, send: Any) -> None:
    """Say what this process holds.

    Neither what only waits for the collector of cycles, nor the tasks that the server keeps in
    stock for requests, counts: those may be more after a rush.
    """
    gc.collect()
    coroutines = [task.get_coro() for task in asyncio.all_tasks()]
    stock = [one for one in coroutines if getattr(one, "__qualname__", "") == "AppRunner._sit"]
    held = {
        "process": os.getpid(),
        "requests": len(running),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "tasks": len(coroutines) - len(stock),
        "stock": len(stock),
        "objects": len(gc.get_objects()),
    }
    await whole(send, json.dumps(held).encode())


HANDLERS = {
    handler.__name__: handler for handler in (hello, echo, body, stream, file, forever, wait, facts)
}
