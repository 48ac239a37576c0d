"""`WebSocketExchange`: one websocket scope, from the handshake to the closing handshake.

One source, two builds: compiled as ``_websocket_c`` (see ``_websocket_c.pxd``).

Until it is accepted a WebSocket is an HTTP request: that part is inherited from `WebSocketOpening`.
With the accept the stream becomes a tunnel; its bytes are the business of a `WebSocketConnection`,
and it makes no difference which version of HTTP carries them::

    OPENING ──accept──► OPEN ──close sent──────► CLOSING ──the peer's close──► ENDED
       │                 └──the peer's close (answered at once)────────────────► ENDED
       └──close, or a response of its own──► REFUSED

    any ── the peer is lost, broke the protocol, or does not answer in time ──► ENDED, abnormally

Messages that arrived before the end are delivered before ``websocket.disconnect``.

Credit: the stream is told which bytes were consumed. While the queue holds less than its bounds
all bytes are, also those of a message that is not whole. When it is full they are not, and what
arrives until the peer is stopped is kept as it came: deflated bytes are not inflated for an
application that does not read. When half of the queue is taken reading goes on.
"""

from __future__ import annotations

from random import random
from typing import TYPE_CHECKING, Any, Final

from pagi.interface.errors import Disconnected, MessageError
from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.websocket.connection import WebSocketConnection
from pagi.protocol.websocket.events import (
    CloseReceived,
    Failed,
    MessageReceived,
    PingReceived,
    PongReceived,
)
from pagi.server.exchange.awaitables import DONE, Waiter
from pagi.server.exchange.departure import is_departure
from pagi.server.exchange.http import HTTPExchange
from pagi.server.exchange.phases import BODY, COMPLETE
from pagi.server.exchange.vigil import Vigil
from pagi.server.exchange.websocket_messages import read_keepalive
from pagi.server.exchange.websocket_opening import WebSocketOpening

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pagi.interface.callables import Message
    from pagi.server.exchange.service import Service
    from pagi.server.exchange.stream import Stream

__all__ = ["WebSocketExchange"]

#: Close codes (RFC 6455 §7.4.1, IANA registry).
ABNORMAL: Final = 1006
TOO_BIG: Final = 1009
SERVER_ERROR: Final = 1011


class WebSocketExchange(WebSocketOpening):
    """The application's side of one websocket scope. Made by a driver, which then calls `start`."""

    __slots__ = (
        "_backlog",
        "_code",
        "_end_reason",
        "_failure",
        "_held",
        "_machine",
        "_max_queue",
        "_max_queue_size",
        "_peer_reason",
        "_pinged",
        "_queue",
        "_queued_size",
        "_told",
        "_vigil",
    )

    def __init__(self, service: Service, stream: Stream, client: str) -> None:
        WebSocketOpening.__init__(self, service, stream, client)
        self._machine: Any = None
        self._told = False  # websocket.connect was received
        self._max_queue: int = service.websocket.max_queue
        self._max_queue_size: int = service.websocket.max_queue_size
        self._queue: list[Any] = []  # messages, oldest first
        self._queued_size = 0
        self._held = 0  # bytes of the peer that were not declared consumed
        self._backlog: list[bytes] | None = None  # bytes that came while the queue was full
        self._code = ABNORMAL  # for websocket.disconnect
        self._peer_reason = ""
        self._pinged: Any = None  # by a peer that did not read then: the last payload
        self._failure: Any = None  # what is still to be ended for
        self._end_reason: str | None = None  # why the server closes, if it is the one that does
        self._vigil: Any = None  # from the accept on

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
            self._noticed = True
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

    def _accept(self, message: Message) -> None:
        service = self._service
        deflate = self._switch(message)
        self._machine = WebSocketConnection(service.websocket_limits, deflate)
        self._phase = BODY
        self.connection.response_started = True
        self._stream.flush()
        self._vigil = Vigil(self, service)
        if service.draining:
            self._vigil.stop(0.0, 0.0)

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
        """Let the machine read what the queue has room for, and do what it says."""
        machine = self._machine
        queue = self._queue
        arrived = False
        unwanted = machine.close_sent  # nobody waits for messages any more
        machine.answers_pings = self._stream.writable
        while True:
            for event in self._next_events(data):
                if type(event) is MessageReceived:
                    if not unwanted:
                        queue.append(event)
                        self._queued_size += event.size
                        arrived = True
                else:
                    self._handle(event)
            if not unwanted or not machine.stopped:
                break
            data = b""
        if self._phase == COMPLETE or self.connection.disconnect_reason is not None:
            return
        if machine.buffered():
            self._write_frames()
        if self._is_full() and not unwanted:
            self._overflow()
        elif self._held:
            self._give_credit()
        if arrived:
            self._vigil.moved()
            waiter = self._waiter
            if waiter is not None:
                waiter.wake()  # the last thing done: the application may do anything

    def _next_events(self, data: bytes) -> Any:
        return self._machine.receive_data(
            data,
            self._service.loop.time(),
            max(self._max_queue - len(self._queue), 1),
            max(self._max_queue_size - self._queued_size, 1),
        )

    def _handle(self, event: Any) -> None:
        kind = type(event)
        if kind is PongReceived:
            took = self._vigil.answered(event.payload)
            if took is not None:
                self.connection.round_trip = took
        elif kind is PingReceived:
            if not self._machine.answers_pings:
                self._pinged = event.payload
        elif kind is CloseReceived:
            self._peer_closed(event.code, event.reason)
        elif kind is Failed:
            self._service.logger.debug("%s: %s", self.client, event.detail)
            self._failure = event
            if self._queue or self._waiter is None:
                # What came before it is answered first, if that does not take too long.
                self._machine.hold_close()
                self._vigil.await_close(self._service.websocket.close_timeout)
            else:
                self._fail()

    def _fail(self) -> None:
        """End because the peer broke the protocol."""
        failure = self._failure
        self._machine.release_close()
        self._code = failure.code
        reason = "body_too_large" if failure.code == TOO_BIG else "protocol_error"
        self._end(reason, failure.detail)

    def _is_full(self) -> bool:
        return len(self._queue) >= self._max_queue or self._queued_size >= self._max_queue_size

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
            if self._failure is not None:
                self._fail()
                continue
            if self._waiter is not None:
                raise MessageError("receive() is already waiting in another task of this scope")
            waiter = self._waiter = Waiter(self._service.loop)
            try:
                await waiter
            finally:
                self._waiter = None

    def _take_message(self) -> Message:
        event = self._queue.pop(0)
        self._queued_size -= event.size
        if (
            self._backlog is not None
            and len(self._queue) <= self._max_queue >> 1
            and self._queued_size <= self._max_queue_size >> 1
        ):
            self._go_on_reading()
        data = event.data
        if type(data) is str:
            return {"type": "websocket.receive", "text": data}
        return {"type": "websocket.receive", "bytes": data}

    def _go_on_reading(self) -> None:
        data = b"".join(self._backlog or [])
        self._backlog = None
        if self.connection.disconnect_reason is not None:
            self._salvage(data)
        elif self._phase != COMPLETE:
            self._read(data)

    def _salvage(self, data: bytes) -> None:
        """Take what had come, and had to wait, when the peer went."""
        for event in self._next_events(data):
            if type(event) is MessageReceived:
                self._queue.append(event)
                self._queued_size += event.size
            elif type(event) is CloseReceived:
                self._code = self.connection.close_code = event.code
                self._peer_reason = self.connection.close_reason = event.reason
        if self._machine.stopped:
            self._backlog = []

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
        if self._backlog is not None or self._machine.stopped:
            self._go_on_reading()
        if self._phase == BODY and self.connection.disconnect_reason is None:
            self._vigil.await_close(self._service.websocket.close_timeout)

    # ------------------------------------------------------------- because time passes

    def _set_keepalive(self, message: Message) -> None:
        interval, timeout = read_keepalive(message)
        self._vigil.keep_alive(interval, timeout)

    def send_ping(self, payload: bytes) -> None:
        """Ping the peer."""
        self._machine.send_ping(payload)
        self._write_frames()

    def drained(self) -> None:
        """Learn that the peer reads again: the last ping it sent meanwhile is answered."""
        HTTPExchange.drained(self)
        payload, self._pinged = self._pinged, None
        if payload is not None and not self._machine.close_received:
            self._machine.send_pong(payload)
            self._write_frames()

    def shut_down(self, grace: float) -> None:
        """Learn that a stop begins: say goodbye within ``grace`` seconds, not all at once."""
        if self._machine is not None:
            self._vigil.stop(random() * grace, grace)

    def close_for(self, reason: str, code: int, text: str) -> None:
        """Begin the closing handshake for a reason of the server's."""
        self._end_reason = reason
        self._code = code
        self._machine.send_close(code, text)
        self._write_frames()
        self._await_close()

    def lose(self, detail: str, reason: str = "client_timeout") -> None:
        """Give a peer up that does not answer."""
        if self._failure is not None:
            self._fail()
            return
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

    @property
    def forsaken(self) -> bool:
        """Whether the WebSocket was closed, not by its application, which took no note of it."""
        ended = self._phase == COMPLETE or self.connection.disconnect_reason is not None
        return self._machine is not None and ended and not self._noticed

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
        if self._failure is not None:
            self._fail()
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
