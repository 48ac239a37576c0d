"""`HTTP1Driver`: joins a transport, an `HTTP1Connection` and one exchange after the other.

One source, two builds: compiled as ``_http1_c`` (see ``_http1_c.pxd``).

The driver is the protocol of the transport: it has asyncio's callbacks. Bytes in are walked, then
flushed: while it walks the machine's events nothing is given to the transport, so that head, body
and even pipelined responses leave in one write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pagi.protocol.errors import RemoteProtocolError
from pagi.protocol.events import (
    BodyReceived,
    BytesReceived,
    ConnectionEnded,
    ConnectionFailed,
    MessageComplete,
    RequestReceived,
    StreamReset,
)
from pagi.protocol.http2.codes import PREFACE
from pagi.protocol.websocket.handshake import refusal_fields
from pagi.server.connection.driver import RESOLUTION
from pagi.server.connection.http1_stream import FLUSH_SIZE, HTTP1Stream
from pagi.server.connection.http2 import HTTP2Driver
from pagi.server.connection.kernel import unread
from pagi.server.exchange.making import make_http_exchange
from pagi.server.exchange.websocket import WebSocketExchange

if TYPE_CHECKING:
    from pagi.server.connection.context import ConnectionContext

__all__ = ["HTTP1Driver"]

#: During a stop, how long a connection that is idle may take to begin a last request (seconds).
STOP_GRACE: Final = 1.0
#: An idle connection that read something so lately (seconds) is likely to be used again at once:
#: closing it would race with the request. Clients under load use theirs every few milliseconds.
BUSY: Final = 2.0


class HTTP1Driver(HTTP1Stream):
    """The protocol of one HTTP/1 connection."""

    __slots__ = (
        "_head_since",
        "_preface",
        "_request",
        "_served",
        "_stopping_since",
    )

    def __init__(self, context: ConnectionContext) -> None:
        HTTP1Stream.__init__(self, context)
        self._preface = b""  # what may be the beginning of the preface of HTTP/2
        self._request: Any = None
        self._served = False
        self._head_since = 0.0
        self._stopping_since = 0.0

    def _opened(self, full: bool) -> None:
        if full:
            self._refuse_at_capacity()

    def _closed(self, reason: str, detail: str | None) -> None:
        self._end_exchange(reason, detail, 0)

    def _crossed(self, high: bool) -> None:
        exchange = self._exchange
        if exchange is not None:
            if high:
                exchange.above_high_water()
            else:
                exchange.drained()

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
        if not self._served and self._context.http2 is not None:
            data = self._without_preface(data)
            if not data:
                return
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
        exchange = self._exchange  # what it is told may be its end, and the last use of it
        if kind is RequestReceived:
            self._begin(event)
        elif kind is BodyReceived or kind is BytesReceived:
            self._inbound += len(event.data)
            if exchange is not None:
                exchange.feed(event.data)
                if self._inbound >= self._context.flow.read_high_watermark:
                    self._update_reading()
        elif kind is MessageComplete:
            if exchange is not None:
                exchange.feed_end(event.trailers)
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
        if event.upgrade is not None and event.upgrade == b"websocket":
            self._begin_websocket(event)
        elif event.upgrade is not None and event.upgrade == b"h2c" and self._upgrade(event):
            return
        else:
            self._exchange = make_http_exchange(context.service, self, self._client_text)
        # Started after the walk: the body that came with the head is then there to be received.
        self._request = event

    def _begin_websocket(self, event: Any) -> None:
        exchange = WebSocketExchange(self._context.service, self, self._client_text)
        try:
            exchange.read_request(event)
        except RemoteProtocolError as error:
            fields = refusal_fields(error)
            for refusal in self._http1.refuse(error.status, error.detail, error.reason, fields):
                self._failed(refusal)
            return
        self._exchange = exchange

    # ------------------------------------------------------------- HTTP/2

    def _without_preface(self, data: bytes) -> bytes:
        """Return what is HTTP/1's to read: nothing if this is HTTP/2, or may be (RFC 9113 §3.3)."""
        if self._preface:
            data = self._preface + data
            self._preface = b""
        elif data[0] != PREFACE[0] or not self._http1.idle:
            return data
        if data.startswith(PREFACE):
            driver = HTTP2Driver(self._context)
            self._hand_over(driver)
            driver.data_received(data)
            return b""
        if PREFACE.startswith(data):
            self._preface = data
            return b""
        return data

    def _upgrade(self, request: Any) -> bool:
        """Go on with HTTP/2 on this connection if that was asked for rightly (RFC 7540 §3.2)."""
        context = self._context
        settings = [value for name, value in request.fields if name == b"http2-settings"]
        if context.http2 is None or not context.http2_settings.upgrade:
            return False
        if len(settings) != 1 or not request.end or context.scheme != "http":
            return False
        driver = HTTP2Driver(context)
        try:
            driver.upgrade(request, settings[0])
        except ValueError:
            return False
        machine = self._http1
        machine.switch(self._stream_id, [])
        self._flush_ahead()
        early: Any = machine.receive_data(b"", self._read_at) if machine.pending else []
        if not self._lost:
            self._hand_over(driver)
            for event in early:
                driver.data_received(event.data)
        return True

    def _hand_over(self, driver: HTTP2Driver) -> None:
        """Leave the transport to another driver."""
        transport = self._transport
        self._lost = True
        self._heir = driver
        self._own = self._write = None
        self._context.connections.discard(self)
        driver.stated = self.stated
        transport.set_protocol(driver)
        driver.connection_made(transport)

    def _start(self) -> None:
        request, self._request = self._request, None
        exchange = self._exchange
        if exchange is not None:
            template = self._template
            if template is None:
                template = self._template_for(request, exchange)
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
        """Take up what waits behind a response, or an accept, of between two walks."""
        ready = self._exchange is None or self._http1.tunnels
        if ready and self._http1.pending and self.writable and not self._lost:
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
                self._resume_reading()
            else:
                self._transport.pause_reading()

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
            elif (
                self._stopping_since
                and now - self._stopping_since >= STOP_GRACE
                and not unread(self._descriptor())
            ):
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
        if not self._lost and not self._linger_until and not self._transport.is_closing():
            self._transport.close()

    def expect_stop(self) -> None:
        """Say ``Connection: close`` from here on; close nothing yet."""
        self._stopping_since = self._clock.now
        if self._exchange is not None:
            self._http1.close()

    def shut_down(self) -> None:
        """Stop orderly: idle connections close now, others after their response.

        A request that is already on its way is not lost: a connection that has sent nothing yet,
        has bytes waiting in the operating system, or was busy a moment ago, may begin one more.
        """
        if self._received is not None:
            self._serve_received(False)
        self.expect_stop()
        grace = self._context.shutdown_grace
        exchange = self._exchange
        if exchange is not None and grace is not None:
            exchange.shut_down(grace)
        idle = self._exchange is None and self._served and self._http1.idle
        if idle and self._clock.now - self._idle_since >= BUSY and not unread(self._descriptor()):
            self._close("server_shutdown")
