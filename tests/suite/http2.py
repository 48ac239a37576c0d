"""The HTTP/2 wire of the suite: prior knowledge, a connection of its own for each request."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pagi
from tests.server import http2_client
from tests.server.certificates import certificates, client_context
from tests.server.http2_client import Gone, Stream, connect_http2
from tests.suite.http1 import PATIENCE, SocketOnBytes, deflation
from tests.suite.wire import Answer, Cut, Fields, Refused

__all__ = ["HTTP2Wire", "SecureHTTP2Wire"]


def _answer(answer: http2_client.Answer) -> Answer:
    return Answer(answer.status, answer.headers, answer.body, answer.trailers, answer.informational)


class _Streamed:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = b""
        self.status = stream.status
        self.headers = stream.headers

    async def read(self) -> bytes:
        left, self._left = self._left, b""
        if left:
            return left
        try:
            return await self._stream.read()
        except Gone:
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
        self._stream.connection.abort()


class _Tunnel:
    """A stream as a pair of asyncio's streams."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waiting = b""
        self.transport = self

    async def read(self, size: int) -> bytes:
        try:
            return await self._stream.read()
        except Gone:
            return b""

    def write(self, data: bytes) -> None:
        self._waiting += data

    async def drain(self) -> None:
        data, self._waiting = self._waiting, b""
        if self._stream.connection.lost or self._stream.reset_code is not None:
            raise ConnectionResetError
        try:
            await self._stream.send(data)
        except Gone:
            raise ConnectionResetError from None

    def abort(self) -> None:
        self._stream.connection.abort()


class HTTP2Wire:
    """HTTP/2 without TLS."""

    name = "h2c"
    http_version = "2"
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
        async with connect_http2(self._server, self.tls) as client, asyncio.timeout(PATIENCE):
            try:
                answer = await client.ask(path, method=method, headers=headers, body=body)
            except Gone:
                raise Cut from None
            return _answer(answer)

    @asynccontextmanager
    async def stream(
        self, method: str = "GET", path: str = "/", headers: Fields = (), body: bytes = b""
    ) -> AsyncIterator[_Streamed]:
        async with connect_http2(self._server, self.tls) as client:
            stream = client.request(path, method=method, headers=headers, end=not body)
            if body:
                await stream.send(body, end=True)
            yield _Streamed(await stream.head())

    @asynccontextmanager
    async def websocket(
        self,
        path: str = "/",
        *,
        subprotocols: Sequence[str] = (),
        headers: Fields = (),
        deflate: bool = False,
    ) -> AsyncIterator[SocketOnBytes]:
        given = dict(headers)
        fields = [("sec-websocket-version", given.pop("Sec-WebSocket-Version", "13"))]
        fields += given.items()
        if subprotocols:
            fields.append(("sec-websocket-protocol", ", ".join(subprotocols)))
        if deflate:
            fields.append(("sec-websocket-extensions", "permessage-deflate"))
        async with connect_http2(self._server, self.tls) as client:
            stream = client.request(
                path,
                method="CONNECT",
                headers=fields,
                end=False,
                pseudo=[(":protocol", "websocket")],
            )
            await stream.head()
            if stream.status != 200:
                raise Refused(_answer(await stream.answer()))
            tunnel: Any = _Tunnel(stream)
            extensions = [v for n, v in stream.headers if n == "sec-websocket-extensions"]
            yield SocketOnBytes(
                tunnel, tunnel, stream.headers, deflation(extensions[0] if extensions else None)
            )

    async def stop(self) -> None:
        await self._server.shutdown()

    def begin_stop(self) -> Awaitable[None]:
        return asyncio.ensure_future(self._server.shutdown())


class SecureHTTP2Wire(HTTP2Wire):
    """HTTP/2 by ALPN."""

    name = "h2"
    scheme = "https"
    options: ClassVar[dict[str, Any]] = certificates().options

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What encrypts the connections."""
        return client_context("h2")
