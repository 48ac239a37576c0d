"""A hostile client: a bare socket that sends what it is told, when and how it is told.

`Wire` leaves every step of a connection to the test: half-close, reset, reading slowly or never.
`Answer` reads responses strictly; what is not framed well raises.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

__all__ = ["Answer", "Wire", "eventually", "get"]

#: No single wait of a test takes this long; the server's deadlines in tests are far shorter.
PATIENCE: Final = 20.0
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Answer:
    """One response as it came."""

    def __init__(self, head: bytes) -> None:
        line, *lines = head.split(b"\r\n")
        self.version, status, self.phrase = line.split(b" ", 2)
        assert self.version in (b"HTTP/1.1", b"HTTP/1.0"), line
        self.status = int(status)
        self.fields: dict[bytes, bytes] = {}
        for field in lines:
            name, colon, value = field.partition(b": ")
            assert colon, field
            assert name not in self.fields, f"twice: {field!r}"
            self.fields[name] = value
        self.body = b""

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends after it."""
        return self.fields.get(b"connection") == b"close"


class Wire:
    """One connection; a context manager that closes it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.waiting = b""  # received and not yet read as an answer
        self.was_reset = False
        self.ended = False

    @classmethod
    async def open(cls, address: int | str, receive_buffer: int | None = None) -> Self:
        """Connect to a local port or a Unix socket.

        Args:
            address: port or path.
            receive_buffer: size of the kernel's buffer; small for a slow reader.
        """
        sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        target = address if isinstance(address, str) else ("127.0.0.1", address)
        try:
            await asyncio.get_running_loop().sock_connect(sock, target)
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close; bytes not read make the kernel reset the connection."""
        self.sock.close()

    def reset(self) -> None:
        """Close by a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.sock.close()

    def half_close(self) -> None:
        """End the sending side."""
        self.sock.shutdown(socket.SHUT_WR)

    async def send(self, data: bytes) -> bool:
        """Send all of ``data``; tell whether the server let us."""
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().sock_sendall(self.sock, data)
        except ConnectionError:
            self.was_reset = True
            return False
        return True

    async def send_while(self, data: bytes, seconds: float) -> int:
        """Send ``data`` again and again until the server stops reading for ``seconds``.

        Returns:
            bytes that were taken by the server or the kernel.
        """
        loop = asyncio.get_running_loop()
        total = 0
        try:
            while True:
                async with asyncio.timeout(seconds):
                    await loop.sock_sendall(self.sock, data)
                total += len(data)
        except ConnectionError:
            self.was_reset = True
        except TimeoutError:
            pass
        return total

    async def receive(self, size: int = 1 << 18) -> bytes:
        """Receive what is there; empty at the end, however it came."""
        if self.ended:
            return b""
        try:
            async with asyncio.timeout(PATIENCE):
                data = await asyncio.get_running_loop().sock_recv(self.sock, size)
        except ConnectionError:
            self.was_reset = True
            data = b""
        self.ended = not data
        return data

    async def rest(self) -> bytes:
        """Receive to the end of the connection."""
        pieces = [self.waiting]
        self.waiting = b""
        while data := await self.receive():
            pieces.append(data)
        return b"".join(pieces)

    async def until(self, mark: bytes) -> bytes:
        """Read to a mark, which is dropped."""
        while mark not in self.waiting:
            data = await self.receive()
            assert data, f"the connection ended within an answer: {self.waiting[:200]!r}"
            self.waiting += data
        found, _, self.waiting = self.waiting.partition(mark)
        return found

    async def exactly(self, size: int) -> bytes:
        """Read so many bytes."""
        while len(self.waiting) < size:
            data = await self.receive()
            assert data, f"the connection ended {size - len(self.waiting)} bytes early"
            self.waiting += data
        found, self.waiting = self.waiting[:size], self.waiting[size:]
        return found

    async def answer(self, method: str = "GET") -> Answer:
        """Read one response, informational ones included, whole."""
        answer = Answer(await self.until(b"\r\n\r\n"))
        if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
            return answer
        length = answer.fields.get(b"content-length")
        if answer.fields.get(b"transfer-encoding") == b"chunked":
            assert length is None
            while size := int(await self.until(b"\r\n"), 16):
                answer.body += await self.exactly(size)
                assert await self.exactly(2) == b"\r\n"
            assert await self.exactly(2) == b"\r\n"
        elif length is not None:
            answer.body = await self.exactly(int(length))
        else:
            answer.body = await self.rest()
        return answer

    async def answers(self) -> list[Answer]:
        """Read responses to GET until the connection ends, which must be after a whole one."""
        found = []
        while True:
            if not self.waiting:
                self.waiting = await self.receive()
            if not self.waiting:
                return found
            found.append(await self.answer())

    async def refusal(self, method: str = "GET") -> Answer:
        """Read the last response and the end behind it."""
        answer = await self.answer(method)
        assert answer.closes, answer.fields
        assert await self.rest() == b"", "bytes behind the last response"
        assert not self.was_reset, "the connection was reset instead of closed"
        return answer


async def get(address: int | str, target: bytes = b"/") -> Answer:
    """Make an honest request on a connection of its own."""
    async with await Wire.open(address) as wire:
        await wire.send(b"GET %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % target)
        answer = await wire.answer()
        assert await wire.rest() == b""
        return answer


async def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until what another process or the kernel does has come true."""
    async with asyncio.timeout(seconds):
        while not condition():  # nobody tells us
            await asyncio.sleep(0.01)
