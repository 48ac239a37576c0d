"""`HTTP1Driver`: joins a transport, an `HTTP1Connection` and one exchange after the other.

One source, two builds: compiled as ``_http1_c`` (see ``_http1_c.pxd``).

The driver is the protocol of the transport (it has asyncio's callbacks) and the `Stream` of the
exchange in progress: HTTP/1 has one at a time. Two rules keep it simple:

* **Bytes in are walked, then flushed.** While the driver walks the machine's events nothing is
  given to the transport, so that head, body and even pipelined responses leave in one write.
* **What an application sends between walks is flushed once per turn of the loop**, or at once
  when it completes the response or there is much of it.
"""

from __future__ import annotations

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
from pagi.server.connection.driver import RESOLUTION, ConnectionDriver
from pagi.server.connection.kernel import unread
from pagi.server.connection.sendfile import (
    PIECE_SIZE,
    WINDOW_SIZE,
    read_cached,
    read_piece,
    send_window,
)
from pagi.server.connection.syscalls import is_cached, move_file
from pagi.server.exchange.making import make_http_exchange

if TYPE_CHECKING:
    from pagi.protocol.events import Fields
    from pagi.server.connection.context import ConnectionContext

__all__ = ["HTTP1Driver"]

#: Output that is not flushed by the end of the turn of the loop, but at once.
FLUSH_SIZE: Final = 65_536

#: During a stop, how long a connection that is idle may take to begin a last request (seconds).
STOP_GRACE: Final = 1.0

_NO_FIELDS: Final[list[tuple[bytes, bytes]]] = []


class HTTP1Driver(ConnectionDriver):
    """The protocol of one HTTP/1 connection."""

    __slots__ = (
        "_exchange",
        "_flush_size",
        "_head_since",
        "_http1",
        "_idle_since",
        "_inbound",
        "_request",
        "_served",
        "_stopping_since",
        "_stream_id",
        "_template",
    )

    def __init__(self, context: ConnectionContext) -> None:
        ConnectionDriver.__init__(self, context)
        self._http1 = HTTP1Connection(context.http1, context.defaults)
        self._machine = self._http1
        self._flush_size = min(FLUSH_SIZE, context.flow.write_high_watermark)
        self._exchange: Any = None
        self._request: Any = None
        self._stream_id = 0
        self._template: Any = None
        self._served = False
        self._inbound = 0  # body bytes the application has not taken yet
        self._head_since = 0.0
        self._idle_since = context.clock.now
        self._stopping_since = 0.0

    def _opened(self, full: bool) -> None:
        if full:
            self._refuse_at_capacity()

    def _closed(self, reason: str, detail: str | None) -> None:
        self._end_exchange(reason, detail, 0)

    def _crossed(self, high: bool) -> None:
        if self._exchange is not None:
            if high:
                self._exchange.above_high_water()
            else:
                self._exchange.drained()

    def _writable_again(self) -> None:
        if self._exchange is None and not self._lost:
            if self._http1.pending:
                self._context.service.loop.call_soon(self._go_on)
            if not self._reading:
                self._update_reading()

    # ------------------------------------------------------------- what the transport calls

    def _serve_bytes(self, data: bytes) -> None:
        now = self._clock.now
        self._read_at = now
        if self._linger_until:
            return  # reading only so that the peer can read our last words
        self._walk(self._http1.receive_data(data, now))

    def eof_received(self) -> bool:
        """Take the end of the peer's bytes.

        A client that closes and one that only stops sending look the same here. Nearly all that
        stop have gone, and an application wants to know at once: the exchange is disconnected.
        Whole requests that came before the end have been answered if they needed no waiting.
        """
        if self._received is not None:
            self._serve_received(False)
        if self._linger_until:
            return False
        self._walk(self._http1.receive_eof(self._clock.now))
        return False

    # ------------------------------------------------------------- walking events

    def _walk(self, events: Any) -> None:
        machine = self._http1
        self._walking = True
        try:
            while True:
                for event in events:
                    self._handle(event)
                if self._request is not None:
                    self._start()
                if not machine.pending or self._lost:
                    break
                if machine.buffered(self._stream_id) >= FLUSH_SIZE:
                    self._flush_now()
                if not self.writable:  # a peer that asks on and reads nothing
                    break
                events = machine.receive_data(b"", self._read_at)
        finally:
            self._walking = False
        if not self._deferred:
            self._flush_now()
        if self._exchange is None:
            if machine.idle:
                if self._served:
                    self._idle_since = self._read_at
                self._head_since = 0.0
            elif not self._head_since and not machine.pending:
                self._head_since = self._read_at if self._served else self._idle_since
        if machine.reading_paused or not self._reading or not self.writable:
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
            for refusal in self._http1.refuse(501, "CONNECT is not served", "protocol_error"):
                self._failed(refusal)
            return
        context = self._context
        if event.scheme == "https" and context.scheme != "https":
            # Nothing has secured this connection (RFC 9110 §7.4).
            for refusal in self._http1.refuse(421, "https without TLS", "protocol_error"):
                self._failed(refusal)
            return
        if self._stopping_since:
            self._http1.close()
        self._exchange = make_http_exchange(context.service, self, self._client_text)
        # Started after the walk: the body that came with the head is then there to be received.
        self._request = event

    def _start(self) -> None:
        request, self._request = self._request, None
        exchange = self._exchange
        if exchange is not None:
            template = self._template
            if template is None:
                context = self._context
                template = self._template = context.service.scope_for(
                    context.scheme, self._client, self._server
                )
            exchange.start(request, template)

    def _failed(self, event: Any) -> None:
        """The peer broke the protocol; the machine has queued the answer."""
        context = self._context
        context.logger.debug("%s: %s", self._client_text, event.detail)
        if self._request is not None:  # the application has not heard of it yet
            self._request = self._exchange = None
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
        if self._exchange is None and self._http1.pending and self.writable and not self._lost:
            self._walk(self._http1.receive_data(b"", self._read_at))

    def _refuse_at_capacity(self) -> None:
        context = self._context
        context.rejected += 1
        detail = f"{context.max_connections} connections are open"
        fields = [(b"retry-after", b"5")]
        for event in self._http1.refuse(503, detail, "server_error", fields):
            self._failed(event)
        self._flush_now()

    # ------------------------------------------------------------- reading

    def _update_reading(self) -> None:
        """Read on, or stop: the application, the pipeline or the peer has enough for now."""
        if self._exchange is None:
            wanted = self.writable or self._http1.reading_body
        else:
            wanted = (
                self._inbound < self._context.flow.read_high_watermark or self._exchange.wants_body
            )
        if self._http1.reading_paused:
            wanted = False
        if wanted != self._reading and not self._lost and not self._linger_until:
            self._reading = wanted
            if wanted:
                self._read_at = self._clock.now
                if self._head_since:
                    self._head_since = self._read_at
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def want_body(self) -> None:
        """The application began to read: let the peer send its body."""
        if self._http1.continue_expected:
            self._read_at = self._clock.now  # from here on the body is due
            self._http1.send_informational(self._stream_id, 100, _NO_FIELDS)
            self._flush_now()

    def consumed(self, size: int) -> None:
        """The application took ``size`` body bytes: reading may go on."""
        self._inbound -= size
        self._http1.consumed(self._stream_id, size)
        if not self._reading:
            self._update_reading()

    # ------------------------------------------------------------- writing

    def write_informational(self, status: int, fields: Fields) -> None:
        """Send a 1xx response."""
        self._http1.send_informational(self._stream_id, status, fields)

    def write_head(
        self, status: int, fields: Fields, size: int | None, trailers: bool, at_least: int
    ) -> None:
        """Send the head; see `Stream.write_head`."""
        self._http1.send_head(self._stream_id, status, fields, size, trailers, at_least)

    def write_response(self, status: int, fields: Fields, data: bytes) -> None:
        """Send a whole response: head, body and end. If it raises nothing was sent."""
        self._http1.send_response(self._stream_id, status, fields, data)

    def write_body(self, data: bytes, end: bool) -> None:
        """Send body bytes; ``end`` completes the body."""
        self._http1.send_body(self._stream_id, data, end)

    def write_trailers(self, fields: Fields) -> None:
        """Send trailer fields and complete the response."""
        self._http1.send_trailers(self._stream_id, fields)

    def flush(self) -> None:
        """End of one ``send``: give the output to the transport now, or once in this turn."""
        if self._http1.buffered(self._stream_id) >= self._flush_size:
            self._flush_now()
        elif not self._walking and not self._flush_scheduled:
            self._flush_scheduled = True
            self._context.service.loop.call_soon(self._flush_scheduled_output)

    def _take_output(self) -> list[bytes]:
        return self._http1.data_to_send()

    def _is_finished(self) -> bool:
        return self._http1.finished

    def reset(self, reason: str) -> None:
        """Give the response up: what was written is sent, the rest is visibly missing.

        After the application's own abort nothing more is sent.
        """
        self._exchange = None
        # A body that only the end of the connection delimits would look whole after an orderly one.
        hard = reason == "app_abort" or self._http1.body_ends_with_connection
        self._http1.reset(self._stream_id, reason)
        if hard:
            self.abort(reason)
        elif not self._walking:
            self._flush_now()

    def response_complete(self) -> None:
        """The exchange needs the stream no more."""
        self._exchange = None
        if self._walking:
            return
        self._flush_now()
        self._idle_since = self._read_at = self._clock.now
        if self._http1.pending:
            self._context.service.loop.call_soon(self._go_on)
        if not self._reading:
            self._update_reading()

    def buffered_amount(self) -> int:
        """Bytes accepted and not yet given to the operating system."""
        if self._lost:
            return 0
        amount: int = self._http1.buffered(self._stream_id)
        return amount + int(self._transport.get_write_buffer_size())

    def begin_file(self, descriptor: int, offset: int, count: int) -> int:
        """Send of ``count`` bytes of a regular file what needs no waiting; see `Stream`."""
        machine = self._http1
        machine.expect_body(self._stream_id, count)
        if self._lost or not self.writable:
            return 0
        if self._raw_socket() < 0 or not machine.is_body_raw():
            data = read_cached(descriptor, offset, min(count, PIECE_SIZE))
            machine.send_body(self._stream_id, data)
            self.flush()
            return len(data)
        count = min(count, WINDOW_SIZE)
        if not is_cached(descriptor, offset, count):
            return 0
        self._flush_ahead()
        moved = -1
        if not self._lost and not self._transport.get_write_buffer_size():
            moved = move_file(self._raw_socket(), descriptor, offset, count)
        if moved <= 0:
            return 0
        machine.account_body(self._stream_id, moved)
        self._write_moved += moved
        return moved

    def _flush_ahead(self) -> None:
        """Flush what a file follows at once, so that they share a segment where that can be."""
        own = self._own
        if own is not None:
            own.more_follows = True
        self._flush_now()
        if own is not None:
            own.more_follows = False

    async def write_file(self, descriptor: int, offset: int, count: int) -> int:
        """Send ``count`` bytes of a regular file as body bytes, without ending the body.

        By ``sendfile`` where the framing leaves the bytes as they are and the transport owns a
        plain socket; whatever the socket does not take at once goes through the transport, which
        knows how to wait.
        """
        machine = self._http1
        machine.expect_body(self._stream_id, count)
        self._flush_now()
        loop = self._context.service.loop
        out = self._raw_socket() if machine.is_body_raw() else -1
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

    # ------------------------------------------------------------- what the worker calls

    def _check_reading(self, now: float) -> None:
        timeouts = self._context.timeouts
        machine = self._http1
        if self._exchange is not None or machine.reading_body:
            timeout = timeouts.body_timeout
            if (
                timeout is not None
                and now - self._read_at >= timeout + RESOLUTION
                and self._reading
                and machine.reading_body
                and not machine.continue_expected
            ):
                self._time_out("the peer stopped sending its body")
        elif machine.idle:
            if self._transport.get_write_buffer_size():
                self._idle_since = now  # the response is still on its way
            elif now - self._idle_since >= RESOLUTION:
                machine.rest()
            timeout = timeouts.keepalive_timeout if self._served else timeouts.header_timeout
            if timeout is not None and now - self._idle_since >= timeout + RESOLUTION:
                self._close("idle_timeout")
            elif self._stopping_since and now - self._stopping_since >= STOP_GRACE:
                self._close("server_shutdown")
        else:
            timeout = timeouts.header_timeout
            since = self._head_since or self._read_at
            if timeout is not None and now - since >= timeout + RESOLUTION and self._reading:
                self._time_out("the peer did not finish its request in time")

    def _time_out(self, detail: str) -> None:
        for event in self._http1.refuse(408, detail, "client_timeout"):
            self._failed(event)
        self._flush_now()

    def _close(self, reason: str) -> None:
        self._reason = reason
        self._http1.close()
        self._flush_now()
        if not self._lost and not self._linger_until:
            self._transport.close()

    def expect_stop(self) -> None:
        """Say ``Connection: close`` from here on; close nothing yet."""
        self._stopping_since = self._clock.now
        if self._exchange is not None:
            self._http1.close()

    def shut_down(self) -> None:
        """Stop orderly: idle connections close now, others after their response.

        A request that is already on its way is not lost: a connection that has sent nothing yet,
        or has bytes waiting in the operating system, may begin one more.
        """
        if self._received is not None:
            self._serve_received(False)
        self.expect_stop()
        idle = self._exchange is None and self._served and self._http1.idle
        if idle and not unread(self._raw_socket()):
            self._close("server_shutdown")
