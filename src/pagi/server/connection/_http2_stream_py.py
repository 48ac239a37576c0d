"""`HTTP2Stream`: the port of an exchange on a connection of HTTP/2, and what all of them share.

One source, two builds: compiled as ``_http2_stream_c`` (see ``_http2_stream_c.pxd``).

What an application sends waits in the machine, by stream, until the driver pulls it: not faster
than the peer gives credit, nor than the transport takes it. So each stream has its own water marks,
and one that is not read does not hold up the others. Output is pulled once per turn of the loop, or
at once where there is much of it: responses of one turn share a write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pagi.protocol.http2.connection import HTTP2Connection
from pagi.server.connection.driver import RESOLUTION, ConnectionDriver
from pagi.server.connection.sendfile import PIECE_SIZE, read_cached, read_piece
from pagi.server.exchange.stream import Stream

if TYPE_CHECKING:
    from asyncio import Future

    from pagi.protocol.events import Fields
    from pagi.server.connection.context import ConnectionContext

__all__ = ["HTTP2Output", "HTTP2Stream"]

#: What one stream may have waiting before it is pulled at once, and not at the end of the turn.
_FLUSH_SIZE: Final = 65_536
#: Pulled at a time.
_PULL_SIZE: Final = 131_072

_NO_FIELDS: Final[list[tuple[bytes, bytes]]] = []


class HTTP2Output(ConnectionDriver):
    """The writing half of the driver of HTTP/2."""

    __slots__ = ("_flush_size", "_full", "_high", "_http2", "_low", "_pull_size", "_streams")

    def __init__(self, context: ConnectionContext) -> None:
        ConnectionDriver.__init__(self, context)
        assert context.http2 is not None
        self._http2 = HTTP2Connection(context.http2, context.defaults)
        self._machine = self._http2
        self._streams: dict[int, HTTP2Stream] = {}
        self._full: list[HTTP2Stream] = []  # those that are not writable, or wait to be empty
        self._high = context.flow.write_high_watermark
        self._low = context.flow.write_low_watermark
        self._flush_size = min(_FLUSH_SIZE, self._high)
        self._pull_size = max(_PULL_SIZE, self._high)

    def _flush_soon(self) -> None:
        """Pull at the end of this turn of the loop, with what else is sent until then."""
        if not self._walking and not self._flush_scheduled and not self._lost:
            self._flush_scheduled = True
            self._batch.flush_later(self)

    def _flush_now(self) -> None:
        """Give the transport what may be sent, as long as it takes it."""
        machine = self._http2
        if self._lost:
            return
        while self.writable:
            pieces = machine.data_to_send(self._pull_size)
            if not pieces:
                break
            data = pieces[0]
            own = self._own
            if own is not None:
                own.write(data)
            else:
                self._write(data)
            if self._lost or len(data) < self._pull_size:
                break
        if self._full and not self._lost:
            self._look_at_full()
        if machine.pending:  # exchanges are told before their streams are forgotten
            self._context.service.loop.call_soon(self._go_on)
        elif machine.closed:
            self._forget_closed()
        if machine.finished and not self._linger_until and not self._lost:
            self._finish()

    def _go_on(self) -> None:
        """Take up what pulling has brought to light; the reading half knows how."""

    def _writable_again(self) -> None:
        """The transport has taken what it was given: pull more."""
        if not self._lost:
            self._flush_now()

    def _amount(self, stream_id: int) -> int:
        """Return how much of a stream is not yet given to the operating system, at most."""
        return self._http2.buffered(stream_id) + int(self._transport.get_write_buffer_size())

    def _look_at_full(self) -> None:
        """Let streams go on whose output has left."""
        full, self._full = self._full, []
        for stream in full:
            if stream.lost or stream.is_relieved():
                stream.relieve()
            else:
                self._full.append(stream)

    def _forget_closed(self) -> None:
        machine = self._http2
        closed, machine.closed = machine.closed, []
        for stream_id in closed:
            stream = self._streams.pop(stream_id, None)
            if stream is not None:
                stream.lose()
        if not self._streams:
            self._became_idle()

    def _became_idle(self) -> None:
        """No stream is open any more."""


class HTTP2Stream(Stream):
    """One stream of a connection, as its exchange sees it.

    Attributes:
        awaits_continue: the peer waits for ``100 (Continue)`` before it sends the body.
        exchange: the exchange, until it is over.
        lost: nothing more can be sent.
        heard_at: when body bytes came, or were asked for.
    """

    __slots__ = (
        "_driver",
        "_emptying",
        "_mark",
        "_marked_at",
        "_stream_id",
        "_waiters",
        "_written",
        "awaits_continue",
        "exchange",
        "heard_at",
        "lost",
    )

    def __init__(self, driver: HTTP2Output, stream_id: int, awaits_continue: bool) -> None:
        self.writable = True
        self.exchange: Any = None
        self.lost = False
        self._driver = driver
        self.heard_at = self._driver._clock.now
        self._stream_id = stream_id
        self.awaits_continue = awaits_continue
        self._emptying = False
        self._written = 0
        self._mark = 0
        self._marked_at = 0.0
        self._waiters: list[Future[None]] | None = None

    # ------------------------------------------------------------- reading

    def want_body(self) -> None:
        """The application began to read: let the peer send its body."""
        if self.awaits_continue and not self.lost:
            self.awaits_continue = False
            driver = self._driver
            self.heard_at = driver._clock.now
            driver._http2.send_informational(self._stream_id, 100, _NO_FIELDS)
            driver._flush_soon()

    def consumed(self, size: int) -> None:
        """The application took ``size`` body bytes: the peer gets credit for as many."""
        driver = self._driver
        driver._http2.consumed(self._stream_id, size)
        driver._flush_soon()

    # ------------------------------------------------------------- writing

    def write_informational(self, status: int, fields: Fields) -> None:
        """Send a 1xx response."""
        self._driver._http2.send_informational(self._stream_id, status, fields)

    def write_head(
        self, status: int, fields: Fields, size: int | None, trailers: bool, at_least: int
    ) -> None:
        """Send the head; see `Stream.write_head`."""
        self._driver._http2.send_head(self._stream_id, status, fields, size, trailers, at_least)

    def write_response(self, status: int, fields: Fields, data: bytes) -> None:
        """Send a whole response: head, body and end. If it raises nothing was sent."""
        self._driver._http2.send_response(self._stream_id, status, fields, data)
        self._written += len(data)

    def write_body(self, data: bytes, end: bool) -> None:
        """Send body bytes; ``end`` completes the body."""
        self._driver._http2.send_body(self._stream_id, data, end)
        self._written += len(data)

    def write_trailers(self, fields: Fields) -> None:
        """Send trailer fields and complete the response."""
        self._driver._http2.send_trailers(self._stream_id, fields)

    def switch(self, fields: Fields) -> int:
        """Accept an extended CONNECT: bytes are opaque from now on."""
        driver = self._driver
        driver._http2.switch(self._stream_id, fields)
        driver._flush_soon()
        return 200

    def flush(self) -> None:
        """End of one ``send``: pull now if there is much, or once in this turn."""
        driver = self._driver
        amount = driver._http2.buffered(self._stream_id)
        if amount >= driver._flush_size and not driver._walking:
            driver._flush_now()
        else:
            driver._flush_soon()
        if self.writable and not self.lost and driver._amount(self._stream_id) >= driver._high:
            self._fill()

    def _fill(self) -> None:
        self.writable = False
        self._driver._full.append(self)
        if self.exchange is not None:
            self.exchange.above_high_water()

    def is_relieved(self) -> bool:
        """Tell whether what was waited for has come: less than the low mark, or nothing."""
        driver = self._driver
        if self._emptying:
            return not driver._http2.buffered(self._stream_id)
        return driver._amount(self._stream_id) < max(driver._low, 1)

    def relieve(self) -> None:
        """Let whoever waits go on."""
        was_full = not self.writable
        self.writable = True
        self._emptying = False
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        if was_full and self.exchange is not None:
            self.exchange.drained()

    def reset(self, reason: str) -> None:
        """Give the response up: RST_STREAM, behind which nothing comes."""
        self.exchange = None
        driver = self._driver
        driver._http2.reset(self._stream_id, reason)
        driver._flush_soon()

    def response_complete(self) -> None:
        """The exchange needs the stream no more."""
        self.exchange = None
        self._driver._flush_soon()

    def lose(self) -> None:
        """Nothing more can be sent: let whoever waits go on."""
        self.lost = True
        self.exchange = None
        self.relieve()

    def buffered_amount(self) -> int:
        """Bytes accepted and not yet given to the operating system."""
        driver = self._driver
        return 0 if self.lost or driver._lost else driver._amount(self._stream_id)

    # ------------------------------------------------------------- files

    def begin_file(self, descriptor: int, offset: int, count: int) -> int:
        """Send of ``count`` bytes of a regular file what needs no waiting; see `Stream`."""
        driver = self._driver
        driver._http2.expect_body(self._stream_id, count)
        if self.lost or not self.writable:
            return 0
        data = read_cached(descriptor, offset, min(count, PIECE_SIZE))
        self.write_body(data, False)
        self.flush()
        return len(data)

    async def write_file(self, descriptor: int, offset: int, count: int) -> int:
        """Send ``count`` bytes of a regular file as body bytes, without ending the body."""
        driver = self._driver
        driver._http2.expect_body(self._stream_id, count)
        loop = driver._context.service.loop
        sent = 0
        while sent < count and not self.lost:
            size = min(PIECE_SIZE, count - sent)
            data = await read_piece(loop, descriptor, offset + sent, size)
            if not data or self.lost:
                break
            self.write_body(data, False)
            sent += len(data)
            self.flush()
            await self.drain()
        return sent

    # ------------------------------------------------------------- waiting

    async def drain(self) -> None:
        """Wait until ``writable``; also returns when the stream is lost."""
        if not self.writable and not self.lost:
            await self._wait()

    async def drain_all(self) -> None:
        """Wait until nothing is buffered; also returns when the stream is lost."""
        driver = self._driver
        driver._flush_now()
        if not self.lost and driver._http2.buffered(self._stream_id):
            self._emptying = True
            if self.writable:
                driver._full.append(self)
            await self._wait()
        if not self.lost:
            await driver.drain_all()

    async def _wait(self) -> None:
        waiter = self._driver._context.service.loop.create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        await waiter

    def is_stalled(self, now: float, timeout: float) -> bool:
        """Tell whether the peer has not let anything of the output go for so long."""
        queued = self._driver._http2.buffered(self._stream_id)
        mark = self._written - queued
        if not queued or mark != self._mark or not self._marked_at:
            self._mark = mark
            self._marked_at = now
            return False
        return now - self._marked_at >= timeout + RESOLUTION
