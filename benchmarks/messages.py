"""What is exchanged on connections that stay open: WebSocket messages, or events of a stream."""

from __future__ import annotations

import enum
import zlib
from dataclasses import dataclass

from benchmarks.apps import numbered_event, numbered_text

SYNC_TAIL = b"\x00\x00\xff\xff"
"""What a sender of compressed messages leaves away (RFC 7692, section 7.2.1)."""
SMALLEST_WINDOW = 9
"""Bits: whatever window a server asks for, it has room for what was compressed with this one."""


class Flow(enum.Enum):
    """Whose messages they are; the values are modes of `load_messages.c`."""

    TEXT = "text"
    BINARY = "binary"
    DEFLATE = "deflate"
    BROADCAST = "broadcast"
    EVENTS = "events"


TARGETS = {Flow.EVENTS: b"/events", Flow.BROADCAST: b"/broadcast"}
"""Path of the endpoint in `apps.py`, where it is not the echo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """The messages of a scenario.

    Attributes:
        size: Bytes of each; events have a size of their own.
        count: How many are in flight on each connection, or published by one request.
        singly: Whether those published by one request come one by one, not all at once.
    """

    flow: Flow
    size: int = 0
    count: int = 1
    singly: bool = False

    @property
    def counted(self) -> str:
        """What one of them is called."""
        return "event" if self.flow is Flow.EVENTS else "message"

    @property
    def websocket(self) -> bool:
        """Whether they are WebSocket messages."""
        return self.flow is not Flow.EVENTS

    def first(self) -> bytes:
        """Returns the message with the number zero."""
        if self.flow is Flow.EVENTS:
            return numbered_event(0)
        return numbered_text(0, self.size).encode()

    def opening(self, port: int) -> bytes:
        """Returns the request that opens a connection; the key is that of RFC 6455, section 1.3."""
        lines = [
            b"GET %b HTTP/1.1" % TARGETS.get(self.flow, b"/echo"),
            b"Host: 127.0.0.1:%d" % port,
        ]
        if self.websocket:
            lines += [
                b"Connection: Upgrade",
                b"Upgrade: websocket",
                b"Sec-WebSocket-Version: 13",
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ]
        else:
            lines.append(b"Accept: text/event-stream")
        if self.flow is Flow.DEFLATE:
            offer = b"permessage-deflate; client_max_window_bits"  # as browsers write it
            lines.append(b"Sec-WebSocket-Extensions: " + offer)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def supplement(self, port: int) -> bytes:
        """Returns what else the flow needs: a compressed message, or the request for events."""
        if self.flow is Flow.DEFLATE:
            compressor = zlib.compressobj(wbits=-SMALLEST_WINDOW)
            packed = compressor.compress(self.first()) + compressor.flush(zlib.Z_SYNC_FLUSH)
            return packed.removesuffix(SYNC_TAIL)
        if self.flow is Flow.EVENTS:
            lines = (
                b"POST %b HTTP/1.1" % (b"/publish-singly" if self.singly else b"/publish"),
                b"Host: 127.0.0.1:%d" % port,
                b"Content-Length: 0",
            )
            return b"\r\n".join(lines) + b"\r\n\r\n"
        return b""
