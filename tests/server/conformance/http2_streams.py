"""RFC 9113 §3 to §5: the preface, frames, states of streams."""

from __future__ import annotations

from typing import Final

from tests.server.attacks.http2 import (
    END_HEADERS,
    END_STREAM,
    GET,
    HAS_PRIORITY,
    PREFACE,
    Peer,
    frame,
)
from tests.server.conformance.cases import (
    CONTINUATION,
    FILLER,
    POST,
    Case,
    answered,
    block,
    connection,
    ping,
    pong,
    pong_or_end,
    priority,
    reset,
    settings,
    stream,
    window,
)

__all__ = ["CASES"]

#: A stream whose request has a body to come, and one whose request is whole.
OPEN: Final = END_HEADERS
WHOLE: Final = END_HEADERS | END_STREAM
UNKNOWN: Final = b"\0\0\x08\x16\0\0\0\0\0" + bytes(8)
CLOSED: Final = connection("STREAM_CLOSED")
WRONG: Final = connection("PROTOCOL_ERROR")


async def settings_first(client: Peer) -> None:
    """The server's first frame is SETTINGS."""
    found = await client.next()
    assert found is not None
    assert (found.kind, found.flags) == ("SETTINGS", 0)


async def gone(client: Peer) -> None:
    """The connection ends; what is not HTTP/2 may be answered in HTTP/1."""
    await client.wire.rest()


def opened(client: Peer, flags: int = OPEN, number: int = 1) -> bytes:
    """Return the head of a POST."""
    return client.headers(number, POST, flags)


def headers_depending(client: Peer, number: int, parent: int) -> bytes:
    """Return HEADERS with a priority."""
    payload = parent.to_bytes(4, "big") + b"\xff" + block(client)
    return frame("HEADERS", number, WHOLE | HAS_PRIORITY, payload)


def large_section(client: Peer) -> bytes:
    """Return HEADERS that are larger than a frame may be."""
    filler = [(f"x-filler-{number}", "z" * 5000) for number in range(6)]
    return frame("HEADERS", 1, WHOLE, block(client, (*GET, *filler)))


CASES: Final = [
    Case(
        "3.4/1",
        "a preface, and nothing before it",
        lambda c: [PREFACE, settings((4, 65_535))],
        settings_first,
        raw=True,
    ),
    Case("3.4/2", "no preface", lambda c: [b"INVALID PREFACE\r\n\r\n"], gone, raw=True),
    Case("4.1/1", "a frame of a type that is unknown", lambda c: [UNKNOWN, ping()], pong),
    Case(
        "4.1/2", "flags that are unknown", lambda c: [frame("PING", 0, 0x16, b"fence\0\0\0")], pong
    ),
    Case(
        "4.1/3",
        "the reserved bit",
        lambda c: [frame("PING", 1 << 31, 0, b"fence\0\0\0")],
        pong,
    ),
    Case(
        "4.2/1",
        "the largest DATA frame that is allowed",
        lambda c: [opened(c), frame("DATA", 1, END_STREAM, bytes(16_384))],
        answered,
    ),
    Case(
        "4.2/2",
        "a DATA frame that is too large",
        lambda c: [opened(c), frame("DATA", 1, END_STREAM, bytes(16_385))],
        stream("FRAME_SIZE_ERROR"),
    ),
    Case(
        "4.2/3",
        "a HEADERS frame that is too large",
        lambda c: [large_section(c)],
        connection("FRAME_SIZE_ERROR"),
    ),
    Case(
        "4.3/1",
        "a section that cannot be decoded",
        lambda c: [frame("HEADERS", 1, WHOLE, b"\x40")],
        connection("COMPRESSION_ERROR"),
    ),
    Case(
        "4.3/2",
        "PRIORITY within a section",
        lambda c: [
            frame("HEADERS", 1, CONTINUATION, block(c)),
            priority(1),
            frame("CONTINUATION", 1, END_HEADERS, block(c, FILLER)),
        ],
        WRONG,
    ),
    Case(
        "4.3/3",
        "HEADERS of another stream within a section",
        lambda c: [frame("HEADERS", 1, CONTINUATION, block(c)), c.headers(3)],
        WRONG,
    ),
    Case("5.1.1/1", "a stream of an even number", lambda c: [c.headers(2)], WRONG),
    Case(
        "5.1.1/2",
        "a stream of a lower number",
        lambda c: [c.headers(5), c.headers(3)],
        WRONG,
    ),
    Case(
        "5.1.2/1",
        "more streams than are allowed",
        lambda c: [settings((4, 0)), *(c.headers(number) for number in range(1, 203, 2))],
        stream("PROTOCOL_ERROR", "REFUSED_STREAM", number=201),
    ),
    Case("5.1/1", "idle: DATA", lambda c: [frame("DATA", 1, END_STREAM, b"test")], WRONG),
    Case("5.1/2", "idle: RST_STREAM", lambda c: [reset(1)], WRONG),
    Case("5.1/3", "idle: WINDOW_UPDATE", lambda c: [window(100, 1)], WRONG),
    Case("5.1/4", "idle: CONTINUATION", lambda c: [frame("CONTINUATION", 1, 4, block(c))], WRONG),
    Case(
        "5.1/5",
        "half-closed (remote): DATA",
        lambda c: [c.headers(1), frame("DATA", 1, END_STREAM, b"test")],
        stream("STREAM_CLOSED"),
    ),
    Case(
        "5.1/6",
        "half-closed (remote): HEADERS",
        lambda c: [c.headers(1), c.headers(1)],
        stream("STREAM_CLOSED"),
    ),
    Case(
        "5.1/7",
        "half-closed (remote): CONTINUATION",
        lambda c: [c.headers(1), frame("CONTINUATION", 1, END_HEADERS, block(c))],
        stream("STREAM_CLOSED", "PROTOCOL_ERROR"),
    ),
    Case(
        "5.1/8",
        "closed by RST_STREAM: DATA",
        lambda c: [opened(c), reset(1), frame("DATA", 1, END_STREAM, b"test")],
        CLOSED,
    ),
    Case(
        "5.1/9",
        "closed by RST_STREAM: HEADERS",
        lambda c: [opened(c), reset(1), c.headers(1)],
        CLOSED,
    ),
    Case(
        "5.1/10",
        "closed by RST_STREAM: CONTINUATION",
        lambda c: [opened(c), reset(1), frame("CONTINUATION", 1, END_HEADERS, block(c, FILLER))],
        connection("STREAM_CLOSED", "PROTOCOL_ERROR"),
    ),
    Case(
        "5.1/14",
        "half-closed (remote): WINDOW_UPDATE",
        lambda c: [settings((4, 0)), c.headers(1), window(1, 1), window(100, 1)],
        answered,
    ),
    Case(
        "5.1/15",
        "half-closed (remote): PRIORITY",
        lambda c: [settings((4, 0)), c.headers(1), priority(1), window(100, 1)],
        answered,
    ),
    Case(
        "5.1/16",
        "half-closed (remote): RST_STREAM",
        lambda c: [c.headers(1), reset(1), ping()],
        pong_or_end,
    ),
    Case("5.1/17", "closed: PRIORITY", lambda c: [c.headers(1), priority(1), ping()], pong),
    Case("5.1/18", "idle: PRIORITY", lambda c: [priority(1), ping()], pong),
    Case("5.3/1", "HEADERS that need themselves", lambda c: [headers_depending(c, 1, 1)], WRONG),
    Case("5.3/2", "PRIORITY that depends on itself", lambda c: [priority(1, 1)], WRONG),
    Case("5.3/3", "HEADERS with a priority", lambda c: [headers_depending(c, 1, 0)], answered),
    Case("5.3/4", "the least weight", lambda c: [priority(1, 0, 0), c.headers(1)], answered),
    Case("5.3/5", "the greatest weight", lambda c: [priority(1), c.headers(1)], answered),
    Case("5.3/6", "a dependency", lambda c: [priority(3, 1, 0), c.headers(1)], answered),
    Case("5.3/7", "an exclusive one", lambda c: [priority(1, 1 << 31, 0), c.headers(1)], answered),
    Case(
        "5.3/8",
        "PRIORITY of an idle stream, then HEADERS of a lower one",
        lambda c: [priority(3), c.headers(1)],
        answered,
    ),
    Case(
        "5.4.1/1",
        "a PING on a stream: GOAWAY, and the end",
        lambda c: [frame("PING", 3, 0, bytes(8))],
        WRONG,
    ),
    Case("5.5/1", "an unknown frame", lambda c: [UNKNOWN, ping()], pong),
    Case(
        "5.5/2",
        "an unknown frame within a section",
        lambda c: [frame("HEADERS", 1, END_STREAM, block(c)), UNKNOWN],
        WRONG,
    ),
]
