"""What is measured: each scenario is one request, the right answer to it, and a kind of load.

Where messages are exchanged on connections that stay open, the request and its answer only show
that the server stands; what is measured are the messages.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from benchmarks.apps import (
    BIG_SIZE,
    CHUNK,
    CHUNK_COUNT,
    EVENT_COUNT,
    GREETING_SIZE,
    TEN_KIB,
    pattern,
)
from benchmarks.messages import Flow, Messages

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_SIZES: Mapping[str, int] = MappingProxyType({"100k.bin": 100 * 1024, "10m.bin": BIG_SIZE})
"""Bytes of each static file."""

HELLO = b"Hello, World!"
LARGEST_COMPARED = 100 * 1024
"""Bytes: longer answers are compared once at the start; under load only their length counts."""

BROWSER_FIELDS = (
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    b"Accept-Language: en-GB,en;q=0.7,de;q=0.3",
    b"Accept-Encoding: gzip, deflate, br, zstd",
    b"Connection: keep-alive",
    b"Referer: http://127.0.0.1/articles/2026/interfaces",
    b"Cookie: session=9f2c7a1be04d4c6f8a53; theme=dark; consent=necessary",
    b"Upgrade-Insecure-Requests: 1",
    b"Sec-Fetch-Dest: document",
    b"Sec-Fetch-Mode: navigate",
    b"Sec-Fetch-Site: same-origin",
)
"""What a browser sends besides Host: twelve fields with it."""


class Kind(enum.Enum):
    """How a scenario loads the server, and what its figure is."""

    LOAD = "CPU µs"
    IDLE = "KiB/connection"
    START = "ms"


class Wire(enum.Enum):
    """What is spoken on the connection."""

    PLAIN = "HTTP/1.1"
    HTTPS = "HTTP/1.1 over TLS"
    H2C = "HTTP/2, prior knowledge"
    H2 = "HTTP/2 over TLS"

    @property
    def encrypted(self) -> bool:
        """Whether it is over TLS."""
        return self in (Wire.HTTPS, Wire.H2)


class Files(enum.Enum):
    """Which static file a scenario asks for."""

    SMALL = "100k.bin"
    LARGE = "10m.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of work.

    Attributes:
        name: What the command line and the results call it.
        title: What a reader calls it.
        answer: The body that the answer has to have, byte for byte.
        connections: How many are open at the same time.
        streamed: Whether the answer comes in chunks of unknown total length.
        close: Whether each request has a connection of its own.
        messages: What is exchanged on connections that stay open.
        wire: What is spoken.
        streams: How many requests are under way on each connection.
    """

    name: str
    title: str
    answer: bytes
    target: str = "/"
    connections: int = 64
    kind: Kind = Kind.LOAD
    browser: bool = False
    body: bytes = b""
    content_type: bytes = b"application/octet-stream"
    streamed: bool = False
    close: bool = False
    access_log: bool = False
    file: Files | None = None
    needs: str = ""
    messages: Messages | None = None
    wire: Wire = Wire.PLAIN
    streams: int = 1

    @property
    def counted(self) -> str:
        """What the load generator counts: requests, messages or events."""
        return self.messages.counted if self.messages else "request"

    @property
    def unit(self) -> str:
        """The unit of the figure."""
        return f"{self.kind.value}/{self.counted}" if self.kind is Kind.LOAD else self.kind.value

    @property
    def programs(self) -> tuple[str, ...]:
        """The clients of others that ask and load."""
        if self.wire is Wire.PLAIN:
            return ()
        return "curl", "wrk" if self.wire is Wire.HTTPS and not self.close else "h2load"

    @property
    def compared(self) -> bool:
        """Whether the bytes of answers under load are compared, not only their number."""
        return len(self.answer) <= LARGEST_COMPARED and not self.file

    def request(self, port: int) -> bytes:
        """Returns the request as it goes over the wire."""
        method = b"POST" if self.body else b"GET"
        lines = [
            b"%b %b HTTP/1.1" % (method, self.target.encode()),
            b"Host: 127.0.0.1:%d" % port,
        ]
        if self.browser:
            lines += BROWSER_FIELDS
        if self.body:
            lines.append(b"Content-Type: " + self.content_type)
            lines.append(b"Content-Length: %d" % len(self.body))
        if self.close:
            lines.append(b"Connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n" + self.body

    def canned_answer(self) -> bytes:
        """Returns what the floor sends; without the body if that is a file."""
        lines = [b"HTTP/1.1 200 OK", b"Content-Type: text/plain"]
        if self.close:
            lines.append(b"Connection: close")
        if self.streamed:
            lines.append(b"Transfer-Encoding: chunked")
            body = (b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK)) * CHUNK_COUNT + b"0\r\n\r\n"
        else:
            lines.append(b"Content-Length: %d" % len(self.answer))
            body = b"" if self.file else self.answer
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _document() -> bytes:
    """Returns a JSON document of exactly 1,024 bytes, written without spaces."""
    document = {
        "id": 48213,
        "name": "Cold-water kettle, stainless steel",
        "price": 34.5,
        "available": True,
        "tags": ["kitchen", "kettle", "steel"],
        "stock": [{"store": f"store-{number}", "count": number * 3} for number in range(12)],
        "note": None,
        "text": "",
    }
    size = len(json.dumps(document, separators=(",", ":")))
    document["text"] = "x" * (1024 - size)
    return json.dumps(document, separators=(",", ":")).encode()


DOCUMENT = _document()

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(name="hello", title="hello, no request headers but Host", answer=HELLO),
    Scenario(name="browser", title="hello, 12 browser headers", answer=HELLO, browser=True),
    Scenario(
        name="access-log",
        title="hello, 12 browser headers, access log on",
        answer=HELLO,
        browser=True,
        access_log=True,
    ),
    Scenario(name="connect", title="a new TCP connection per request", answer=HELLO, close=True),
    Scenario(
        name="json",
        title="JSON echo, POST of 1 KiB, orjson",
        target="/json",
        answer=DOCUMENT,
        body=DOCUMENT,
        content_type=b"application/json",
        needs="orjson",
    ),
    Scenario(
        name="json-stdlib",
        title="JSON echo, POST of 1 KiB, standard library",
        target="/json-stdlib",
        answer=DOCUMENT,
        body=DOCUMENT,
        content_type=b"application/json",
    ),
    Scenario(
        name="body-10k",
        title="answer of 10 KiB, 12 browser headers",
        target="/10k",
        answer=TEN_KIB,
        browser=True,
    ),
    Scenario(
        name="stream",
        title="answer streamed in 100 chunks of 1 KiB",
        target="/stream",
        answer=CHUNK * CHUNK_COUNT,
        streamed=True,
        connections=32,
    ),
    Scenario(
        name="upload",
        title="upload of 10 MiB",
        target="/upload",
        answer=b"%d" % BIG_SIZE,
        body=pattern(BIG_SIZE),
        connections=4,
    ),
    Scenario(
        name="download",
        title="download of 10 MiB from memory, one body",
        target="/download",
        answer=pattern(BIG_SIZE),
        connections=4,
    ),
    Scenario(
        name="file-100k",
        title="static file of 100 KiB",
        target="/static/100k.bin",
        answer=pattern(FILE_SIZES["100k.bin"]),
        file=Files.SMALL,
        connections=32,
    ),
    Scenario(
        name="file-10m",
        title="static file of 10 MiB",
        target="/static/10m.bin",
        answer=pattern(FILE_SIZES["10m.bin"]),
        file=Files.LARGE,
        connections=4,
    ),
    Scenario(
        name="websocket",
        title="WebSocket echo, 32 bytes, one in flight",
        answer=HELLO,
        messages=Messages(flow=Flow.TEXT, size=32),
    ),
    Scenario(
        name="websocket-pipelined",
        title="WebSocket echo, 32 bytes, 16 in flight per connection",
        answer=HELLO,
        messages=Messages(flow=Flow.TEXT, size=32, count=16),
    ),
    Scenario(
        name="websocket-64k",
        title="WebSocket echo, 64 KiB",
        answer=HELLO,
        messages=Messages(flow=Flow.BINARY, size=64 * 1024),
    ),
    Scenario(
        name="broadcast",
        title="WebSocket broadcast, 32 bytes to 1,000 connections",
        answer=HELLO,
        connections=1000,
        messages=Messages(flow=Flow.BROADCAST, size=GREETING_SIZE),
    ),
    Scenario(
        name="sse-200",
        title="server-sent events, 100 at once to 200 clients",
        answer=HELLO,
        connections=200,
        messages=Messages(flow=Flow.EVENTS, count=EVENT_COUNT),
    ),
    Scenario(
        name="sse-1000",
        title="server-sent events, 100 at once to 1,000 clients",
        answer=HELLO,
        connections=1000,
        messages=Messages(flow=Flow.EVENTS, count=EVENT_COUNT),
    ),
    Scenario(
        name="sse-singly",
        title="server-sent events, one by one to 200 clients",
        answer=HELLO,
        connections=200,
        messages=Messages(flow=Flow.EVENTS, count=EVENT_COUNT, singly=True),
    ),
    Scenario(
        name="idle",
        title="idle kept connections, memory",
        answer=HELLO,
        connections=5000,
        kind=Kind.IDLE,
    ),
    Scenario(
        name="websocket-idle",
        title="idle WebSockets after a message of 2 KiB, memory",
        answer=HELLO,
        connections=5000,
        kind=Kind.IDLE,
        messages=Messages(flow=Flow.TEXT, size=2048),
    ),
    Scenario(
        name="websocket-idle-deflate",
        title="idle WebSockets after a compressed message of 2 KiB, memory",
        answer=HELLO,
        connections=5000,
        kind=Kind.IDLE,
        messages=Messages(flow=Flow.DEFLATE, size=2048),
    ),
    Scenario(
        name="h2c",
        title="hello, HTTP/2 without TLS, 16 connections with 16 streams",
        answer=HELLO,
        connections=16,
        streams=16,
        wire=Wire.H2C,
    ),
    Scenario(
        name="h2",
        title="hello, HTTP/2 over TLS, 16 connections with 16 streams",
        answer=HELLO,
        connections=16,
        streams=16,
        wire=Wire.H2,
    ),
    Scenario(
        name="h2-download",
        title="download of 10 MiB from memory over HTTP/2 and TLS",
        target="/download",
        answer=pattern(BIG_SIZE),
        connections=4,
        wire=Wire.H2,
    ),
    Scenario(name="https", title="hello, HTTP/1.1 over TLS, kept", answer=HELLO, wire=Wire.HTTPS),
    Scenario(
        name="handshake",
        title="hello, a new TLS connection with a full handshake per request, 700 a second",
        answer=HELLO,
        connections=1,
        close=True,
        wire=Wire.HTTPS,
    ),
    Scenario(name="start", title="start to first answer", answer=HELLO, kind=Kind.START),
)

SCENARIO_NAMES = tuple(scenario.name for scenario in SCENARIOS)
