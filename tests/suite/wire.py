"""What a case of the suite may ask of a wire: HTTP/1.1, HTTP/2, the test client.

A case sees requests, responses and WebSocket messages, never bytes of a version of HTTP. What is
special to one version is tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Answer", "Case", "Closed", "Cut", "Fields", "Refused", "Socket", "Streamed", "Wire"]

Fields = Sequence[tuple[str, str]]


class Cut(Exception):
    """The response ended before it was whole."""


@dataclass
class Answer:
    """A whole response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    informational: list[tuple[int, list[tuple[str, str]]]] = field(default_factory=list)

    def __getitem__(self, name: str) -> str | None:
        """Return the value of the one field of this name, or ``None``."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"several {name}: {values}"
        return values[0] if values else None


class Streamed(Protocol):
    """A response that is read piece by piece."""

    status: int
    headers: list[tuple[str, str]]

    async def read(self) -> bytes:
        """Return what came, at least a byte; empty at the end. Raises `Cut`."""

    async def read_until(self, end: bytes) -> bytes:
        """Return everything up to ``end``, which is included. Raises `Cut` or EOFError."""

    def leave(self) -> None:
        """Go away without a word."""


@dataclass
class Closed:
    """The other side has closed: its close code and reason; 1006 without a close."""

    code: int
    reason: str = ""


class Refused(Exception):
    """The WebSocket was refused with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"refused with {answer.status}")
        self.answer = answer


class Socket(Protocol):
    """An open WebSocket, from the client's side."""

    subprotocol: str | None
    headers: list[tuple[str, str]]
    deflates: bool

    async def send(self, message: str | bytes) -> None:
        """Send a message."""

    async def send_frames(self, *frames: bytes) -> None:
        """Send frames as they are, masked with a key of zeros."""

    async def receive(self) -> str | bytes | Closed:
        """Return the next message, or how it ended."""

    async def ping(self, payload: bytes = b"") -> bytes:
        """Send a ping and return the payload of the pong."""

    async def close(self, code: int = 1000, reason: str = "") -> Closed:
        """Close and wait for the answer; messages that come before it are lost."""

    def ignore_pings(self) -> None:
        """Answer no ping from now on."""

    def leave(self) -> None:
        """Go away without a word."""


class Wire(Protocol):
    """A way to reach an application."""

    name: str
    http_version: str
    scheme: str

    async def ask(
        self, method: str = "GET", path: str = "/", headers: Fields = (), body: bytes = b""
    ) -> Answer:
        """Make a request and return the whole response. Raises `Cut`."""

    def stream(
        self, method: str = "GET", path: str = "/", headers: Fields = (), body: bytes = b""
    ) -> AbstractAsyncContextManager[Streamed]:
        """Make a request and read the response in pieces."""

    def websocket(
        self,
        path: str = "/",
        *,
        subprotocols: Sequence[str] = (),
        headers: Fields = (),
        deflate: bool = False,
    ) -> AbstractAsyncContextManager[Socket]:
        """Open a WebSocket. Raises `Refused`."""

    async def stop(self) -> None:
        """Stop the server gracefully and wait for its end."""

    def begin_stop(self) -> Awaitable[None]:
        """Begin a graceful stop; await what is returned for its end."""


@dataclass(frozen=True)
class Case:
    """A row of the table: an application, and what must be seen when it is served.

    Attributes:
        name: unique.
        app: the application.
        run: makes requests and checks what comes.
        options: of the server.
    """

    name: str
    app: Any
    run: Callable[[Wire], Awaitable[None]]
    options: dict[str, Any] = field(default_factory=dict)
