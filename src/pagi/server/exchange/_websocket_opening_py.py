"""`WebSocketOpening`: a WebSocket before it is accepted.

One source, two builds: compiled as ``_websocket_opening_c`` (see ``_websocket_opening_c.pxd``).

It is an HTTP request, and its refusal is an HTTP response: nearly everything is inherited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pagi.interface.errors import MessageError
from pagi.protocol.errors import LocalProtocolError, RemoteProtocolError
from pagi.protocol.websocket.handshake import accept_fields, negotiate_deflate, read_handshake
from pagi.server.exchange.awaitables import DONE
from pagi.server.exchange.http import HTTPExchange
from pagi.server.exchange.phases import IDLE, STARTED

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pagi.interface.callables import Message
    from pagi.protocol.events import RequestReceived
    from pagi.server.exchange.service import Service
    from pagi.server.exchange.stream import Stream

__all__ = ["WebSocketOpening"]

_DENIAL: Final = "websocket.http."


class WebSocketOpening(HTTPExchange):
    """The application's side of a websocket scope until the handshake is complete or refused."""

    __slots__ = ("_handshake",)

    def __init__(self, service: Service, stream: Stream, client: str) -> None:
        HTTPExchange.__init__(self, service, stream, client)
        self._handshake: Any = None

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
        """Complete the handshake; the subclass knows what comes then."""

    def _switch(self, message: Message) -> Any:
        """Send the answer that accepts, and return what was agreed on compression."""
        fields = self._as_fields(message.get("headers") or (), message)
        deflate = negotiate_deflate(self._handshake, self._service.websocket_limits)
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
        return deflate
