"""What the applications share: the addresses they all have, and the journal that tests read.

=========================== ==========================================================
``GET /json``               ``{"hello": "world"}``; also HEAD and OPTIONS
``GET /items/NAME?q=…&q=…`` ``{"name": NAME, "q": […]}``, both decoded
``POST /upload``            reads piece by piece: ``{"size", "sha256", "pieces", "largest"}``
``POST /form``              multipart ``title``, ``file``: ``{"title", "name", "size", "sha256"}``
``GET /stream``             `PIECES` lines, one message each
``GET /slow``               pieces without end
``GET /files/big.bin``      the file in the folder that ``TEST_FILES`` names
``GET /state``              ``{"state": …}``: what the start of the application left
``GET /error``              raises `Deliberate`
``GET /cookies``            sets two cookies
``GET /silent``             an event stream: one event `HELLO`, and then nothing, for ever
``GET /ticks``              an event stream: an event every hundredth of a second
``GET /cued``               an event stream: the Last-Event-ID of the request, and then what
                            the test gives to `cues`, one by one
``/ws/echo``                a WebSocket: what comes goes back, until the client leaves; the
                            journal then says ``left CODE``
``/ws/chosen``              accepts the subprotocol ``chat.v2``, adds a field, closes
``/ws/refused``             closes before it accepts
``/ws/denied``              refuses with a response of its own, if the framework can
``/ws/enough``              answers the first message by closing with `ENOUGH`
``/ws/flood``               sends without end and receives nothing
``/ws/broken``              raises `Deliberate` at the first message
``/ws/broken-early``        raises it before the accept
=========================== ==========================================================

The journal also says when a response or a WebSocket has ended, if the application is `watched`,
and when the source of an event stream has (``source ended``).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

PIECES = 100
COOKIES = {"first": "1", "second": "2"}
HELLO = "hello"
GREETING = {"x-greeting": "hello"}
PROTOCOL = "chat.v2"
ENOUGH = 4001, "enough"
DENIAL = 401, "log in first"


class Deliberate(Exception):
    """An error that a test wants."""


class Journal:
    """What the application noted, in order. Used from one event loop at a time."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._changed = asyncio.Event()

    def clear(self) -> None:
        """Begin a new test, which may have a new event loop."""
        self.notes = []
        self._changed = asyncio.Event()

    def note(self, what: str) -> None:
        """Note something; a process of its own prints it as well."""
        self.notes.append(what)
        self._changed.set()
        if "TEST_JOURNAL" in os.environ:
            os.write(1, f"note: {what}\n".encode())  # one piece: several workers write here

    async def until(self, what: str) -> None:
        """Wait until ``what`` was noted."""
        while what not in self.notes:
            self._changed.clear()
            await self._changed.wait()


journal = Journal()


class Cues:
    """What ``/cued`` is to send next, said by a test that runs in the same process."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin a new test, which may have a new event loop."""
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()

    def give(self, data: str) -> None:
        """Let the stream send one event."""
        self._queue.put_nowait(data)

    def fail(self) -> None:
        """Let the stream raise `Deliberate`."""
        self._queue.put_nowait(None)

    async def take(self) -> str:
        """Wait for what is to be sent."""
        data = await self._queue.get()
        if data is None:
            raise Deliberate
        return data


cues = Cues()


class Tally:
    """Counts and hashes an upload, and keeps nothing of it."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._size = 0
        self._pieces = 0
        self._largest = 0

    def add(self, piece: bytes) -> None:
        """Take one piece."""
        if not piece:
            return
        if not self._pieces:
            journal.note("upload began")
        self._digest.update(piece)
        self._size += len(piece)
        self._pieces += 1
        self._largest = max(self._largest, len(piece))

    def report(self) -> dict[str, Any]:
        """Return what was counted, as the answer to the upload."""
        return {
            "size": self._size,
            "sha256": self._digest.hexdigest(),
            "pieces": self._pieces,
            "largest": self._largest,
        }


def watched(app: Any) -> Any:
    """Wrap an application: the end of each call of it is noted, with the path it was for."""

    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        finally:
            if scope["type"] in ("http", "websocket"):
                journal.note(f"ended {scope['path']}")

    return wrapper


def form_report(title: str, name: str | None, content: bytes) -> dict[str, Any]:
    """Return the answer to a form."""
    digest = hashlib.sha256(content).hexdigest()
    return {"title": title, "name": name, "size": len(content), "sha256": digest}


async def pieces() -> AsyncIterator[bytes]:
    """Yield the pieces of a download."""
    for index in range(PIECES):
        yield b"piece %d\n" % index
        if index % 10 == 9:
            await asyncio.sleep(0)  # some without waiting in between, some with


async def slow_pieces() -> AsyncIterator[bytes]:
    """Yield until somebody ends it."""
    while True:
        yield b"still here\n"
        await asyncio.sleep(0.01)


async def hello_and_silence() -> AsyncIterator[str]:
    """Yield the data of one event, and then wait for nothing."""
    try:
        yield HELLO
        await asyncio.Event().wait()
    finally:
        journal.note("source ended")


async def ticks() -> AsyncIterator[str]:
    """Yield the data of events until somebody ends it."""
    number = 0
    try:
        while True:
            yield f"tick {number}"
            number += 1
            await asyncio.sleep(0.01)
    finally:
        journal.note("source ended")


async def cued(last_id: str | None) -> AsyncIterator[str]:
    """Yield what the client has seen last, and then what `cues` are given."""
    yield last_id or "nothing"
    while True:
        yield await cues.take()


async def encoded(events: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """Encode events, for a framework that has nothing for it."""
    async for data in events:
        yield f"data: {data}\n\n".encode()


def files() -> Path:
    """Return the folder of the files that are served."""
    return Path(os.environ["TEST_FILES"])


def big_file() -> Path:
    """Return the file that ``/files/big.bin`` serves."""
    return files() / "big.bin"
