"""RFC 9113 §6 and §7: the frames, one by one."""

from __future__ import annotations

import itertools
from typing import Final

from tests.server.attacks.http2 import ACK, END_HEADERS, END_STREAM, GET, Peer, frame
from tests.server.conformance.cases import (
    CONTINUATION,
    FILLER,
    POST,
    Case,
    acked,
    answered,
    block,
    connection,
    one_byte,
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

WHOLE: Final = END_HEADERS | END_STREAM
PADDED: Final = 8
WRONG: Final = connection("PROTOCOL_ERROR")
TOO_LONG: Final = connection("FRAME_SIZE_ERROR")
OVERFLOW: Final = connection("FLOW_CONTROL_ERROR")
MOST: Final = 2**31 - 1


def more(client: Peer, number: int = 1, flags: int = END_HEADERS) -> bytes:
    """Return a CONTINUATION frame."""
    return frame("CONTINUATION", number, flags, block(client, FILLER))


def begun(client: Peer, flags: int = END_STREAM) -> bytes:
    """Return HEADERS whose section goes on."""
    return frame("HEADERS", 1, flags | CONTINUATION, block(client))


def halves(client: Peer, *cuts: int) -> list[bytes]:
    """Return one header section in several frames."""
    whole = block(client, (*GET, *FILLER))
    edges = [0, *cuts, len(whole)]
    parts = [whole[a:b] for a, b in itertools.pairwise(edges)]
    frames = [frame("HEADERS", 1, END_STREAM, parts[0])]
    frames += [frame("CONTINUATION", 1, 0, part) for part in parts[1:-1]]
    return [*frames, frame("CONTINUATION", 1, END_HEADERS, parts[-1])]


def opened(client: Peer, flags: int = END_HEADERS) -> bytes:
    """Return the head of a POST."""
    return client.headers(1, POST, flags)


def padded(client: Peer, length: int) -> bytes:
    """Return HEADERS that claim so much padding, and have 8 bytes of it."""
    return frame("HEADERS", 1, WHOLE | PADDED, bytes((length,)) + block(client) + bytes(8))


CASES: Final = [
    Case("6.1/1", "DATA on stream 0", lambda c: [frame("DATA", 0, 1, b"test")], WRONG),
    Case(
        "6.1/2",
        "DATA behind the end of a request",
        lambda c: [opened(c, WHOLE), frame("DATA", 1, 1, b"test")],
        stream("STREAM_CLOSED"),
    ),
    Case(
        "6.1/3",
        "DATA with more padding than payload",
        lambda c: [opened(c), frame("DATA", 1, PADDED | END_STREAM, b"\x06test")],
        WRONG,
    ),
    Case("6.1/4", "DATA", lambda c: [opened(c), frame("DATA", 1, 1, b"test")], answered),
    Case(
        "6.1/5",
        "several DATA frames",
        lambda c: [opened(c), frame("DATA", 1, 0, b"test"), frame("DATA", 1, 1, b"test")],
        answered,
    ),
    Case(
        "6.1/6",
        "DATA with padding",
        lambda c: [opened(c), frame("DATA", 1, PADDED | END_STREAM, b"\x05test" + bytes(5))],
        answered,
    ),
    Case(
        "6.2/1",
        "PRIORITY within a section",
        lambda c: [begun(c, 0), priority(1), more(c)],
        WRONG,
    ),
    Case(
        "6.2/2",
        "HEADERS of another stream within a section",
        lambda c: [begun(c, 0), c.headers(3), more(c)],
        WRONG,
    ),
    Case("6.2/3", "HEADERS on stream 0", lambda c: [c.headers(0)], WRONG),
    Case("6.2/4", "HEADERS with more padding than payload", lambda c: [padded(c, 250)], WRONG),
    Case("6.2/5", "HEADERS", lambda c: [c.headers(1)], answered),
    Case("6.2/6", "HEADERS with padding", lambda c: [padded(c, 8)], answered),
    Case("6.3/1", "PRIORITY on stream 0", lambda c: [priority(0)], WRONG),
    Case(
        "6.3/2",
        "PRIORITY of another length",
        lambda c: [c.headers(1), frame("PRIORITY", 1, 0, b"\x80\0\0\x01")],
        stream("FRAME_SIZE_ERROR"),
    ),
    Case("6.4/1", "RST_STREAM on stream 0", lambda c: [reset(0)], WRONG),
    Case("6.4/2", "RST_STREAM on an idle stream", lambda c: [reset(1)], WRONG),
    Case(
        "6.4/3",
        "RST_STREAM of another length",
        lambda c: [c.headers(1), frame("RST_STREAM", 1, 0, bytes(3))],
        TOO_LONG,
    ),
    Case("6.4/4", "RST_STREAM", lambda c: [opened(c), reset(1), ping()], pong_or_end),
    Case(
        "6.5/1",
        "an acknowledgement with a payload",
        lambda c: [frame("SETTINGS", 0, ACK, b"\0")],
        TOO_LONG,
    ),
    Case(
        "6.5/2",
        "SETTINGS on a stream",
        lambda c: [frame("SETTINGS", 1, 0, b"\0\x03\0\0\0\x64")],
        WRONG,
    ),
    Case(
        "6.5/3",
        "SETTINGS of another length",
        lambda c: [frame("SETTINGS", 0, 0, bytes(3))],
        TOO_LONG,
    ),
    Case("6.5.2/1", "ENABLE_PUSH that is neither 0 nor 1", lambda c: [settings((2, 2))], WRONG),
    Case("6.5.2/2", "INITIAL_WINDOW_SIZE too large", lambda c: [settings((4, 1 << 31))], OVERFLOW),
    Case("6.5.2/3", "MAX_FRAME_SIZE too small", lambda c: [settings((5, 16_383))], WRONG),
    Case("6.5.2/4", "MAX_FRAME_SIZE too large", lambda c: [settings((5, 1 << 24))], WRONG),
    Case("6.5.2/5", "an unknown setting", lambda c: [settings((0xFF, 1)), ping()], pong),
    Case(
        "6.5.3/1",
        "one setting twice: the last counts",
        lambda c: [settings((4, 100), (4, 1)), c.headers(1)],
        one_byte,
    ),
    Case("6.5.3/2", "SETTINGS are acknowledged", lambda c: [settings((2, 0))], acked),
    Case(
        "6.5.3/3",
        "all settings",
        lambda c: [settings((1, 4096), (2, 1), (3, 100), (4, 65_535), (5, 16_384), (6, 100))],
        acked,
    ),
    Case("6.7/1", "PING", lambda c: [ping()], pong),
    Case(
        "6.7/2",
        "an acknowledgement that nobody asked for",
        lambda c: [frame("PING", 0, ACK, b"unwanted"), ping()],
        pong,
    ),
    Case("6.7/3", "PING on a stream", lambda c: [frame("PING", 1, 0, bytes(8))], WRONG),
    Case("6.7/4", "PING of another length", lambda c: [frame("PING", 0, 0, bytes(6))], TOO_LONG),
    Case("6.8/1", "GOAWAY on a stream", lambda c: [frame("GOAWAY", 1, 0, bytes(8))], WRONG),
    Case(
        "6.8/2",
        "GOAWAY",
        lambda c: [frame("GOAWAY", 0, 0, bytes(8) + b"bye"), ping()],
        pong_or_end,
    ),
    Case("6.9/1", "an increment of nothing", lambda c: [window(0)], WRONG),
    Case(
        "6.9/2",
        "the same on a stream",
        lambda c: [opened(c), window(0, 1)],
        stream("PROTOCOL_ERROR"),
    ),
    Case(
        "6.9/3",
        "WINDOW_UPDATE of another length",
        lambda c: [frame("WINDOW_UPDATE", 0, 0, bytes(3))],
        TOO_LONG,
    ),
    Case("6.9/4", "WINDOW_UPDATE", lambda c: [window(1), ping()], pong),
    Case("6.9/5", "the same on a stream", lambda c: [c.headers(1), window(1, 1)], answered),
    Case("6.9.1/1", "a window of one byte", lambda c: [settings((4, 1)), c.headers(1)], one_byte),
    Case("6.9.1/2", "a window that overflows", lambda c: [window(MOST), window(MOST)], OVERFLOW),
    Case(
        "6.9.1/3",
        "the same on a stream",
        lambda c: [opened(c), window(MOST, 1), window(MOST, 1)],
        stream("FLOW_CONTROL_ERROR"),
    ),
    Case(
        "6.9.2/1",
        "a window that is changed under a response",
        lambda c: [settings((4, 0)), c.headers(1), settings((4, 1))],
        one_byte,
    ),
    Case(
        "6.9.2/2",
        "a window that becomes negative",
        lambda c: [settings((4, 0)), c.headers(1), window(3, 1), settings((4, 0)), ping()],
        pong,
    ),
    Case(
        "6.9.2/3",
        "an initial window that is too large",
        lambda c: [frame("SETTINGS", 0, 0, b"\0\x04\x80\0\0\0")],
        OVERFLOW,
    ),
    Case("6.10/1", "one CONTINUATION", lambda c: halves(c, 5), answered),
    Case("6.10/2", "several", lambda c: halves(c, 5, 10), answered),
    Case(
        "6.10/3",
        "CONTINUATION and DATA",
        lambda c: [begun(c, 0), more(c, 1, 0), frame("DATA", 1, 1, b"test")],
        WRONG,
    ),
    Case("6.10/4", "CONTINUATION on stream 0", lambda c: [begun(c), more(c, 0)], WRONG),
    Case("6.10/5", "CONTINUATION behind END_HEADERS", lambda c: [c.headers(1), more(c)], WRONG),
    Case(
        "6.10/6",
        "CONTINUATION behind the last CONTINUATION",
        lambda c: [begun(c), more(c), more(c)],
        WRONG,
    ),
    Case(
        "6.10/7",
        "CONTINUATION behind DATA",
        lambda c: [opened(c), frame("DATA", 1, 0, b"test"), more(c)],
        WRONG,
    ),
    Case(
        "7/1",
        "GOAWAY of an unknown code",
        lambda c: [frame("GOAWAY", 0, 0, bytes(4) + b"\0\0\0\xff"), ping()],
        pong_or_end,
    ),
    Case("7/2", "RST_STREAM, unknown code", lambda c: [opened(c), reset(1, 255), ping()], pong),
]
