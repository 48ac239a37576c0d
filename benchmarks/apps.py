"""The application that every ASGI server runs: plain callables with as little work as possible.

It is imported by the servers, so it imports next to nothing. Messages are built anew for each
request, as applications do: a server that recognised a shared object would measure only itself.
"""

from __future__ import annotations

import asyncio
import itertools
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
EVENT_COUNT = 100
"""Events that one publication makes."""
EVENT_DATA = pattern(64).replace(b"\n", b" ")
GREETING_SIZE = 32

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


def numbered_text(number: int, size: int) -> str:
    """Returns a message of `size` characters: its number, and what makes up the length."""
    return f"{number:08x}{pattern(size - 8).decode()}"


def numbered_event(number: int) -> bytes:
    """Returns an event as it goes over the wire."""
    return b"id: %08x\ndata: %b\n\n" % (number, EVENT_DATA)


EVENT_NUMBERS = itertools.count(1)
SUBSCRIBERS: set[asyncio.Queue[bytes]] = set()
MEMBERS: set[Send] = set()


async def until_gone(receive: Receive, queue: asyncio.Queue[bytes]) -> None:
    """Waits for the end of the connection, and tells it by an empty event."""
    while (await receive())["type"] != "http.disconnect":
        pass
    queue.put_nowait(b"")


async def events(scope: Scope, receive: Receive, send: Send) -> None:
    """A stream of all events that are published from its first event, the greeting, on."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    gone = asyncio.ensure_future(until_gone(receive, queue))
    SUBSCRIBERS.add(queue)
    queue.put_nowait(numbered_event(0))
    try:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        while event := await queue.get():
            await send({"type": "http.response.body", "body": event, "more_body": True})
    finally:
        SUBSCRIBERS.discard(queue)
        gone.cancel()


def give_next_event() -> None:
    """Makes an event and gives it to all subscribers."""
    event = numbered_event(next(EVENT_NUMBERS))
    for queue in SUBSCRIBERS:
        queue.put_nowait(event)


async def publish(scope: Scope, receive: Receive, send: Send) -> None:
    """Makes events all at once: subscribers find them together."""
    for _ in range(EVENT_COUNT):
        give_next_event()
    await answer(send, b"%d" % EVENT_COUNT)


async def publish_singly(scope: Scope, receive: Receive, send: Send) -> None:
    """Makes events one by one: all subscribers have sent each before there is another."""
    for _ in range(EVENT_COUNT):
        give_next_event()
        await asyncio.sleep(0)
    await answer(send, b"%d" % EVENT_COUNT)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends back what comes."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        text = message.get("text")
        if text is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})


async def broadcast(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends what comes to everyone who has been greeted, as chat rooms do."""
    await receive()
    await send({"type": "websocket.accept"})
    MEMBERS.add(send)
    await send({"type": "websocket.send", "text": numbered_text(0, GREETING_SIZE)})
    try:
        while (message := await receive())["type"] == "websocket.receive":
            text = message["text"]
            for member in tuple(MEMBERS):
                await member({"type": "websocket.send", "text": text})
    finally:
        MEMBERS.discard(send)


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
    "/events": events,
    "/publish": publish,
    "/publish-singly": publish_singly,
}
WEBSOCKETS = {"/echo": echo, "/broadcast": broadcast}


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
    elif scope["type"] == "websocket":
        await WEBSOCKETS[scope["path"]](scope, receive, send)
    elif scope["type"] == "lifespan":
        await lifespan(receive, send)
