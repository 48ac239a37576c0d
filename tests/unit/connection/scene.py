"""A stage for a driver: a transport that only takes notes, a clock that the test moves."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

from pagi.protocol.connection import DefaultFields
from pagi.server.config.settings import Flow, Timeouts
from pagi.server.connection.context import Clock, ConnectionContext
from pagi.server.connection.http1 import HTTP1Driver
from pagi.server.exchange.service import Service
from tests.unit.exchange.scene import LAST, MORE, START, Log, body, start, turns

__all__ = [
    "LAST",
    "MORE",
    "START",
    "FakeTransport",
    "Peer",
    "body",
    "get",
    "post",
    "start",
    "turns",
]


def get(target: str = "/", *lines: str, version: str = "1.1", method: str = "GET") -> bytes:
    """Make the head of a request."""
    return "\r\n".join([f"{method} {target} HTTP/{version}", "Host: h", *lines, "", ""]).encode()


def post(data: bytes, *lines: str) -> bytes:
    """Make a request with a body."""
    return get("/", f"Content-Length: {len(data)}", *lines, method="POST") + data


class FakeTransport:
    """Behaves as asyncio's transports do, but that bytes go to a list.

    Attributes:
        writes: what was written, call by call.
        stuck: nothing that is written leaves any more, until the peer calls `take`.
        reading: whether reading was not paused.
        log: other calls, by name.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, **extra: Any) -> None:
        self.loop = loop
        self.extra: dict[str, Any] = {
            "peername": ("1.2.3.4", 5),
            "sockname": ("127.0.0.1", 80),
            **extra,
        }
        self.protocol: Any = None
        self.writes: list[bytes] = []
        self.log: list[str] = []
        self.stuck = False
        self.buffered = 0
        self.reading = True
        self.closing = False
        self.half_closes = True
        self.eof_error: OSError | None = None
        self._paused = False
        self._gone = False
        self._high, self._low = 1 << 16, 1 << 14

    @property
    def data(self) -> bytes:
        """All that was written."""
        return b"".join(self.writes)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.extra.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        assert low is not None
        self._high, self._low = high, low
        self._maybe_pause()

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def write(self, data: bytes) -> None:
        assert not self._gone, "a write after the end"
        if self.closing:
            return
        self.writes.append(bytes(data))
        if self.stuck:
            self.buffered += len(data)
            self._maybe_pause()

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def _maybe_pause(self) -> None:
        if self.buffered > self._high and not self._paused:
            self._paused = True
            self.protocol.pause_writing()

    def take(self, size: int | None = None) -> None:
        """Let ``size`` bytes leave, or all."""
        self.buffered -= self.buffered if size is None else size
        if self._paused and self.buffered <= self._low:
            self._paused = False
            self.protocol.resume_writing()
        if not self.buffered and self.closing:
            self._leave(None)

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def can_write_eof(self) -> bool:
        return self.half_closes

    def write_eof(self) -> None:
        if self.eof_error is not None:
            raise self.eof_error
        self.log.append("write_eof")

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.log.append("close")
            if not self.buffered:
                self._leave(None)

    def abort(self) -> None:
        self.log.append("abort")
        self.closing = True
        self.buffered = 0
        self._leave(None)

    def _leave(self, error: Exception | None) -> None:
        if not self._gone:
            self._gone = True
            self.loop.call_soon(self.protocol.connection_lost, error)

    def lose(self, error: Exception | None = None) -> None:
        """Let the connection end from outside."""
        self.closing = True
        self._leave(error)


class Peer:
    """A driver with its transport, an application, and what the test does as the client.

    Args:
        app: the application; without one each request is kept in ``requests`` and waits.
        connected: whether the transport is there from the beginning.
        options: of `ConnectionContext`, and those of `Timeouts` and `Flow` by their names.
    """

    def __init__(self, app: Any = None, *, connected: bool = True, **options: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.log = Log()
        self.requests: list[Request] = []
        slices: dict[str, dict[str, Any]] = {"timeouts": {}, "flow": {}}
        for name in list(options):
            for slice_name, kind in (("timeouts", Timeouts), ("flow", Flow)):
                if name in kind.__dataclass_fields__:
                    slices[slice_name][name] = options.pop(name)
        self.flow = Flow(**slices["flow"])
        self.access: list[Any] = []
        self.rejected: list[Any] = []
        self.service = Service(
            app or self._app,
            self.loop,
            flow=self.flow,
            context=Context(),
            logger=self.log.logger,
            log_access=lambda *line: self.access.append(line),
            time=options.pop("time", None),
        )
        self.service.runner.prepare()
        self.clock = Clock(1000.0)
        self.connections: set[Any] = set()
        self.context = ConnectionContext(
            self.service,
            self.clock,
            DefaultFields(b"now", b"pagi"),
            self.connections,
            timeouts=Timeouts(**slices["timeouts"]),
            flow=self.flow,
            log_rejected=lambda *line: self.rejected.append(line),
            logger=self.log.logger,
            **options,
        )
        self.driver = HTTP1Driver(self.context)
        self.transport = FakeTransport(self.loop)
        self.transport.protocol = self.driver
        if connected:
            self.driver.connection_made(self.transport)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive, send)
        self.requests.append(request)
        await request.end

    @property
    def request(self) -> Request:
        """The last request that the application got."""
        return self.requests[-1]

    async def send(self, data: bytes) -> None:
        """Send bytes to the server and let everything run."""
        await turns()
        self.loop.call_soon(self.driver.data_received, data)
        await turns()

    async def end(self) -> None:
        """Send no more."""

        def eof() -> None:
            if not self.driver.eof_received():
                self.transport.close()

        self.loop.call_soon(eof)
        await turns()

    async def tick(self, seconds: float) -> None:
        """Move the clock and let the driver look at it."""
        self.clock.now += seconds
        self.driver.on_tick(self.clock.now)
        await turns()

    @property
    def data(self) -> bytes:
        """All that the server wrote."""
        return self.transport.data

    @property
    def gone(self) -> bool:
        """Whether the connection has ended."""
        return self.driver not in self.connections

    async def close(self) -> None:
        """End what still runs."""
        if not self.gone:
            self.transport.lose()
            await turns()
        for task in set(self.service.runner.tasks):
            task.cancel()
        self.service.runner.close()
        await turns()


class Request:
    """A request whose application the test plays."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.end = asyncio.get_running_loop().create_future()

    @property
    def connection(self) -> Any:
        return self.scope["pagi.connection"]

    @property
    def reason(self) -> str | None:
        """Why it ended, as the application sees it."""
        return self.scope["pagi.connection"].disconnect_reason

    async def answer(self, data: bytes = b"ok", **fields: Any) -> None:
        """Send a whole response and let everything run."""
        await self.send(start(**fields))
        await self.send(body(data))
        await turns()

    async def finish(self, error: BaseException | None = None) -> None:
        """Return, or raise ``error``."""
        if error is None:
            self.end.set_result(None)
        else:
            self.end.set_exception(error)
        await turns()
