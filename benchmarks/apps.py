"""The application that every ASGI server runs: plain callables with as little work as possible.

It is imported by the servers, so it imports next to nothing. Messages are built anew for each
request, as applications do: a server that recognised a shared object would measure only itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SITE_VARIABLE = "BENCHMARK_SITE"
"""Environment variable with the directory of the static files."""
SITE = os.environ.get(SITE_VARIABLE, "")

CHUNK_COUNT = 100
BIG_SIZE = 10 * 1024 * 1024
"""Bytes of a large upload or download."""


def pattern(size: int) -> bytes:
    """Returns `size` bytes of printable text without a short period."""
    block = b"".join(b"%07d\n" % number for number in range(0, 8192, 8))
    return (block * (size // len(block) + 1))[:size]


TEN_KIB = pattern(10 * 1024)
CHUNK = pattern(1024)

try:
    orjson: Any = import_module("orjson")
except ImportError:
    orjson = None  # the scenario `json` is then reported as not measured

ENCODE = json.JSONEncoder(separators=(",", ":")).encode


@cache
def big_body() -> bytes:
    """Returns the large answer; made on first use, so that other scenarios do not hold it."""
    return pattern(BIG_SIZE)


@cache
def file_response() -> Any:
    """Returns Starlette's class for file answers; imported by those alone who need it."""
    return import_module("starlette.responses").FileResponse


async def read_body(receive: Receive) -> bytes:
    """Returns the whole request body."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def answer(send: Send, body: bytes, content_type: bytes = b"text/plain") -> None:
    """Sends a whole answer of known length in the two messages that ASGI asks for."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", b"%d" % len(body)),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def ten_kib(scope: Scope, receive: Receive, send: Send) -> None:
    """10 KiB in one body."""
    await answer(send, TEN_KIB)


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """100 chunks of 1 KiB, length unknown beforehand."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain")],
        }
    )
    for _ in range(CHUNK_COUNT):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def upload(scope: Scope, receive: Receive, send: Send) -> None:
    """Counts the bytes of the request body as they come, and answers with their number."""
    count = 0
    more = True
    while more:
        message = await receive()
        count += len(message.get("body", b""))
        more = message.get("more_body", False)
    await answer(send, b"%d" % count)


async def download(scope: Scope, receive: Receive, send: Send) -> None:
    """10 MiB from memory in one body."""
    await answer(send, big_body())


async def json_orjson(scope: Scope, receive: Receive, send: Send) -> None:
    """Parses and writes JSON with orjson."""
    document = orjson.loads(await read_body(receive))
    await answer(send, orjson.dumps(document), b"application/json")


async def json_stdlib(scope: Scope, receive: Receive, send: Send) -> None:
    """Parses and writes JSON with the standard library."""
    document = json.loads(await read_body(receive))
    await answer(send, ENCODE(document).encode(), b"application/json")


async def static(scope: Scope, receive: Receive, send: Send) -> None:
    """A file by `http.response.pathsend` where the server offers it, else by Starlette."""
    path = f"{SITE}/{scope['path'].rpartition('/')[2]}"
    if "http.response.pathsend" not in (scope.get("extensions") or {}):
        await file_response()(path)(scope, receive, send)
        return
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/octet-stream"),
                (b"content-length", b"%d" % os.stat(path).st_size),
            ],
        }
    )
    await send({"type": "http.response.pathsend", "path": path})


async def lifespan(receive: Receive, send: Send) -> None:
    """Answers the lifespan protocol: nothing to start, nothing to stop."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


ENDPOINTS = {
    "/10k": ten_kib,
    "/stream": stream,
    "/upload": upload,
    "/download": download,
    "/json": json_orjson,
    "/json-stdlib": json_stdlib,
    "/static/100k.bin": static,
    "/static/10m.bin": static,
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application; the greeting is written out here to save it a call."""
    if scope["type"] == "http":
        if scope["path"] != "/":
            await ENDPOINTS[scope["path"]](scope, receive, send)
            return
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/plain"), (b"content-length", b"13")],
            }
        )
        await send({"type": "http.response.body", "body": b"Hello, World!"})
    elif scope["type"] == "lifespan":
        await lifespan(receive, send)
