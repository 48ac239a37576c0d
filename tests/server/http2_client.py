"""A client of HTTP/2 for tests, on the h2 library: many streams on one connection.

What arrives is read at once and kept by stream; the peer gets credit for it when a test reads it,
so that a test that does not read holds the server up as a slow client would.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

import pagi

__all__ = ["Answer", "Connection", "Fields", "Gone", "Stream", "connect_http2"]

Fields = Iterable[tuple[str, str]]

#: How long anything may take, in seconds.
PATIENCE = 20.0


class Gone(Exception):
    """The stream was reset, or the connection ended, before the response was whole.

    Attributes:
        code: error code of RST_STREAM, or ``None`` if the connection ended.
    """

    def __init__(self, code: int | None) -> None:
        super().__init__("the connection ended" if code is None else f"reset with {code}")
        self.code = code


def text(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return fields without pseudo-fields, as text."""
    return [
        (name.decode(), value.decode("latin-1"))
        for name, value in fields
        if not name.startswith(b":")
    ]


def status(fields: Iterable[tuple[bytes, bytes]]) -> int:
    """Return ``:status``."""
    return int(dict(fields)[b":status"])


@dataclass
class Answer:
    """A whole response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    trailers: list[tuple[str, str]] = field(default_factory=list)
    informational: list[tuple[int, list[tuple[str, str]]]] = field(default_factory=list)

    def __getitem__(self, name: str) -> str | None:
        """Return the value of the one field of this name, or ``None``."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"several {name}: {values}"
        return values[0] if values else None


class Stream:
    """One request and what has come of its response."""

    def __init__(self, connection: Connection, stream_id: int) -> None:
        self.connection = connection
        self.stream_id = stream_id
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.trailers: list[tuple[str, str]] = []
        self.informational: list[tuple[int, list[tuple[str, str]]]] = []
        self.ended = False
        self.reset_code: int | None = None
        self._pieces: list[tuple[bytes, int]] = []

    async def until(self, condition: Any) -> None:
        """Wait until ``condition()`` holds; raises `Gone` if it cannot any more."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                if self.reset_code is not None and not self.ended:
                    raise Gone(self.reset_code)
                if self.connection.lost:
                    raise Gone(None)
                await self.connection.more()

    async def head(self) -> Stream:
        """Wait for the head of the response."""
        await self.until(lambda: self.status)
        return self

    async def read(self) -> bytes:
        """Return body bytes, at least one; empty at the end."""
        await self.until(lambda: self._pieces or self.ended)
        data = b""
        while self._pieces:
            piece, size = self._pieces.pop(0)
            data += piece
            self.connection.credit(size, self)
        return data

    async def answer(self) -> Answer:
        """Return the whole response. Raises `Gone`."""
        await self.head()
        body = b""
        while True:
            piece = await self.read()
            body += piece
            if not piece:
                break
        return Answer(self.status, self.headers, body, self.trailers, self.informational)

    async def send(self, data: bytes = b"", end: bool = False) -> None:
        """Send body bytes as the windows allow; nothing more once the server has ended all."""
        try:
            await self._send(data, end)
        except h2.exceptions.StreamClosedError:
            if not self.ended:
                raise Gone(self.reset_code) from None

    async def _send(self, data: bytes, end: bool) -> None:
        wire = self.connection.wire
        while data:
            window = wire.local_flow_control_window(self.stream_id)
            size = min(len(data), window, wire.max_outbound_frame_size)
            if size:
                wire.send_data(self.stream_id, data[:size])
                data = data[size:]
                self.connection.flush()
            else:
                await self.until(lambda: wire.local_flow_control_window(self.stream_id) > 0)
        if end:
            wire.end_stream(self.stream_id)
        self.connection.flush()

    def reset(self, code: int = 8) -> None:
        """Reset the stream."""
        self.connection.wire.reset_stream(self.stream_id, code)
        self.connection.flush()


class Wire(h2.connection.H2Connection):
    """The h2 library without its belief that a connection ends with GOAWAY (RFC 9113 §6.8)."""

    def _receive_goaway_frame(self, frame: Any) -> Any:
        event = h2.events.ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        return [], [event]


class Connection:
    """One connection; `connect_http2` opens it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, scheme: str
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.scheme = scheme
        self.wire = Wire(
            h2.config.H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.streams: dict[int, Stream] = {}
        self.goaways: list[tuple[int, int]] = []
        self.lost = False
        self._changed = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Send the preface and read from now on."""
        self.wire.initiate_connection()
        self.flush()
        self.read_on()

    def read_on(self) -> None:
        """Read from now on; the beginning of the connection was somebody else's."""
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        try:
            while data := await self.reader.read(65_536):
                for event in self.wire.receive_data(data):
                    self._take(event)
                self.flush()
                self._tell()
        except (ConnectionError, h2.exceptions.ProtocolError):
            pass
        finally:
            self.lost = True
            self.writer.close()  # a client has nothing to say to a server that has ended
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def more(self) -> None:
        """Wait until something came."""
        await self._changed.wait()

    def _take(self, event: Any) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append((event.last_stream_id or 0, int(event.error_code or 0)))
        stream = self.streams.get(getattr(event, "stream_id", 0) or 0)
        if stream is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            stream.status = status(event.headers)
            stream.headers = text(event.headers)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            stream.informational.append((status(event.headers), text(event.headers)))
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers = text(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            if event.data:
                stream._pieces.append((event.data, event.flow_controlled_length))
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset_code = int(event.error_code)

    def credit(self, size: int, stream: Stream) -> None:
        """Let the server send as much again."""
        if not self.lost:
            self.wire.acknowledge_received_data(size, stream.stream_id)
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        data = self.wire.data_to_send()
        if data and not self.writer.transport.is_closing():
            self.writer.write(data)

    def request(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Fields = (),
        end: bool = True,
        pseudo: Sequence[tuple[str, str]] = (),
    ) -> Stream:
        """Send the head of a request; ``pseudo`` replaces or adds pseudo-fields."""
        fields = {
            ":method": method,
            ":scheme": self.scheme,
            ":authority": "test",
            ":path": path,
        }
        fields.update(pseudo)
        stream_id = self.wire.get_next_available_stream_id()
        stream = self.streams[stream_id] = Stream(self, stream_id)
        self.wire.send_headers(
            stream_id,
            [*fields.items(), *((name.lower(), value) for name, value in headers)],
            end_stream=end,
        )
        self.flush()
        return stream

    async def ask(
        self, path: str = "/", *, method: str = "GET", headers: Fields = (), body: bytes = b""
    ) -> Answer:
        """Make a request and return the whole response. Raises `Gone`."""
        stream = self.request(path, method=method, headers=headers, end=not body)
        if body:
            await stream.send(body, end=True)
        return await stream.answer()

    async def at_end(self) -> None:
        """Wait until the server has closed the connection."""
        async with asyncio.timeout(PATIENCE):
            while not self.lost:
                await self.more()

    def abort(self) -> None:
        """Go away without a word."""
        self.writer.transport.abort()

    async def close(self) -> None:
        """End the connection."""
        self.abort()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])


@asynccontextmanager
async def connect_http2(
    server: pagi.Server | int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Connection]:
    """Open a connection to a server in this loop, or a port of this machine."""
    port = server if isinstance(server, int) else server.port
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )
    connection = Connection(reader, writer, "https" if tls else "http")
    connection.begin()
    try:
        yield connection
    finally:
        await connection.close()
