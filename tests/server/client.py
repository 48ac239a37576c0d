"""A server to talk to, and a small strict client that shows the bytes.

`serving` runs an application in the loop of the test; `connect` opens a `Client`, which sends what
it is told and reads responses strictly: what is not framed well raises.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pagi
from tests.conftest import TRANSPORTS

__all__ = ["Client", "Response", "Truncated", "connect", "get", "serving", "settled"]

Fields = list[tuple[bytes, bytes]]


class Truncated(Exception):
    """The connection ended before the response did.

    Attributes:
        partial: the response as far as it came.
    """

    def __init__(self, partial: Response) -> None:
        super().__init__(f"the response to {partial.status} was cut after {len(partial.body)}")
        self.partial = partial


class Response:
    """One response, informational ones before it included."""

    def __init__(self, status: int, version: str, fields: Fields) -> None:
        self.status = status
        self.version = version
        self.fields = fields
        self.body = b""
        self.chunks: list[bytes] = []
        self.trailers: Fields = []
        self.informational: list[Response] = []

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.fields} {self.body[:80]!r}>"

    def values(self, name: str) -> list[bytes]:
        """Return the values of all fields of this name."""
        return [value for key, value in self.fields if key == name.encode()]

    def __getitem__(self, name: str) -> bytes | None:
        """Return the value of the one field of this name, or ``None``."""
        values = self.values(name)
        assert len(values) <= 1, f"several {name}: {values}"
        return values[0] if values else None

    @property
    def closes(self) -> bool:
        """Whether the response says that the connection closes."""
        return self["connection"] == b"close"


class Client:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes | str) -> None:
        """Write bytes as they are."""
        self.writer.write(data.encode("latin-1") if isinstance(data, str) else data)

    async def drain(self) -> None:
        """Wait until the server has taken most of what was sent."""
        await self.writer.drain()

    def eof(self) -> None:
        """End the sending side."""
        self.writer.write_eof()

    def abort(self) -> None:
        """Reset the connection."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.writer.transport.abort()

    async def close(self) -> None:
        """Close the connection."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass

    def send_request(
        self,
        target: str = "/",
        *,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        version: str = "1.1",
    ) -> None:
        """Send a request; with ``body`` also its length."""
        lines = [f"{method} {target} HTTP/{version}", "Host: test"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines) + "\r\n\r\n")
        if body:
            self.send(body)

    async def request(self, target: str = "/", **options: Any) -> Response:
        """Send a request and read its response; options as for `send_request`."""
        self.send_request(target, **options)
        return await self.response(options.get("method", "GET"))

    async def head(self) -> Response:
        """Read one head, informational or final."""
        raw = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = raw[:-4].split(b"\r\n")
        version, status, _ = first.split(b" ", 2)
        assert version.startswith(b"HTTP/1.")
        return Response(int(status), version[5:].decode(), [_field(line) for line in lines])

    async def response(self, method: str = "GET") -> Response:
        """Read a final response whole.

        Raises:
            Truncated: the connection ended in the middle of the body.
            asyncio.IncompleteReadError: it ended before a head.
        """
        informational = []
        response = await self.head()
        while response.status < 200:
            informational.append(response)
            response = await self.head()
        response.informational = informational
        try:
            await self._read_body(response, method)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Truncated(response) from None
        return response

    async def chunk(self) -> bytes:
        """Read one chunk; after the last, which is empty, come the trailers."""
        size = int((await self.reader.readuntil(b"\r\n"))[:-2], 16)
        if not size:
            return b""
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def _read_body(self, response: Response, method: str) -> None:
        length, coding = response["content-length"], response["transfer-encoding"]
        assert length is None or coding is None
        if method == "HEAD" or response.status in (204, 304):
            return
        if coding is not None:
            assert coding == b"chunked"
            while chunk := await self.chunk():
                response.chunks.append(chunk)
                response.body += chunk
            while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
                response.trailers.append(_field(line[:-2]))
        elif length is not None:
            left = int(length)
            while left:
                data = await self.reader.read(min(left, 1 << 18))
                if not data:
                    raise asyncio.IncompleteReadError(b"", left)
                response.body += data
                left -= len(data)
        else:
            response.body = await self.reader.read()

    async def rest(self) -> bytes:
        """Read to the end of the connection, however it ends."""
        pieces = []
        try:
            while data := await self.reader.read(1 << 16):
                pieces.append(data)
        except ConnectionError:
            pass
        return b"".join(pieces)


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    assert colon, f"no field line: {line!r}"
    assert name == name.strip(), f"white space in a field name: {line!r}"
    return name.lower(), value.strip()


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[pagi.Server]:
    """Run ``app`` in this loop on a port of its own; ``options`` are those of ``pagi.serve``."""
    defaults: dict[str, Any] = {"access_log": None, "transports": TRANSPORTS, "env": "production"}
    if not {"socket", "fd", "listen"} & options.keys():
        defaults["port"] = 0
    async with pagi.serve(app, **defaults | options) as server:
        yield server


@asynccontextmanager
async def connect(
    to: pagi.Server | int | str,
    *,
    receive_buffer: int | None = None,
    limit: int = 1 << 20,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Client]:
    """Open a connection to a server, a local port or a Unix socket.

    Args:
        to: where to.
        receive_buffer: size of the kernel's buffer, for a slow reader.
        limit: bytes that the client reads ahead, about.
        tls: encrypt by it.
    """
    target = to if isinstance(to, (int, str)) else to.port
    if isinstance(target, str):
        reader, writer = await asyncio.open_unix_connection(target, limit=limit)
    else:
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", target))
        except BaseException:
            sock.close()
            raise
        reader, writer = await asyncio.open_connection(
            sock=sock, limit=limit, ssl=tls, server_hostname="localhost" if tls else None
        )
    client = Client(reader, writer)
    try:
        yield client
    finally:
        await client.close()


async def settled(value: Callable[[], int], least: int = 1) -> int:
    """Wait until ``value()`` has reached ``least`` and stays the same for a while; return it."""
    last, since = -1, monotonic()
    while last < least or monotonic() - since < 0.1:
        if value() != last:
            last, since = value(), monotonic()
        await asyncio.sleep(0.01)
    return last


async def get(server: pagi.Server, target: str = "/", **options: Any) -> Response:
    """Make one request on a connection of its own."""
    async with connect(server) as client:
        return await client.request(target, headers=[("Connection", "close")], **options)
