"""`HTTP2Driver`: joins a transport, an `HTTP2Connection` and the exchanges of its streams.

One source, two builds: compiled as ``_http2_c`` (see ``_http2_c.pxd``).

As with HTTP/1, bytes in are walked and then flushed. The exchanges that begin in one walk are
started at its end, when what came with their heads is there to be received, and what they answer
at once leaves in one write.
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
from pagi.protocol.websocket.handshake import refusal_fields
from pagi.server.connection.driver import RESOLUTION
from pagi.server.connection.http2_stream import HTTP2Output, HTTP2Stream
from pagi.server.exchange.making import make_http_exchange
from pagi.server.exchange.websocket import WebSocketExchange

if TYPE_CHECKING:
    from pagi.server.connection.context import ConnectionContext

__all__ = ["HTTP2Driver"]

#: How long the peer may take to hear that the connection is about to end, in seconds.
_NOTICE_TIME: Final = 1.0
#: Fields of a request by which HTTP/1 asks for HTTP/2.
_UPGRADE_FIELDS: Final = frozenset((b"connection", b"upgrade", b"http2-settings"))


class HTTP2Driver(HTTP2Output):
    """The protocol of one HTTP/2 connection."""

    __slots__ = (
        "_announced_at",
        "_headers_since",
        "_idle_since",
        "_pinged_at",
        "_starting",
        "_template",
        "_upgraded",
    )

    def __init__(self, context: ConnectionContext) -> None:
        HTTP2Output.__init__(self, context)
        self._starting: list[tuple[RequestReceived, HTTP2Stream]] = []
        self._idle_since = self._headers_since = context.clock.now
        self._upgraded: Any = None
        self._announced_at = 0.0
        self._pinged_at = 0.0

    def _opened(self, full: bool) -> None:
        if self._upgraded is None:
            self._http2.begin()
        if full:
            self._context.rejected += 1
            self._http2.close()  # the peer may ask again, elsewhere
        self._flush_now()

    def upgrade(self, request: Any, settings: bytes) -> None:
        """Make ready to take over from HTTP/1.1; ``request`` is answered on stream 1, later.

        Raises:
            ValueError: the settings are malformed.
        """
        self._http2.begin_upgraded(settings, request.method)
        self._upgraded = request

    def _begin_upgraded(self) -> None:
        """Answer the request that asked for HTTP/2: the client has sent its preface.

        Not before: curl has no room for much of an answer behind the 101.
        """
        request, self._upgraded = self._upgraded, None
        request.stream_id = 1
        request.http_version = "2"
        request.upgrade = None
        request.fields = [field for field in request.fields if field[0] not in _UPGRADE_FIELDS]
        self._walk([request])

    def _closed(self, reason: str, detail: str | None) -> None:
        self._end_all(reason, detail)

    # ------------------------------------------------------------- what the transport calls

    def _serve_bytes(self, data: bytes) -> None:
        self._read_at = self._clock.now
        if self._linger_until:
            return  # reading only so that the peer can read our last words
        self._walk(self._http2.receive_data(data, self._read_at))
        if self._upgraded is not None and self._http2.greeted:
            self._begin_upgraded()

    def eof_received(self) -> bool:
        """Take the end of the peer's bytes: it has gone."""
        if self._received is not None:
            self._serve_received(False)
        if not self._linger_until:
            self._walk(self._http2.receive_eof(self._clock.now))
        return False

    # ------------------------------------------------------------- walking events

    def _walk(self, events: Any) -> None:
        self._walking = True
        try:
            for event in events:
                self._handle(event)
            while self._starting:
                starting, self._starting = self._starting, []
                for request, stream in starting:
                    self._start(request, stream)
        finally:
            self._walking = False
        if not self._deferred:
            self._flush_now()

    def _go_on(self) -> None:
        if not self._lost and self._http2.pending:
            self._walk(self._http2.receive_data(b"", self._read_at))

    def _handle(self, event: Any) -> None:
        kind = type(event)
        if kind is RequestReceived:
            self._begin(event)
        elif kind is ConnectionFailed:
            self._failed(event)
        elif kind is ConnectionEnded:
            self._end_all("client_closed", None)
        elif kind is StreamReset:
            self._stream_reset(event)
        else:
            stream = self._streams.get(event.stream_id)
            exchange = None if stream is None else stream.exchange
            if exchange is None or stream is None:
                return
            if kind is BodyReceived or kind is BytesReceived:
                stream.heard_at = self._read_at
                exchange.feed(event.data)
            elif kind is MessageComplete:
                exchange.feed_end(event.trailers)

    def _begin(self, event: Any) -> None:
        stream_id = event.stream_id
        stream = HTTP2Stream(self, stream_id, event.expect_continue)
        self._streams[stream_id] = stream
        if event.upgrade is None and event.authority is None:
            stream.exchange = make_http_exchange(self._context.service, stream, self._client_text)
        elif event.upgrade == b"websocket":
            self._begin_websocket(event, stream)
        else:
            # A tunnel to elsewhere is a proxy's business (RFC 9110 §9.3.6), and other protocols
            # are not known (RFC 9220 §3).
            self._refuse(stream_id, 501, "CONNECT is not served", "protocol_error", None)
        if stream.exchange is not None:
            self._starting.append((event, stream))

    def _begin_websocket(self, event: Any, stream: Any) -> None:
        exchange = WebSocketExchange(self._context.service, stream, self._client_text)
        try:
            exchange.read_request(event)
        except RemoteProtocolError as error:
            fields = refusal_fields(error)
            self._refuse(event.stream_id, error.status, error.detail, error.reason, fields)
        else:
            stream.exchange = exchange

    def _refuse(self, stream_id: int, status: int, detail: str, reason: str, fields: Any) -> None:
        for event in self._http2.refuse(stream_id, status, detail, reason, fields):
            self._handle(event)

    def _start(self, request: Any, stream: Any) -> None:
        exchange = stream.exchange
        if exchange is not None:
            # What the peer writes into :scheme makes no connection secure.
            request.scheme = None
            template = self._template
            if template is None:
                template = self._template_for(request, exchange)
            exchange.start(request, template)

    # ------------------------------------------------------------- ends

    def _stream_reset(self, event: Any) -> None:
        """One stream was ended by the peer, or for its fault."""
        context = self._context
        stream = self._streams.get(event.stream_id)
        exchange = None if stream is None else stream.exchange
        begun = exchange is not None and not self._is_starting(stream)
        if event.detail:
            context.logger.debug("%s: %s", self._client_text, event.detail)
        if stream is not None:
            stream.exchange = None
        if begun and exchange is not None:
            exchange.disconnected(event.reason, event.detail or None, event.status)
        elif context.log_rejected is not None and event.status:
            context.log_rejected(self._client_text, event.status, event.detail)
        if stream is not None and not event.status:
            stream.lose()
            self._http2.leave(event.stream_id)

    def _is_starting(self, stream: Any) -> bool:
        """Tell whether the application has not heard of a stream yet; it will not."""
        return any(waiting is stream for _, waiting in self._starting)

    def _failed(self, event: Any) -> None:
        """The peer broke the protocol; the machine has queued its last words."""
        self._context.logger.debug("%s: %s", self._client_text, event.detail)
        self._end_all(event.reason, event.detail)

    def _end_all(self, reason: str, detail: str | None) -> None:
        self._starting = []
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            exchange, stream.exchange = stream.exchange, None
            if exchange is not None:
                exchange.disconnected(reason, detail)
            stream.lose()

    # ------------------------------------------------------------- what the worker calls

    def _became_idle(self) -> None:
        self._idle_since = self._clock.now

    def _check_reading(self, now: float) -> None:
        timeouts = self._context.timeouts
        machine = self._http2
        if not machine.in_headers and machine.greeted:
            self._headers_since = now
        elif (
            timeouts.header_timeout is not None
            and now - self._headers_since >= timeouts.header_timeout + RESOLUTION
        ):
            self.abort("client_timeout")
            return
        if self._announced_at and now - self._announced_at >= _NOTICE_TIME:
            machine.close()
            self._flush_now()
        if self._streams:
            self._check_streams(now)
            self._check_peer(now)
        elif (
            timeouts.keepalive_timeout is not None
            and not self._announced_at
            and now - self._idle_since >= timeouts.keepalive_timeout + RESOLUTION
        ):
            self._close("idle_timeout")

    def _check_streams(self, now: float) -> None:
        timeouts = self._context.timeouts
        stalled = False
        for stream_id, stream in list(self._streams.items()):
            if timeouts.write_timeout is not None and stream.is_stalled(
                now, timeouts.write_timeout
            ):
                self._give_up(stream_id, "write_timeout", "the peer stopped reading")
                stalled = True
            elif (
                timeouts.body_timeout is not None
                and now - stream.heard_at >= timeouts.body_timeout + RESOLUTION
                and stream.exchange is not None
                and not stream.awaits_continue
                and self._http2.awaits_body(stream_id)
            ):
                detail = "the peer stopped sending its body"
                self._refuse(stream_id, 408, detail, "client_timeout", None)
                stalled = True
        if stalled:
            self._flush_now()

    def _give_up(self, stream_id: int, reason: str, detail: str) -> None:
        stream = self._streams[stream_id]
        exchange, stream.exchange = stream.exchange, None
        if exchange is not None:
            exchange.disconnected(reason, detail)
        self._http2.reset(stream_id, reason)
        stream.lose()

    def _check_peer(self, now: float) -> None:
        """Ask a peer that says nothing whether it is there, and give it up if it is not."""
        machine = self._http2
        settings = self._context.http2_settings
        if machine.pinged:
            timeout = settings.ping_timeout
            if timeout is not None and now - self._pinged_at >= timeout + RESOLUTION:
                self.abort("keepalive_timeout")
        elif settings.ping_interval is not None and now - self._read_at >= settings.ping_interval:
            self._pinged_at = now
            machine.ping()
            self._flush_now()

    def _close(self, reason: str) -> None:
        """Announce the end of the connection; ``reason`` is for an idle one."""
        if not self._streams:
            self._reason = reason
        self._announced_at = self._clock.now
        self._http2.close()
        self._flush_now()

    def expect_stop(self) -> None:
        """Announce that the connection will end; streams go on, and new ones are served."""
        if not self._announced_at and not self._lost:
            self._close("server_shutdown")

    def shut_down(self) -> None:
        """Stop orderly: no streams are taken any more once the peer knows; others are finished."""
        if self._received is not None:
            self._serve_received(False)
        self.expect_stop()
        grace = self._context.shutdown_grace
        if grace is not None:
            for stream in list(self._streams.values()):
                if stream.exchange is not None:
                    stream.exchange.shut_down(grace)
