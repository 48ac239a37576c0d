"""`SSEExchange`: an http scope that may be answered with an event stream, or one of type sse.

One source, two builds: compiled as ``_sse_c`` (see ``_sse_c.pxd``).

An event stream is a response whose body is encoded here. Every http scope can be answered with one,
so this is what drivers make for each request; a response of ``http.response.*`` messages passes
through. Where such a response is an event stream as well, which the application has encoded by
itself, it shares what a stream without an end needs: it is given one when the server stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pagi.interface.errors import MessageError
from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.sse.accept import prefers_event_stream
from pagi.server.exchange.awaitables import DONE
from pagi.server.exchange.event_messages import (
    encode_comment_message,
    encode_event_message,
    event_stream_fields,
    is_event_stream,
    read_keepalive,
)
from pagi.server.exchange.http import HTTPExchange
from pagi.server.exchange.phases import BODY, IDLE
from pagi.server.exchange.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pagi.interface.callables import Message
    from pagi.protocol.events import RequestReceived
    from pagi.server.exchange.service import Service
    from pagi.server.exchange.stream import Stream

__all__ = ["SSEExchange"]

_NAME_SIZE: Final = len(b"content-type")


def _announces_events(fields: list[tuple[bytes, bytes]]) -> bool:
    """Tell whether response fields, which nobody has checked yet, announce an event stream."""
    for field in fields:
        try:
            name, value = field
            # Most responses are something else, which one letter tells.
            if len(name) == _NAME_SIZE and value[5:6] in b"eE" and is_event_stream([field]):
                return True
        except (AttributeError, LookupError, TypeError, ValueError):
            return False  # whoever makes the head from them knows the words for it
    return False


class SSEExchange(HTTPExchange):
    """The application's side of one http or sse scope. Made by a driver."""

    __slots__ = ("_encodes", "_endless", "_pulse")

    def __init__(self, service: Service, stream: Stream, client: str) -> None:
        HTTPExchange.__init__(self, service, stream, client)
        self._encodes = False  # the response is made of sse.* messages
        self._endless = False  # it is an event stream, whoever encodes it
        self._pulse: Pulse | None = None

    def _make_scope(self, request: RequestReceived, template: dict[str, Any]) -> dict[str, Any]:
        scope = HTTPExchange._make_scope(self, request, template)
        if self._service.native and prefers_event_stream(request.fields):
            scope["type"] = "sse"
            self._native = True
        return scope

    # ------------------------------------------------------------- sending

    def _send_other(self, kind: Any, message: Message) -> Awaitable[None]:
        if kind == "sse.start":
            self._start_events(message)
            return DONE
        if self._encodes and self._phase == BODY:
            return self._send_event(kind, message)
        return HTTPExchange._send_other(self, kind, message)

    def _send_start(self, message: Message) -> None:
        HTTPExchange._send_start(self, message)
        if _announces_events(self._fields):
            # The first event may be long in coming, and the client wants to know that it is heard.
            self._write_head(None, 0)
            self._stream.flush()

    def _start_events(self, message: Message) -> None:
        if self._phase != IDLE:
            raise self._unexpected("sse.start")
        HTTPExchange._send_start(self, {"status": 200, **message})
        self._fields = event_stream_fields(self._fields)
        self._write_head(None, 0)
        self._encodes = self._endless = True
        self._pulse = Pulse(self, self._service)
        self._stream.flush()

    def _send_event(self, kind: Any, message: Message) -> Awaitable[None]:
        """Take a message of an event stream that has begun."""
        pulse = self._pulse
        assert pulse is not None
        if kind == "sse.send":
            self._write_event(encode_event_message(message))
        elif kind == "sse.comment":
            self._write_event(encode_comment_message(message))
        elif kind == "sse.keepalive":
            interval, comment = read_keepalive(message)
            pulse.keep_alive(interval, comment)
            return DONE
        elif kind == "sse.close":
            self._finish_events()
            return DONE
        elif kind == "http.fullflush":
            return self._full_flush()
        else:
            raise self._unexpected(kind)
        pulse.spoke()
        return DONE if self._stream.writable else self._stream.drain()

    def _unexpected(self, kind: Any) -> MessageError:
        if self._encodes and self._phase == BODY:
            return MessageError(
                f"unexpected message {kind!r}; expected sse.send, sse.comment, sse.keepalive or"
                " sse.close"
            )
        return HTTPExchange._unexpected(self, kind)

    def _send_body(self, message: Message) -> None:
        if self._encodes and self._phase == BODY:
            raise self._unexpected("http.response.body")
        HTTPExchange._send_body(self, message)

    def _write_event(self, data: bytes) -> None:
        stream = self._stream
        stream.write_body(data, False)
        if not self._head_only:
            self.sent += len(data)
        stream.flush()

    def _write_head(self, size: int | None, at_least: int) -> None:
        fields = self._fields
        HTTPExchange._write_head(self, size, at_least)
        if size is None:
            self._endless = is_event_stream(fields)

    def write_keepalive(self, comment: bytes) -> None:
        """Send a comment, unless the client is behind anyway."""
        if self._stream.writable:
            self._write_event(comment)

    # ------------------------------------------------------------- the ends

    def _finish_events(self) -> None:
        self._stream.write_body(b"", True)
        self._complete()

    def shut_down(self, grace: float) -> None:
        """Learn that a stop begins: an event stream has no end of its own."""
        if self._endless and self._phase == BODY and not self._head_only:
            if self._pulse is None:
                self._pulse = Pulse(self, self._service)
            self._pulse.end_by(self._service.loop.time() + grace)

    def end_events(self, reason: str) -> None:
        """End an event stream in the middle, properly."""
        stream = self._stream
        if self._phase != BODY or self.connection.disconnect_reason is not None:
            return
        try:
            if self._trailers:
                stream.write_trailers([])
            else:
                stream.write_body(b"", True)
        except LocalProtocolError:  # a length was declared, and this is not it
            self.disconnected(reason)
            stream.reset(reason)
            return
        self.disconnected(reason)
        stream.response_complete()

    @property
    def streaming(self) -> bool:
        """Whether an event stream is open, whoever encodes it."""
        return self._endless and self._phase == BODY

    @property
    def forsaken(self) -> bool:
        """Whether the event stream has ended, and its application took no note of it."""
        ended = self.connection.disconnect_reason is not None
        return self._endless and ended and not self._noticed

    def _log(self, reason: str | None) -> None:
        if self._endless and self._scope is not None:  # whoever encodes it, it counts as one
            self._scope = {**self._scope, "type": "sse"}
        HTTPExchange._log(self, reason)

    def _complete(self) -> None:
        if self._pulse is not None:
            self._pulse.stop()
        HTTPExchange._complete(self)

    def disconnected(self, reason: str, detail: str | None = None, status: int = 0) -> None:
        """Learn that the peer has gone or that the connection was given up."""
        if self._pulse is not None:
            self._pulse.stop()
        HTTPExchange.disconnected(self, reason, detail, status)

    def app_finished(self, error: BaseException | None) -> None:
        """Take the end of the application; that of an event stream is a clean one."""
        if (
            error is None
            and self._encodes
            and self._phase == BODY
            and self.connection.disconnect_reason is None
        ):
            self._finish_events()
        else:
            HTTPExchange.app_finished(self, error)
