"""`HTTP1Driver`: joins a transport, an `HTTP1Connection` and one exchange after the other.

One source, two builds: compiled as ``_http1_c`` (see ``_http1_c.pxd``).

The driver is the protocol of the transport (it has asyncio's callbacks) and the `Stream` of the
exchange in progress: HTTP/1 has one at a time. Three rules keep it simple:

* **Bytes in are walked, then flushed.** While the driver walks the machine's events nothing is
  given to the transport, so that head, body and even pipelined responses leave in one write.
* **What an application sends between walks is flushed once per turn of the loop**, or at once
  when it completes the response or fills the high water mark.
* **Deadlines are stored.** Each read notes the coarse time; the worker's tick compares.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final

from pagi.protocol.events import (
    BodyReceived,
    ConnectionEnded,
    ConnectionFailed,
    MessageComplete,
    RequestReceived,
    StreamReset,
)
from pagi.protocol.http1.connection import HTTP1Connection
from pagi.server.connection.sendfile import PIECE_SIZE, read_piece, send_window
from pagi.server.exchange.http import HTTPExchange

if TYPE_CHECKING:
    from pagi.protocol.events import Fields
    from pagi.server.connection.context import ConnectionContext

__all__ = ["HTTP1Driver"]

#: Output that is not flushed by the end of the turn of the loop, but at once.
FLUSH_SIZE: Final = 65_536

_NO_FIELDS: Final[list[tuple[bytes, bytes]]] = []


class HTTP1Driver:
    """The protocol of one HTTP/1 connection."""

    __slots__ = (
        "__weakref__",
        "_client",
        "_client_text",
        "_clock",
        "_context",
        "_draining_all",
        "_exchange",
        "_flush_scheduled",
        "_head_since",
        "_idle_since",
        "_inbound",
        "_linger_until",
        "_lost",
        "_machine",
        "_reading",
        "_reason",
        "_served",
        "_server",
        "_stream_id",
        "_transport",
        "_waiters",
        "_walking",
        "_write_mark",
        "_write_moved",
        "_write_since",
        "_read_at",
        "writable",
    )

    def __init__(self, context: ConnectionContext) -> None:
        self._context = context
        self._clock = context.clock
        self._machine = HTTP1Connection(context.http1, context.defaults)
        self._transport: Any = None
        self._exchange: Any = None
        self._client: Any = None
        self._client_text = "-"
        self._server: Any = None
        self._stream_id = 0
        self._walking = False
        self._flush_scheduled = False
        self._draining_all = False
        self._lost = False
        self._reading = True
        self._served = False
        self._reason: str | None = None
        self._waiters: Any = None
        self._inbound = 0
        self._read_at = 0.0
        self._head_since = 0.0
        self._idle_since = 0.0
        self._linger_until = 0.0
        self._write_mark = 0
        self._write_moved = 0
        self._write_since = 0.0
        self.writable = True

    # ------------------------------------------------------------- what the transport calls

    def connection_made(self, transport: Any) -> None:
        """Take the transport of a new connection."""
        context = self._context
        self._transport = transport
        now = self._clock.now
        self._read_at = self._idle_since = now
        peer = transport.get_extra_info("peername")
        if type(peer) is tuple:
            self._client = (peer[0], peer[1])
            self._client_text = peer[0]
        else:
            self._client_text = "unix"
        local = transport.get_extra_info("sockname")
        self._server = (local[0], local[1]) if type(local) is tuple else (local or None, None)
        flow = context.flow
        # "At the mark" is above it: asyncio pauses beyond its high mark and resumes at its low.
        transport.set_write_buffer_limits(
            high=max(flow.write_high_watermark - 1, 0), low=max(flow.write_low_watermark - 1, 0)
        )
        full = len(context.connections) >= context.max_connections
        context.connections.add(self)
        if full:
            self._refuse_at_capacity()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        now = self._clock.now
        self._read_at = now
        if self._linger_until:
            return  # reading only so that the peer can read our last words
        self._walk(self._machine.receive_data(data, now))

    def eof_received(self) -> bool:
        """Take the end of the peer's bytes.

        A client that closes and one that only stops sending look the same here. Nearly all that
        stop have gone, and an application wants to know at once: the exchange is disconnected.
        Whole requests that came before the end have been answered if they needed no waiting.
        """
        if self._linger_until:
            return False
        self._walk(self._machine.receive_eof(self._clock.now))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn that the connection is gone."""
        self._lost = True
        self.writable = True
        context = self._context
        context.connections.discard(self)
        exchange, self._exchange = self._exchange, None
        self._wake_waiters()
        if exchange is not None:
            reason = self._reason
            if reason is None:
                reason = "client_closed"
                if exc is not None and not isinstance(exc, ConnectionError):
                    reason = "read_error"
            exchange.disconnected(reason, None if exc is None else type(exc).__name__)
        if context.closed is not None:
            context.closed()

    def pause_writing(self) -> None:
        """The buffered amount reached the high water mark."""
        self.writable = False
        self._write_since = self._clock.now
        if self._exchange is not None and not self._draining_all:
            self._exchange.above_high_water()

    def resume_writing(self) -> None:
        """The buffered amount fell below the low water mark."""
        self.writable = True
        self._wake_waiters()
        if self._exchange is not None and not self._draining_all:
            self._exchange.drained()

    # ------------------------------------------------------------- walking events

    def _walk(self, events: Any) -> None:
        machine = self._machine
        self._walking = True
        try:
            while True:
                for event in events:
                    self._handle(event)
                if not machine.pending or self._lost:
                    break
                events = machine.receive_data(b"", self._read_at)
        finally:
            self._walking = False
        self._flush_now()
        if self._exchange is None:
            if machine.idle:
                self._idle_since = self._read_at
                self._head_since = 0.0
            elif not self._head_since:
                self._head_since = self._read_at
        if machine.reading_paused or not self._reading:
            self._update_reading()

    def _handle(self, event: Any) -> None:
        kind = type(event)
        if kind is RequestReceived:
            self._begin(event)
        elif kind is BodyReceived:
            self._inbound += len(event.data)
            if self._exchange is not None:
                self._exchange.feed(event.data)
                if self._inbound >= self._context.flow.read_high_watermark:
                    self._update_reading()
        elif kind is MessageComplete:
            if self._exchange is not None:
                self._exchange.feed_end(event.trailers)
        elif kind is ConnectionFailed:
            self._failed(event)
        elif kind is StreamReset:
            self._end_exchange(event.reason, event.detail, 0)
        elif kind is ConnectionEnded:
            self._end_exchange("client_closed", None, 0)

    def _begin(self, event: Any) -> None:
        self._stream_id = event.stream_id
        self._head_since = 0.0
        self._inbound = 0
        self._served = True
        if event.authority is not None:
            # A tunnel to elsewhere is a proxy's business (RFC 9110 §9.3.6).
            for refusal in self._machine.refuse(501, "CONNECT is not served", "protocol_error"):
                self._failed(refusal)
            return
        context = self._context
        exchange = HTTPExchange(context.service, self, self._client_text)
        self._exchange = exchange
        exchange.start(event, context.scheme, self._client, self._server, None)

    def _failed(self, event: Any) -> None:
        """The peer broke the protocol; the machine has queued the answer."""
        context = self._context
        context.logger.debug("%s: %s", self._client_text, event.detail)
        if self._exchange is not None:
            self._end_exchange(event.reason, event.detail, event.status)
        elif context.log_rejected is not None and event.status:
            context.log_rejected(self._client_text, event.status, event.detail)

    def _end_exchange(self, reason: str, detail: str | None, status: int) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.disconnected(reason, detail or None, status)

    def _go_on(self) -> None:
        """Take up pipelined requests after a response that was completed between walks."""
        if not self._lost and self._exchange is None and self._machine.pending:
            self._walk(self._machine.receive_data(b"", self._read_at))

    def _refuse_at_capacity(self) -> None:
        context = self._context
        context.rejected += 1
        detail = f"{context.max_connections} connections are open"
        fields = [(b"retry-after", b"5")]
        for event in self._machine.refuse(503, detail, "server_error", fields):
            self._failed(event)
        self._flush_now()

    # ------------------------------------------------------------- reading

    def _update_reading(self) -> None:
        """Read on, or stop: the application or the pipeline has enough for now."""
        wanted = not self._machine.reading_paused and (
            self._exchange is None
            or self._inbound < self._context.flow.read_high_watermark
            or self._exchange.wants_body
        )
        if wanted != self._reading and not self._lost:
            self._reading = wanted
            if wanted:
                self._read_at = self._clock.now
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def want_body(self) -> None:
        """The application began to read: let the peer send its body."""
        if self._machine.continue_expected:
            self._machine.send_informational(self._stream_id, 100, _NO_FIELDS)
            self._flush_now()

    def consumed(self, size: int) -> None:
        """The application took ``size`` body bytes: reading may go on."""
        self._inbound -= size
        self._machine.consumed(self._stream_id, size)
        if not self._reading:
            self._update_reading()

    # ------------------------------------------------------------- writing

    def write_informational(self, status: int, fields: Fields) -> None:
        """Send a 1xx response."""
        self._machine.send_informational(self._stream_id, status, fields)

    def write_head(self, status: int, fields: Fields, size: int | None, trailers: bool) -> None:
        """Send the head; ``size`` is the body length if the whole body is at hand."""
        self._machine.send_head(self._stream_id, status, fields, size=size, trailers=trailers)

    def write_body(self, data: bytes, end: bool) -> None:
        """Send body bytes; ``end`` completes the body."""
        self._machine.send_body(self._stream_id, data, end=end)

    def write_trailers(self, fields: Fields) -> None:
        """Send trailer fields and complete the response."""
        self._machine.send_trailers(self._stream_id, fields)

    def flush(self) -> None:
        """End of one ``send``: give the output to the transport now, or once in this turn."""
        if self._machine.buffered(self._stream_id) >= FLUSH_SIZE:
            self._flush_now()
        elif not self._walking and not self._flush_scheduled:
            self._flush_scheduled = True
            self._context.service.loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_scheduled = False
        if self._lost:
            return
        machine = self._machine
        pieces = machine.data_to_send()
        if pieces:
            if len(pieces) == 1:
                self._transport.write(pieces[0])
            else:
                self._transport.writelines(pieces)
        if machine.finished and not self._linger_until:
            self._finish()

    def _finish(self) -> None:
        """Close after the last bytes, gently if the peer may be sending still.

        Closing a socket with unread bytes resets the connection, and a reset can overtake the
        answer: so the sending side is closed first and what comes is thrown away for a while.
        """
        transport = self._transport
        linger = self._context.timeouts.linger_timeout
        if self._machine.peer_may_send and linger and transport.can_write_eof():
            self._linger_until = self._clock.now + max(linger, 1.0)
            transport.write_eof()
            if not self._reading:
                self._reading = True
                transport.resume_reading()
        else:
            transport.close()

    def reset(self, reason: str) -> None:
        """Give the response up: what was written is sent, the rest is visibly missing."""
        self._exchange = None
        self._machine.reset(self._stream_id, reason)
        if not self._walking:
            self._flush_now()

    def response_complete(self) -> None:
        """The exchange needs the stream no more."""
        self._exchange = None
        if self._walking:
            return
        self._flush_now()
        self._idle_since = self._read_at = self._clock.now
        if self._machine.pending:
            self._context.service.loop.call_soon(self._go_on)
        if not self._reading:
            self._update_reading()

    def buffered_amount(self) -> int:
        """Bytes accepted and not yet given to the operating system."""
        if self._lost:
            return 0
        amount: int = self._machine.buffered(self._stream_id)
        return amount + int(self._transport.get_write_buffer_size())

    async def drain(self) -> None:
        """Wait until ``writable``; also returns when the connection is lost."""
        if self.writable or self._lost:
            return
        waiter = self._context.service.loop.create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        await waiter

    async def drain_all(self) -> None:
        """Wait until nothing is buffered; also returns when the connection is lost."""
        self._flush_now()
        transport = self._transport
        if self._lost or not transport.get_write_buffer_size():
            return
        flow = self._context.flow
        self._draining_all = True
        try:
            transport.set_write_buffer_limits(high=0, low=0)
            await self.drain()
        finally:
            if not self._lost:
                transport.set_write_buffer_limits(
                    high=max(flow.write_high_watermark - 1, 0),
                    low=max(flow.write_low_watermark - 1, 0),
                )
            self._draining_all = False

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    async def write_file(self, descriptor: int, offset: int, count: int) -> int:
        """Send ``count`` bytes of a regular file as body bytes, without ending the body.

        By ``sendfile`` where the framing leaves the bytes as they are and the transport owns a
        plain socket; whatever the socket does not take at once goes through the transport, which
        knows how to wait.
        """
        self._flush_now()
        loop = self._context.service.loop
        machine = self._machine
        out = self._raw_socket() if machine.body_is_raw else -1
        sent = 0
        while sent < count and not self._lost:
            if out >= 0 and not self._transport.get_write_buffer_size():
                moved = await send_window(loop, out, descriptor, offset + sent, count - sent)
                if moved >= 0 and not self._lost:
                    if moved == 0:
                        break
                    machine.account_body(self._stream_id, moved)
                    self._write_moved += moved
                    sent += moved
                    continue
                if self._lost:
                    break
            size = min(PIECE_SIZE, count - sent)
            data = await read_piece(loop, descriptor, offset + sent, size)
            if not data or self._lost:
                break
            machine.send_body(self._stream_id, data)
            sent += len(data)
            if out >= 0:
                await self.drain_all()
            else:
                self._flush_now()
                await self.drain()
        return sent

    def _raw_socket(self) -> int:
        """Return the descriptor of the transport's plain socket, or -1 (TLS, pipes, tests)."""
        transport = self._transport
        if transport.get_extra_info("sslcontext") is not None:
            return -1
        sock = transport.get_extra_info("socket")
        return -1 if sock is None else int(sock.fileno())

    # ------------------------------------------------------------- what the worker calls

    def on_tick(self, now: float) -> None:
        """Compare the deadlines with ``now``."""
        if self._lost:
            return
        if self._linger_until:
            if now >= self._linger_until:
                self._transport.abort()
            return
        timeouts = self._context.timeouts
        if self._transport.get_write_buffer_size():
            self._check_writing(now, timeouts.write_timeout)
        machine = self._machine
        if self._exchange is not None:
            timeout = timeouts.body_timeout
            if (
                timeout is not None
                and now - self._read_at >= timeout
                and self._reading
                and machine.reading_body
                and not machine.continue_expected
            ):
                self._time_out("the peer stopped sending its body")
        elif machine.idle:
            timeout = timeouts.keepalive_timeout if self._served else timeouts.header_timeout
            if timeout is not None and now - self._idle_since >= timeout:
                self._close("idle_timeout")
        else:
            timeout = timeouts.header_timeout
            since = self._head_since or self._read_at
            if timeout is not None and now - since >= timeout:
                self._time_out("the peer did not finish its request in time")

    def _check_writing(self, now: float, timeout: float | None) -> None:
        mark = int(self._transport.get_write_buffer_size()) - self._write_moved
        if mark != self._write_mark or not self._write_since:
            self._write_mark = mark
            self._write_since = now
        elif timeout is not None and now - self._write_since >= timeout:
            self._reason = "write_timeout"
            self._transport.abort()

    def _time_out(self, detail: str) -> None:
        for event in self._machine.refuse(408, detail, "client_timeout"):
            self._failed(event)
        self._flush_now()

    def _close(self, reason: str) -> None:
        self._reason = reason
        self._machine.close()
        self._flush_now()
        if not self._lost and not self._linger_until:
            self._transport.close()

    def shut_down(self) -> None:
        """Stop orderly: idle connections close now, others after their response."""
        self._machine.close()
        if self._exchange is None:
            self._flush_now()

    def abort(self, reason: str) -> None:
        """Give the connection up at once."""
        self._reason = reason
        if not self._lost:
            self._transport.abort()

    @property
    def busy(self) -> bool:
        """Whether a response is owed or output is waiting."""
        return self._exchange is not None or (
            not self._lost and bool(self._transport.get_write_buffer_size())
        )
