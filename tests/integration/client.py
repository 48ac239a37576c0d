"""An HTTP/1.1 client over h11, which is strict about every byte of the answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h11

Fields = list[tuple[bytes, bytes]]


@dataclass
class Answer:
    """One response; ``chunks`` counts the chunks of a chunked body."""

    status: int
    fields: Fields
    informational: list[h11.InformationalResponse] = field(default_factory=list)
    body: bytes = b""
    chunks: int = 0
    trailers: Fields = field(default_factory=list)

    def all(self, name: bytes) -> list[bytes]:
        """Return the values of all fields of a name, in their order."""
        return [value for found, value in self.fields if found == name]

    def one(self, name: bytes) -> bytes | None:
        """Return the value of a field that comes at most once."""
        values = self.all(name)
        assert len(values) < 2, f"several {name!r}"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Client:
    """One connection; requests follow each other on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)

    async def ask(
        self,
        method: str,
        target: str,
        fields: Iterable[tuple[bytes, bytes]] = (),
        body: bytes | AsyncIterable[bytes] = b"",
    ) -> Answer:
        """Send a request and read the whole answer.

        A body that comes in pieces is sent chunked, unless ``fields`` say how long it is.
        """
        await self.begin(method, target, fields, body)
        return await self.rest(await self.head())

    async def begin(
        self,
        method: str,
        target: str,
        fields: Iterable[tuple[bytes, bytes]] = (),
        body: bytes | AsyncIterable[bytes] = b"",
        *,
        end: bool = True,
    ) -> None:
        """Send a request; without ``end`` its body is left open."""
        head: Fields = [(b"host", b"localhost"), *fields]
        names = {name for name, _ in head}
        framed = names & {b"content-length", b"transfer-encoding"}
        if isinstance(body, bytes):
            if body and not framed:
                head.append((b"content-length", b"%d" % len(body)))
        elif not framed:
            head.append((b"transfer-encoding", b"chunked"))
        self._next_cycle()
        await self._send(h11.Request(method=method, target=target, headers=head))
        if isinstance(body, bytes):
            if body:
                await self._send(h11.Data(data=body))
        else:
            async for piece in body:
                await self._send(h11.Data(data=piece))
        if end:
            await self._send(h11.EndOfMessage())

    async def head(self) -> Answer:
        """Read up to the final head of the answer."""
        informational = []
        while not isinstance(event := await self.event(), h11.Response):
            assert isinstance(event, h11.InformationalResponse), event
            informational.append(event)
        return Answer(event.status_code, list(event.headers), informational)

    async def piece(self) -> bytes | None:
        """Read some bytes of the body; ``None`` at its end."""
        event = await self.event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def rest(self, answer: Answer) -> Answer:
        """Read the body to its end."""
        parts = []
        while isinstance(event := await self.event(), h11.Data):
            parts.append(bytes(event.data))
            answer.chunks += event.chunk_start
        assert isinstance(event, h11.EndOfMessage), event
        answer.body = b"".join(parts)
        answer.trailers = list(event.headers)
        return answer

    def leave(self) -> None:
        """Go away without a word."""
        self.writer.close()

    def _next_cycle(self) -> None:
        if self.machine.our_state is not h11.IDLE:
            self.machine.start_next_cycle()

    async def _send(self, event: h11.Event) -> None:
        data = self.machine.send(event)
        if data:
            self.writer.write(data)
            await self.writer.drain()

    async def event(self) -> Any:
        """Read the next event of the answer."""
        while (event := self.machine.next_event()) is h11.NEED_DATA:
            self.machine.receive_data(await self.reader.read(1 << 16))
        return event


@asynccontextmanager
async def connected(port: int | None) -> AsyncIterator[Client]:
    """Connect to a port of this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


async def ask(port: int | None, method: str, target: str, **more: Any) -> Answer:
    """Ask once on a connection of its own."""
    async with connected(port) as client:
        return await client.ask(method, target, **more)


async def raw(port: int | None, data: bytes) -> bytes:
    """Send bytes as they are and read until the server closes."""
    async with connected(port) as client:
        client.writer.write(data)
        return await client.reader.read()
