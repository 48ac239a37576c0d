"""A stage for exchanges: a stream that only takes notes, a service, and applications by step.

`Scene` runs one exchange. An application that a test writes as a coroutine function is one way to
use it; the other is `Scene.manual()`, after which the test itself calls ``receive`` and ``send``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from typing import Any

from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.events import RequestReceived
from pagi.server.exchange.http import HTTPExchange
from pagi.server.exchange.service import Service
from pagi.server.exchange.stream import Stream

START = {"type": "http.response.start", "status": 200, "headers": []}
LAST = {"type": "http.response.body", "body": b"bye"}
MORE = {"type": "http.response.body", "body": b"more", "more_body": True}


def start(status: int = 200, **fields: Any) -> dict[str, Any]:
    """Make an ``http.response.start``."""
    return {"type": "http.response.start", "status": status, "headers": [], **fields}


def body(data: bytes = b"", **fields: Any) -> dict[str, Any]:
    """Make an ``http.response.body``."""
    return {"type": "http.response.body", "body": data, **fields}


def request(method: str = "GET", path: bytes = b"/", **fields: Any) -> RequestReceived:
    """Make the head of a request."""
    return RequestReceived(1, method, path, fields.pop("query", b""), [(b"host", b"h")], **fields)


class Timers:
    """A loop's timers, run by hand."""

    def __init__(self) -> None:
        self._due: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timers:
        self._due.append((delay, callback))
        return self

    def cancel(self) -> None:
        self._due.clear()

    def run(self) -> list[float]:
        """Call what is due and return after how long it was."""
        due, self._due = self._due, []
        for _, callback in due:
            callback()
        return [delay for delay, _ in due]


class FakeStream(Stream):
    """Notes what the exchange asks of the wire.

    Attributes:
        calls: the calls, each a tuple of name and arguments.
        refusals: name of a method → the error that its next call raises, or its text.
        file_limit: bytes that `write_file` sends at most.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []
        self.refusals: dict[str, str | Exception] = {}
        self.buffered = 0
        self.file_limit = 1 << 30
        self.waiting: list[asyncio.Future[None]] = []

    def _note(self, name: str, *arguments: Any) -> None:
        if name in self.refusals:
            error = self.refusals.pop(name)
            raise error if isinstance(error, Exception) else LocalProtocolError(error)
        self.calls.append((name, *arguments))

    @property
    def names(self) -> list[str]:
        """The names of the calls."""
        return [call[0] for call in self.calls]

    @property
    def sent(self) -> bytes:
        """All body bytes."""
        written = b"".join(call[1] for call in self.calls if call[0] == "write_body")
        whole = b"".join(call[3] for call in self.calls if call[0] == "write_response")
        return written + whole

    @property
    def status(self) -> int | None:
        """The status that was written, if one was."""
        heads = [call[1] for call in self.calls if call[0] in ("write_head", "write_response")]
        assert len(heads) <= 1
        return heads[0] if heads else None

    def buffered_amount(self) -> int:
        return self.buffered

    def want_body(self) -> None:
        self._note("want_body")

    def consumed(self, size: int) -> None:
        self._note("consumed", size)

    def write_informational(self, status: int, fields: Any) -> None:
        self._note("write_informational", status, fields)

    def write_head(
        self, status: int, fields: Any, size: int | None, trailers: bool, at_least: int
    ) -> None:
        self._note("write_head", status, fields, size, trailers, at_least)

    def write_response(self, status: int, fields: Any, data: bytes) -> None:
        self._note("write_response", status, fields, data)

    def write_body(self, data: bytes, end: bool) -> None:
        self._note("write_body", data, end)

    def write_trailers(self, fields: Any) -> None:
        self._note("write_trailers", fields)

    async def write_file(self, descriptor: int, offset: int, count: int) -> int:
        self._note("write_file", offset, count)
        await asyncio.sleep(0)
        return min(count, self.file_limit)

    def flush(self) -> None:
        self._note("flush")

    def reset(self, reason: str) -> None:
        self._note("reset", reason)

    def response_complete(self) -> None:
        self._note("response_complete")

    async def drain(self) -> None:
        self._note("drain")
        await self._wait()

    async def drain_all(self) -> None:
        self._note("drain_all")
        if self.buffered:
            await self._wait()

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self.waiting.append(waiter)
        await waiter

    def resume(self) -> None:
        """Let everything go on that waits for the wire."""
        self.writable = True
        self.buffered = 0
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)


class Log(logging.Handler):
    """A logger of its own and what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.logger = logging.Logger("test", logging.DEBUG)
        self.logger.addHandler(self)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def texts(self) -> list[str]:
        return [record.getMessage() for record in self.records]

    @property
    def errors(self) -> list[BaseException | None]:
        """The exceptions that were logged with their traceback."""
        return [record.exc_info[1] if record.exc_info else None for record in self.records]


async def turns(count: int = 5) -> None:
    """Let everything run that is ready."""
    for _ in range(count):
        await asyncio.sleep(0)


class Scene:
    """One exchange on a fake stream.

    Args:
        app: the application; by default one that does nothing until the test's `finish`.
        options: of `Service`.
    """

    def __init__(self, app: Any = None, **options: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.log = Log()
        self.stream = FakeStream()
        self.scope: dict[str, Any] = {}
        self.receive: Any = None
        self.send: Any = None
        self._end = self.loop.create_future()
        options.setdefault("context", Context())
        self.service = Service(app or self._wait, self.loop, logger=self.log.logger, **options)
        self.exchange = HTTPExchange(self.service, self.stream, "1.2.3.4")

    async def _wait(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        await self._end

    def begin(self, head: RequestReceived | None = None) -> None:
        """Start the exchange from a callback of the loop, as a driver does."""
        template = self.service.scope_for("http", ("1.2.3.4", 5), ("127.0.0.1", 80))
        self.exchange.start(head or request(), template)

    async def run(self, head: RequestReceived | None = None) -> None:
        """Start the exchange and let it go as far as it can."""
        self.loop.call_soon(self.begin, head)
        await turns()

    async def finish(self, error: BaseException | None = None) -> None:
        """Let the application return, or raise ``error``."""
        if error is None:
            self._end.set_result(None)
        else:
            self._end.set_exception(error)
        await turns()

    @property
    def connection(self) -> Any:
        return self.exchange.connection

    async def close(self) -> None:
        """End what still runs."""
        for task in set(self.service.runner.tasks):
            task.cancel()
        self.service.runner.close()
        self.service.files.close()
        await turns()


async def manual(head: RequestReceived | None = None, **options: Any) -> Scene:
    """Start an exchange whose ``receive`` and ``send`` the test calls itself."""
    scene = Scene(**options)
    await scene.run(head)
    assert scene.send is not None
    return scene
