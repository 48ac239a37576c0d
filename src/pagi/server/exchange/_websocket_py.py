"""`WebSocketExchange`: one websocket scope, from the handshake to the closing handshake.

One source, two builds: compiled as ``_websocket_c`` (see ``_websocket_c.pxd``).

Until it is accepted a WebSocket is an HTTP request, and its refusal is an HTTP response: that part
is inherited. With the accept the stream becomes a tunnel; its bytes are the business of a
`WebSocketConnection`, and it makes no difference which version of HTTP carries them::

    OPENING ──accept──► OPEN ──close sent──────► CLOSING ──the peer's close──► ENDED
       │                 └──the peer's close (answered at once)────────────────► ENDED
       └──close, or a response of its own──► REFUSED

    any ── the peer is lost, broke the protocol, or does not answer in time ──► ENDED, abnormally

Messages that arrived before the end are delivered before ``websocket.disconnect``.

Credit: the stream is told which bytes were consumed. While the queue holds less than its bounds
all bytes are, also those of a message that is not whole. When it is full they are not, and what
arrives until the peer is stopped is kept as it came: deflated bytes are not inflated for an
application that does not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import random
from typing import TYPE_CHECKING, Any, Final

from pagi.interface.errors import Disconnected, MessageError
from pagi.protocol.errors import LocalProtocolError, RemoteProtocolError
from pagi.protocol.websocket.connection import WebSocketConnection
from pagi.protocol.websocket.events import CloseReceived, Failed, MessageReceived, PongReceived
from pagi.protocol.websocket.handshake import accept_fields, negotiate_deflate, read_handshake
from pagi.server.exchange.awaitables import DONE
from pagi.server.exchange.departure import is_departure
from pagi.server.exchange.http import HTTPExchange
from pagi.server.exchange.phases import BODY, COMPLETE, IDLE, STARTED
from pagi.server.exchange.vigil import Vigil

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pagi.interface.callables import Message
    from pagi.protocol.events import RequestReceived
    from pagi.server.exchange.service import Service
    from pagi.server.exchange.stream import Stream

__all__ = ["WebSocketExchange"]

#: Close codes (RFC 6455 §7.4.1, IANA registry).
ABNORMAL: Final = 1006
TOO_BIG: Final = 1009
SERVER_ERROR: Final = 1011
#: More seconds than any timer takes.
_EVER: Final = 1e9

_DENIAL: Final = "websocket.http."


class WebSocketExchange(HTTPExchange):
    """The application's side of one websocket scope. Made by a driver, which then calls `start`."""

    __slots__ = (
        "_backlog",
        "_code",
        "_end_reason",
        "_handshake",
        "_held",
        "_machine",
        "_peer_reason",
        "_queue",
        "_queued_size",
        "_told",
        "_vigil",
    )

    def __init__(self, service: Service, stream: Stream, client: str) -> None:
        HTTPExchange.__init__(self, service, stream, client)
        self._handshake: Any = None
        self._machine: Any = None
        self._told = False  # websocket.connect was received
        self._queue: list[Any] = []  # messages, oldest first
        self._queued_size = 0
        self._held = 0  # bytes of the peer that were not declared consumed
        self._backlog: list[bytes] | None = None  # bytes that came while the queue was full
        self._code = ABNORMAL  # for websocket.disconnect
        self._peer_reason = ""
        self._end_reason: str | None = None  # why the server closes, if it is the one that does
        self._vigil: Any = None  # from the accept on

    # ------------------------------------------------------------- the opening

    def read_request(self, request: RequestReceived) -> None:
        """Check the handshake. Raises RemoteProtocolError: the driver answers with its status."""
        self._handshake = handshake = read_handshake(request)
        origins, origin = self._service.websocket.origins, handshake.origin
        if origins and origin is not None and origin.decode("latin-1").lower() not in origins:
            raise RemoteProtocolError("the origin of a WebSocket is not allowed", 403)

    def _make_scope(self, request: RequestReceived, template: dict[str, Any]) -> dict[str, Any]:
        scope = HTTPExchange._make_scope(self, request, template)
        del scope["method"]
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        scope["subprotocols"] = self._handshake.subprotocols
        extensions = {
            name: value
            for name, value in scope["extensions"].items()
            if name != "sse" and not name.startswith("http.")
        }
        extensions["websocket.http.response"] = {}
        scope["extensions"] = extensions
        return scope

    def send(self, message: Message) -> Awaitable[None]:
        """Take a message of the application; done at once unless the client is slow."""
        machine = self._machine
        if machine is None:
            return self._send_before(message)
        if self.connection.disconnect_reason is not None:
            return self._after_disconnect()
        try:
            kind = message["type"]
        except (KeyError, TypeError):
            raise MessageError(f"a message must be a dict with a 'type'; got {message!r}") from None
        if self._service.check is not None:
            self._service.check(kind, message)
        if type(message) is not dict:
            message = dict(message)
        if self._phase == COMPLETE:  # the peer has closed
            raise Disconnected("client_closed")
        if machine.close_sent and kind != "http.fullflush":
            raise MessageError(f"unexpected message {kind!r}; expected nothing more: closed")
        if kind == "websocket.send":
            self._send_message(message)
        elif kind == "websocket.close":
            self._send_close(message)
        elif kind == "websocket.keepalive":
            self._set_keepalive(message)
        elif kind == "http.fullflush":
            return self._full_flush()
        else:
            raise MessageError(
                f"unexpected message {kind!r}; expected websocket.send, websocket.keepalive or"
                " websocket.close"
            )
        if self._stream.writable or self._phase == COMPLETE:
            return DONE
        return self._stream.drain()

    def _send_before(self, message: Message) -> Awaitable[None]:
        """Take a message before the accept: accept, refuse, or go on refusing."""
        if self.connection.disconnect_reason is not None:
            return self._after_disconnect()
        if type(message) is not dict and isinstance(message, Mapping):
            message = dict(message)
        kind = message.get("type") if isinstance(message, dict) else None
        if not isinstance(kind, str):
            return HTTPExchange.send(self, message)
        if kind == "websocket.accept" or kind == "websocket.close":
            if self._service.check is not None:
                self._service.check(kind, message)
            if self._phase != IDLE:
                raise self._unexpected(kind)
            if kind == "websocket.accept":
                self._accept(message)
            else:
                self._deny(403)
            return DONE
        if kind.startswith(_DENIAL):
            message = {**message, "type": kind.removeprefix("websocket.")}
        elif kind.startswith(("websocket.", "sse.")):
            raise self._unexpected(kind)
        return HTTPExchange.send(self, message)

    def _unexpected(self, kind: Any) -> MessageError:
        if self._phase == IDLE:
            return MessageError(
                f"unexpected message {kind!r}; expected websocket.accept, websocket.close or"
                " websocket.http.response.start"
            )
        return HTTPExchange._unexpected(self, kind)

    def _send_start(self, message: Message) -> None:
        HTTPExchange._send_start(self, message)
        # The client asked for another protocol: what it would do with this connection is unsure.
        self._fields = [*self._fields, (b"connection", b"close")]

    def _deny(self, status: int) -> None:
        """Refuse in the simplest way."""
        self._status = status
        self._fields = [(b"connection", b"close")]
        self._phase = STARTED
        self.connection.response_started = True
        self._write_whole(b"")

    def _accept(self, message: Message) -> None:
        service = self._service
        limits = service.websocket_limits
        fields = self._as_fields(message.get("headers") or (), message)
        deflate = negotiate_deflate(self._handshake, limits)
        try:
            fields = accept_fields(
                self._handshake,
                subprotocol=message.get("subprotocol"),
                fields=fields,
                deflate=deflate,
            )
            self._status = self._stream.switch(fields)
        except LocalProtocolError as exc:
            raise MessageError(f"websocket.accept: {exc}") from None
        self._machine = WebSocketConnection(limits, deflate)
        self._phase = BODY
        self.connection.response_started = True
        self._stream.flush()
        self._vigil = Vigil(self, service)
        if service.draining:
            self._vigil.stop_within(0.0)

    # ------------------------------------------------------------- receiving

    def feed(self, data: bytes) -> None:
        """Take bytes of the tunnel."""
        if self._machine is None:
            return
        self._held += len(data)
        if self._backlog is not None:
            self._backlog.append(data)
        else:
            self._read(data)

    def _read(self, data: bytes) -> None:
        """Let the machine read, and do what it says."""
        machine = self._machine
        queue = self._queue
        arrived = False
        unwanted = machine.close_sent  # nobody waits for messages any more
        for event in machine.receive_data(data, self._service.loop.time()):
            if type(event) is MessageReceived:
                if not unwanted:
                    queue.append(event)
                    self._queued_size += event.size
                    arrived = True
            else:
                self._handle(event)
        if self._phase == COMPLETE or self.connection.disconnect_reason is not None:
            return
        if machine.buffered():
            self._write_frames()
        if arrived:
            self._vigil.moved()
            if self._waiter is not None:
                self._wake()
        if self._is_full():
            self._overflow()
        elif self._held:
            self._give_credit()

    def _handle(self, event: Any) -> None:
        kind = type(event)
        if kind is PongReceived:
            took = self._vigil.answered(event.payload)
            if took is not None:
                self.connection.round_trip = took
        elif kind is CloseReceived:
            self._peer_closed(event.code, event.reason)
        elif kind is Failed:
            self._code = event.code
            reason = "body_too_large" if event.code == TOO_BIG else "protocol_error"
            self._end(reason, event.detail)

    def _is_full(self) -> bool:
        settings = self._service.websocket
        return (
            len(self._queue) >= settings.max_queue or self._queued_size >= settings.max_queue_size
        )

    def _overflow(self) -> None:
        """The application does not keep up: stop the peer, or close."""
        settings = self._service.websocket
        if settings.overflow == "pause":
            if self._backlog is None:
                self._backlog = []
        else:
            self.close_for("queue_overflow", int(settings.overflow), "the receive queue is full")

    def _give_credit(self) -> None:
        held, self._held = self._held, 0
        self._stream.consumed(held)

    async def receive(self) -> Message:
        """Wait for the next message of the client.

        Cancelling the wait loses no message. After the end it returns ``websocket.disconnect``
        again and again, up to a bound that stops endless loops.
        """
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        while True:
            if self._queue:
                return self._take_message()
            if self._phase == COMPLETE or self.connection.disconnect_reason is not None:
                return self._take_disconnect()
            if self._waiter is not None:
                raise MessageError("receive() is already waiting in another task of this scope")
            waiter = self._service.loop.create_future()
            self._waiter = waiter
            try:
                await waiter
            finally:
                self._waiter = None

    def _take_message(self) -> Message:
        event = self._queue.pop(0)
        self._queued_size -= event.size
        if self._backlog is not None and not self._is_full():
            self._go_on_reading()
        data = event.data
        if type(data) is str:
            return {"type": "websocket.receive", "text": data}
        return {"type": "websocket.receive", "bytes": data}

    def _go_on_reading(self) -> None:
        backlog, self._backlog = self._backlog, None
        if self._phase == COMPLETE or self.connection.disconnect_reason is not None:
            return
        if backlog:
            self._read(b"".join(backlog))
        elif self._held:
            self._give_credit()

    def _disconnect_message(self) -> dict[str, Any]:
        reason = self._peer_reason or self.connection.disconnect_reason or ""
        return {"type": "websocket.disconnect", "code": self._code, "reason": reason}

    # ------------------------------------------------------------- sending

    def _send_message(self, message: Message) -> None:
        text = message.get("text")
        data = message.get("bytes")
        machine = self._machine
        try:
            if text is not None:
                if data is not None:
                    raise MessageError("websocket.send takes one of 'text' and 'bytes'")
                if type(text) is not str:
                    text = self._as_text(text)
                machine.send_text(text)
            elif data is not None:
                if type(data) is not bytes:
                    data = self._as_bytes(data)
                machine.send_bytes(data)
            else:
                raise MessageError("websocket.send needs 'text' (str) or 'bytes'")
        except LocalProtocolError as exc:
            raise MessageError(f"websocket.send: {exc}") from None
        self._write_frames()
        self._vigil.moved()

    def _as_text(self, text: Any) -> str:
        if isinstance(text, str):
            return str(text)
        raise MessageError(f"websocket.send needs 'text' as str; got {type(text).__name__}")

    def _write_frames(self) -> None:
        stream = self._stream
        for piece in self._machine.data_to_send():
            self.sent += len(piece)
            stream.write_body(piece, False)
        stream.flush()

    def _send_close(self, message: Message) -> None:
        code = message.get("code")
        try:
            self._machine.send_close(1000 if code is None else code, message.get("reason") or "")
        except LocalProtocolError as exc:
            raise MessageError(f"websocket.close: {exc}") from None
        self._code = 1000 if code is None else code
        self._write_frames()
        self._await_close()

    def _await_close(self) -> None:
        # Nobody takes messages any more that would hold the peer's close up.
        if self._backlog is not None:
            self._go_on_reading()
        if self._phase == BODY and self.connection.disconnect_reason is None:
            self._vigil.await_close(self._service.websocket.close_timeout)

    # ------------------------------------------------------------- because time passes

    def _set_keepalive(self, message: Message) -> None:
        interval, timeout = message.get("interval"), message.get("timeout")
        if not isinstance(interval, (int, float)) or not 0 <= interval < _EVER:
            raise MessageError(
                f"websocket.keepalive needs 'interval' in seconds, from 0 up; got {interval!r:.40}"
            )
        if timeout is not None and (
            not isinstance(timeout, (int, float)) or not 0 < timeout < _EVER
        ):
            raise MessageError(
                f"websocket.keepalive takes 'timeout' in seconds, above 0; got {timeout!r:.40}"
            )
        self._vigil.keep_alive(float(interval), float(timeout or 0.0))

    def send_ping(self, payload: bytes) -> None:
        """Ping the peer."""
        self._machine.send_ping(payload)
        self._write_frames()

    def shut_down(self, grace: float) -> None:
        """Learn that a stop begins: say goodbye within ``grace`` seconds, not all at once."""
        if self._machine is not None and not self._machine.close_sent:
            self._vigil.stop_within(random() * grace)

    def close_for(self, reason: str, code: int, text: str) -> None:
        """Begin the closing handshake for a reason of the server's."""
        self._end_reason = reason
        self._code = code
        self._machine.send_close(code, text)
        self._write_frames()
        self._await_close()

    def lose(self, detail: str, reason: str = "client_timeout") -> None:
        """Give a peer up that does not answer."""
        if not self._machine.close_sent:
            self._code = SERVER_ERROR
            self._machine.send_close(SERVER_ERROR, detail)
        self._end(self._end_reason or reason, detail)

    # ------------------------------------------------------------- the ends

    def _peer_closed(self, code: int, reason: str) -> None:
        """The peer's close has arrived and was answered: the closing handshake is complete."""
        self.connection.close_code = code
        self.connection.close_reason = reason
        if self._end_reason is None:
            self._code = code
            self._peer_reason = reason
            self._write_end()
            self._complete()
        else:
            self._end(self._end_reason, None)

    def _write_end(self) -> None:
        stream = self._stream
        for piece in self._machine.data_to_send():
            self.sent += len(piece)
            stream.write_body(piece, False)
        stream.write_body(b"", True)

    def _end(self, reason: str, detail: str | None) -> None:
        """End abnormally, after what is still to be said to the peer."""
        self._write_end()
        stream = self._stream
        self.disconnected(reason, detail)
        stream.response_complete()

    def _complete(self) -> None:
        self._end_vigil()
        HTTPExchange._complete(self)

    def disconnected(self, reason: str, detail: str | None = None, status: int = 0) -> None:
        """Learn that the peer has gone or that the connection was given up."""
        self._end_vigil()
        HTTPExchange.disconnected(self, reason, detail, status)

    def _end_vigil(self) -> None:
        if self._vigil is not None:
            self._vigil.end()

    def app_finished(self, error: BaseException | None) -> None:
        """Take the end of the application and hold the completion contract."""
        ended = self._phase == COMPLETE or self.connection.disconnect_reason is not None
        if ended and error is not None and is_departure(error):
            return
        if self._machine is None or ended:
            HTTPExchange.app_finished(self, error)
            return
        if self._machine.close_sent:
            if error is not None:
                self._report("the application failed after it had closed its WebSocket", error)
            return
        if error is not None:
            self._report("the application failed; its WebSocket is closed with 1011", error)
        else:
            self._report("the application returned without websocket.close; closed with 1011", None)
        self.close_for("server_error", SERVER_ERROR, "")
