"""What the cases of the conformance suite are made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tests.server.attacks.http2 import ACK, GET, Fields, Peer, frame

__all__ = [
    "CONTINUATION",
    "FILLER",
    "POST",
    "Case",
    "acked",
    "answered",
    "block",
    "connection",
    "one_byte",
    "ping",
    "pong",
    "pong_or_end",
    "priority",
    "reset",
    "settings",
    "stream",
    "window",
]

Build = Callable[[Peer], list[bytes]]
Seen = Callable[[Peer], Awaitable[None]]

POST: Final = ((":method", "POST"), *GET[1:])
FILLER: Final = (("x-filler", "y" * 100),)
PING: Final = b"fence\0\0\0"
#: Flags of a header section that goes on.
CONTINUATION: Final = 0


@dataclass(frozen=True)
class Case:
    """What is sent to a server whose SETTINGS have come, and what must be seen then.

    Attributes:
        section: of RFC 9113 (or 7541), and a number.
        says: what is sent.
        build: makes the frames.
        seen: reads on and checks.
        raw: nothing was exchanged before.
    """

    section: str
    says: str
    build: Build
    seen: Seen
    raw: bool = False

    @property
    def name(self) -> str:
        """For the test's name."""
        return f"{self.section} {self.says}"


# --- what is sent ----------------------------------------------------------------------------


def block(client: Peer, fields: Fields = GET) -> bytes:
    """Return a header section."""
    return client.encoder.encode(list(fields))


def window(increment: int, number: int = 0) -> bytes:
    """Return a WINDOW_UPDATE frame."""
    return frame("WINDOW_UPDATE", number, payload=increment.to_bytes(4, "big"))


def reset(number: int, code: int = 8) -> bytes:
    """Return an RST_STREAM frame."""
    return frame("RST_STREAM", number, payload=code.to_bytes(4, "big"))


def priority(number: int, parent: int = 0, weight: int = 255) -> bytes:
    """Return a PRIORITY frame."""
    return frame("PRIORITY", number, payload=parent.to_bytes(4, "big") + bytes((weight,)))


def settings(*entries: tuple[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    parts = [number.to_bytes(2, "big") + value.to_bytes(4, "big") for number, value in entries]
    return frame("SETTINGS", payload=b"".join(parts))


def ping() -> bytes:
    """Return a PING frame."""
    return frame("PING", payload=PING)


# --- what is seen ----------------------------------------------------------------------------


def connection(*codes: str) -> Seen:
    """The connection ends with GOAWAY and one of these codes."""

    async def seen(client: Peer) -> None:
        assert await client.end() in codes

    return seen


def stream(*codes: str, number: int = 1) -> Seen:
    """The stream is reset with one of these codes, or the connection ends with it."""

    async def seen(client: Peer) -> None:
        while found := await client.next():
            if found.kind == "RST_STREAM" and found.stream == number:
                assert found.code in codes
                return
        assert client.goaway() in codes

    return seen


async def answered(client: Peer) -> None:
    """Stream 1 is answered."""
    found = await client.until("HEADERS", 1)
    assert found.fields[":status"] == "200"


async def pong(client: Peer) -> None:
    """The PING is answered."""
    while True:
        found = await client.until("PING")
        if found.flags & ACK and found.payload == PING:
            return


async def pong_or_end(client: Peer) -> None:
    """The PING is answered, or the connection ends."""
    while found := await client.next():
        if found.kind == "PING" and found.flags & ACK and found.payload == PING:
            return


async def acked(client: Peer) -> None:
    """SETTINGS are acknowledged twice: the first ones, and those of the case."""
    for _ in range(2):
        while not (await client.until("SETTINGS")).flags & ACK:
            continue


async def one_byte(client: Peer) -> None:
    """The first DATA frame of stream 1 has one byte."""
    found = await client.until("DATA", 1)
    assert len(found.payload) == 1
