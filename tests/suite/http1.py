"""The HTTP/1.1 wire of the suite; its WebSockets are those of the websockets library."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side
from websockets.utils import accept_key

import pagi
from tests.server.certificates import certificates, client_context
from tests.server.client import Client, Response, Truncated, connect
from tests.suite.wire import Answer, Closed, Cut, Fields, Refused

__all__ = ["HTTP1Wire", "HTTPSWire", "SocketOnBytes", "deflation"]

#: How long anything may take, in seconds.
PATIENCE = 20.0


def _text(fields: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode("latin-1")) for name, value in fields]


def _answer(response: Response) -> Answer:
    return Answer(
        response.status,
        _text(response.fields),
        response.body,
        _text(response.trailers),
        [(each.status, _text(each.fields)) for each in response.informational],
    )


class _Streamed:
    def __init__(self, client: Client, response: Response) -> None:
        self._client = client
        self._left = b""
        self.status = response.status
        self.headers = _text(response.fields)
        assert response["transfer-encoding"] == b"chunked", "a stream without an end is chunked"

    async def read(self) -> bytes:
        left, self._left = self._left, b""
        if left:
            return left
        try:
            async with asyncio.timeout(PATIENCE):
                piece = await self._client.chunk()
                if not piece:
                    assert await self._client.reader.readexactly(2) == b"\r\n"
                return piece
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Cut from None

    async def read_until(self, end: bytes) -> bytes:
        data = b""
        while end not in data:
            piece = await self.read()
            if not piece:
                raise EOFError(data)
            data += piece
        head, _, self._left = data.partition(end)
        return head + end

    def leave(self) -> None:
        self._client.abort()


class SocketOnBytes:
    """A WebSocket on a pair of streams, whatever made the tunnel."""

    def __init__(
        self,
        reader: Any,
        writer: Any,
        headers: list[tuple[str, str]],
        deflate: PerMessageDeflate | None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.headers = headers
        self.subprotocol = next((v for n, v in headers if n == "sec-websocket-protocol"), None)
        self.deflates = deflate is not None
        self._protocol = Protocol(Side.CLIENT, state=OPEN, max_size=1 << 26)
        if deflate is not None:
            self._protocol.extensions = [deflate]
        self._parts: list[Frame] = []
        self._frames: list[Frame] = []
        self._answers_pings = True

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        await self._flush()

    async def send_frames(self, *frames: bytes) -> None:
        self._writer.write(b"".join(frames))
        await self._writer.drain()

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)
        await self._writer.drain()

    async def _next_frame(self) -> Frame | None:
        """Return the next frame; ``None`` at the end of the stream."""
        while not self._frames:
            if self._protocol.parser_exc is not None:
                raise self._protocol.parser_exc
            try:
                async with asyncio.timeout(PATIENCE):
                    data = await self._reader.read(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                return None
            self._protocol.receive_data(data)
            if not self._answers_pings:
                self._protocol.data_to_send()
            self._frames += [f for f in self._protocol.events_received() if isinstance(f, Frame)]
            try:
                await self._flush()
            except ConnectionError:
                pass  # it has gone after its last words
        return self._frames.pop(0)

    async def receive(self) -> str | bytes | Closed:
        while True:
            frame = await self._next_frame()
            if frame is None:
                return Closed(1006)
            if frame.opcode is Opcode.CLOSE:
                return self._closed()
            if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._parts.append(frame)
                if frame.fin:
                    parts, self._parts = self._parts, []
                    data = b"".join(bytes(part.data) for part in parts)
                    return data.decode() if parts[0].opcode is Opcode.TEXT else data

    def _closed(self) -> Closed:
        received = self._protocol.close_rcvd
        assert received is not None
        return Closed(int(received.code), received.reason)

    async def ping(self, payload: bytes = b"") -> bytes:
        self._protocol.send_ping(payload)
        await self._flush()
        while True:
            frame = await self._next_frame()
            assert frame is not None, "no pong"
            if frame.opcode is Opcode.PONG:
                return bytes(frame.data)

    async def close(self, code: int = 1000, reason: str = "") -> Closed:
        self._protocol.send_close(CloseCode(code) if code in set(CloseCode) else code, reason)
        await self._flush()
        while True:
            frame = await self._next_frame()
            if frame is None:
                return Closed(1006)
            if frame.opcode is Opcode.CLOSE:
                await self.at_end()
                return self._closed()

    async def at_end(self) -> None:
        """Wait for the end of the stream: the server ends it first (RFC 6455 §7.1.1)."""
        while await self._next_frame() is not None:
            continue

    def ignore_pings(self) -> None:
        self._answers_pings = False

    def leave(self) -> None:
        self._writer.transport.abort()


class HTTP1Wire:
    """A connection of its own for each request."""

    name = "HTTP/1.1"
    http_version = "1.1"
    scheme = "http"
    #: Of the server.
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, server: pagi.Server) -> None:
        self._server = server

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What encrypts the connections."""
        return None

    async def ask(
        self, method: str = "GET", path: str = "/", headers: Fields = (), body: bytes = b""
    ) -> Answer:
        async with connect(self._server, tls=self.tls) as client, asyncio.timeout(PATIENCE):
            try:
                return _answer(
                    await client.request(path, method=method, headers=headers, body=body)
                )
            except (Truncated, asyncio.IncompleteReadError, ConnectionError):
                raise Cut from None

    @asynccontextmanager
    async def stream(
        self, method: str = "GET", path: str = "/", headers: Fields = (), body: bytes = b""
    ) -> AsyncIterator[_Streamed]:
        async with connect(self._server, tls=self.tls) as client:
            client.send_request(path, method=method, headers=headers, body=body)
            async with asyncio.timeout(PATIENCE):
                response = await client.head()
            yield _Streamed(client, response)

    @asynccontextmanager
    async def websocket(
        self,
        path: str = "/",
        *,
        subprotocols: Sequence[str] = (),
        headers: Fields = (),
        deflate: bool = False,
    ) -> AsyncIterator[SocketOnBytes]:
        key = base64.b64encode(os.urandom(16)).decode()
        fields = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key),
            *headers,
        ]
        if subprotocols:
            fields.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
        if deflate:
            fields.append(("Sec-WebSocket-Extensions", "permessage-deflate"))
        async with connect(self._server, tls=self.tls) as client:
            client.send_request(path, headers=fields)
            async with asyncio.timeout(PATIENCE):
                response = await client.head()
                if response.status != 101:
                    await client._read_body(response, "GET")
                    raise Refused(_answer(response))
            assert response["sec-websocket-accept"] == accept_key(key).encode()
            assert response["upgrade"] == b"websocket"
            assert (response["connection"] or b"").lower() == b"upgrade"
            yield SocketOnBytes(
                client.reader,
                client.writer,
                _text(response.fields),
                deflation((response["sec-websocket-extensions"] or b"").decode() or None),
            )

    async def stop(self) -> None:
        await self._server.shutdown()

    def begin_stop(self) -> Awaitable[None]:
        return asyncio.ensure_future(self._server.shutdown())


class HTTPSWire(HTTP1Wire):
    """The same, encrypted."""

    name = "HTTPS/1.1"
    scheme = "https"
    options: ClassVar[dict[str, Any]] = certificates().options

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What encrypts the connections."""
        return client_context("http/1.1")


def deflation(value: str | None) -> PerMessageDeflate | None:
    """Return the client's half of what ``Sec-WebSocket-Extensions`` of the answer says."""
    if value is None:
        return None
    name, *parameters = [part.strip() for part in value.split(";")]
    assert name == "permessage-deflate"
    given = dict(part.partition("=")[::2] for part in parameters)
    assert not set(given) - {
        *("server_no_context_takeover", "client_no_context_takeover"),
        *("server_max_window_bits", "client_max_window_bits"),
    }
    return PerMessageDeflate(
        remote_no_context_takeover="server_no_context_takeover" in given,
        local_no_context_takeover="client_no_context_takeover" in given,
        remote_max_window_bits=int(given.get("server_max_window_bits", 15)),
        local_max_window_bits=int(given.get("client_max_window_bits", 15)),
    )
