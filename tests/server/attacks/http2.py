"""Frames of HTTP/2 as a hostile client would send them, on the connection of `wire`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import hpack

from tests.server.attacks.site import Site
from tests.server.attacks.wire import PATIENCE, Wire

__all__ = ["GET", "PREFACE", "Frame", "Peer", "frame", "peer"]

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NAMES: Final = (
    *("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY"),
    *("WINDOW_UPDATE", "CONTINUATION"),
)
CODES: Final = (
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT"),
    *("STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR"),
    *("CONNECT_ERROR", "ENHANCE_YOUR_CALM"),
)

GET: Final = (
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "h"),
    (":path", "/"),
)
Fields = Sequence[tuple[str | bytes, str | bytes]]

END_STREAM: Final = 1
ACK: Final = 1
END_HEADERS: Final = 4
HAS_PRIORITY: Final = 32


def frame(kind: str, stream: int = 0, flags: int = 0, payload: bytes = b"") -> bytes:
    """Return a frame, right or wrong."""
    return b"%b%b%b" % (
        len(payload).to_bytes(3, "big") + bytes((NAMES.index(kind), flags)),
        stream.to_bytes(4, "big"),
        payload,
    )


@dataclass
class Frame:
    """One frame of the server; ``fields`` are those of a header section."""

    kind: str
    flags: int
    stream: int
    payload: bytes
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The error code of GOAWAY or RST_STREAM."""
        at = 4 if self.kind == "GOAWAY" else 0
        return CODES[int.from_bytes(self.payload[at : at + 4], "big")]

    @property
    def ends(self) -> bool:
        """Whether nothing follows on its stream."""
        return self.kind in ("DATA", "HEADERS") and bool(self.flags & END_STREAM)


class Peer:
    """A connection that has begun, and a client that keeps to no rule but by hand."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.seen: list[Frame] = []

    async def send(self, *frames: bytes) -> bool:
        """Send frames in one piece; tell whether the server let us."""
        return await self.wire.send(b"".join(frames))

    def headers(
        self, stream: int, fields: Fields = GET, flags: int = END_STREAM | END_HEADERS
    ) -> bytes:
        """Return a HEADERS frame."""
        return frame("HEADERS", stream, flags, self.encoder.encode(list(fields)))

    async def next(self) -> Frame | None:
        """Return the next frame; ``None`` at the end of the connection."""
        waiting = self.wire
        while len(waiting.waiting) < 9 or len(waiting.waiting) < 9 + self._length():
            data = await waiting.receive()
            if not data:
                return None
            waiting.waiting += data
        head, size = waiting.waiting[:9], self._length()
        payload = waiting.waiting[9 : 9 + size]
        waiting.waiting = waiting.waiting[9 + size :]
        kind = NAMES[head[3]] if head[3] < len(NAMES) else f"0x{head[3]:x}"
        found = Frame(kind, head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, payload)
        if found.kind == "HEADERS":
            found.fields = {str(n): str(v) for n, v in self.decoder.decode(payload)}
        self.seen.append(found)
        return found

    def _length(self) -> int:
        return int.from_bytes(self.wire.waiting[:3], "big")

    async def until(self, kind: str, stream: int | None = None) -> Frame:
        """Read up to a frame of this kind."""
        while True:
            found = await self.next()
            assert found is not None, f"the connection ended before {kind}: {self.seen[-5:]}"
            if found.kind == kind and stream in (None, found.stream):
                return found

    async def answer(self, stream: int) -> tuple[int, bytes]:
        """Read one response: its status and its body."""
        status, body = 0, b""
        while True:
            found = await self.next()
            assert found is not None, f"the connection ended: {self.seen[-5:]}"
            if found.stream != stream:
                continue
            assert found.kind != "RST_STREAM", found.code
            if found.kind == "HEADERS":
                status = int(found.fields.get(":status", status))
            elif found.kind == "DATA":
                body += found.payload
            if found.ends:
                return status, body

    async def reset_of(self, stream: int) -> str:
        """Read up to the reset of a stream; return its code."""
        return (await self.until("RST_STREAM", stream)).code

    async def end(self) -> str:
        """Read to the end of the connection; return the code of its last GOAWAY, or nothing."""
        while await self.next() is not None:
            continue
        goaways = [found for found in self.seen if found.kind == "GOAWAY"]
        return goaways[-1].code if goaways else ""

    async def flood(self, data: bytes, times: int) -> int:
        """Send ``data`` again and again until the server will not have it; read meanwhile.

        Returns:
            how many times it went.
        """
        reading = asyncio.ensure_future(self.end())
        sent = 0
        try:
            async with asyncio.timeout(PATIENCE):
                while sent < times and not reading.done():
                    if not await self.send(data):
                        break
                    sent += 1
                await reading
        finally:
            reading.cancel()
        return sent

    def goaway(self) -> str:
        """Return the code of the last GOAWAY seen, or nothing."""
        return next((found.code for found in reversed(self.seen) if found.kind == "GOAWAY"), "")


@asynccontextmanager
async def peer(site: Site, settings: bytes = b"") -> AsyncIterator[Peer]:
    """Open a connection and exchange SETTINGS."""
    async with await site.open() as wire:
        client = Peer(wire)
        await client.send(PREFACE, frame("SETTINGS", payload=settings))
        await client.until("SETTINGS")
        await client.send(frame("SETTINGS", flags=ACK))
        yield client
