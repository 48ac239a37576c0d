"""`HTTPExchange`: one http scope from the call of the application to the end of its response.

One source, two builds: compiled as ``_http_c`` (see ``_http_c.pxd``).

Phases of the response::

    IDLE ──start──► STARTED ──first body──► BODY ──last body──► COMPLETE
                       (head held back)       └──last body, trailers announced──► TRAILERS ──► COMPLETE

The head waits for the first body message, as ASGI asks: then head and body leave in one write, an
application that fails between the two still gets its 500, and the length of a one-piece body is
known. The other end, `disconnected`, can come in any phase but COMPLETE; it is recorded in the
connection object, which the application sees.

``send`` is not a coroutine function: it does its work when called and returns an awaitable that
is done unless the client is slow. ``receive`` is one: a message is taken when it is awaited, so
that cancelling the wait loses nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from pagi.interface.errors import Disconnected, MessageError
from pagi.protocol.errors import LocalProtocolError
from pagi.server.exchange.awaitables import DONE
from pagi.server.exchange.files import FileBody, open_body
from pagi.server.exchange.handles import ConnectionState, TransportState
from pagi.server.exchange.paths import decode_path

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pagi.interface.callables import Message, Scope
    from pagi.protocol.events import Fields, RequestReceived
    from pagi.server.exchange.service import Service
    from pagi.server.exchange.stream import Stream

__all__ = ["HTTPExchange"]

IDLE: Final = 0
STARTED: Final = 1
BODY: Final = 2
TRAILERS: Final = 3
COMPLETE: Final = 4

# A loop that goes on receiving after the end would spin for ever without yielding.
MAX_DISCONNECT_RECEIVES: Final = 100

_EXPECTED: Final = {
    IDLE: "http.response.start",
    STARTED: "http.response.body",
    BODY: "http.response.body",
    TRAILERS: "http.response.trailers",
    COMPLETE: "nothing more: the response is complete",
}

_SERVER_ERROR: Final = b"Internal Server Error"


class HTTPExchange:
    """The application's side of one request. Made by a driver, which then calls `start`."""

    __slots__ = (
        "_app_done",
        "_asked",
        "_body",
        "_disconnect_receives",
        "_fields",
        "_final_given",
        "_head_only",
        "_phase",
        "_request_complete",
        "_request_trailers",
        "_scope",
        "_service",
        "_started_at",
        "_status",
        "_stream",
        "_trailers",
        "_transport",
        "_waiter",
        "client",
        "connection",
        "sent",
    )

    def __init__(self, service: Service, stream: Stream, client: str) -> None:
        self._service = service
        self._stream = stream
        self.client = client
        self.sent = 0
        self.connection = ConnectionState(self, service)
        self._transport = TransportState(stream, service)
        self._scope: Any = None
        self._phase = IDLE
        self._status = 0
        self._fields: Any = None
        self._trailers = False
        self._head_only = False
        self._app_done = False
        self._asked = False
        self._body: list[bytes] | None = None
        self._request_complete = False
        self._request_trailers: Any = None
        self._final_given = False
        self._disconnect_receives = 0
        self._waiter: Any = None
        self._started_at = 0.0

    def start(
        self, request: RequestReceived, scheme: str, client: Any, server: Any, extensions: Any
    ) -> None:
        """Build the scope and call the application.

        Args:
            request: the head.
            scheme: of the connection; a scheme in the target takes its place.
            client: ``(host, port)`` of the peer, or ``None``.
            server: ``(host, port)`` or ``(path, None)`` of the listener.
            extensions: what the connection adds to the extensions, or ``None``.
        """
        service = self._service
        scope: dict[str, Any] = service.scope_template.copy()
        if request.http_version != "1.1":
            scope["http_version"] = request.http_version
        method = request.method
        if method != "GET":
            scope["method"] = method
            self._head_only = method == "HEAD"
        scope["scheme"] = request.scheme or scheme
        path = decode_path(request.raw_path)
        raw_path = request.raw_path
        if service.root_path:
            path = service.root_path + path
            raw_path = service.root_path.encode() + raw_path
        scope["path"] = path
        scope["raw_path"] = raw_path
        scope["query_string"] = request.query_string
        scope["headers"] = request.fields
        scope["client"] = client
        scope["server"] = server
        advertised = scope["extensions"].copy()
        if extensions is not None:
            advertised.update(extensions)
        scope["extensions"] = advertised
        scope["pagi.connection"] = self.connection
        scope["pagi.transport"] = self._transport
        if service.state is not None:
            scope["state"] = service.state.copy()
        self._request_complete = request.end
        if service.log_access is not None:
            self._scope = scope
            self._started_at = service.time()
        service.runner.start(service.app, self, scope)

    # ------------------------------------------------------------- what the driver calls

    def feed(self, data: bytes) -> None:
        """Take request body bytes."""
        if self._body is None:
            self._body = [data]
        else:
            self._body.append(data)
        if self._waiter is not None:
            self._wake()

    def feed_end(self, trailers: Fields) -> None:
        """Take the end of the request body."""
        self._request_complete = True
        if trailers:
            self._request_trailers = trailers
        if self._waiter is not None:
            self._wake()

    def disconnected(self, reason: str, detail: str | None = None, status: int = 0) -> None:
        """Learn that the peer has gone or that the connection was given up.

        ``status`` is that of an answer which the server gave in the application's place.
        """
        if self.connection.disconnect_reason is not None or self._phase == COMPLETE:
            return
        if status:
            self._status = status
            self.connection.response_started = True
        self._transport.detach()
        self.connection.disconnect(reason, detail)
        if self._waiter is not None:
            self._wake()
        self._log(reason)

    def above_high_water(self) -> None:
        """Learn that the buffered amount crossed the high mark."""
        self._transport.above_high_water()

    def drained(self) -> None:
        """Learn that the buffered amount fell below the low mark."""
        self._transport.drained()

    @property
    def response_begun(self) -> bool:
        """Whether bytes of a final response have been handed to the stream."""
        return self._phase >= BODY

    @property
    def wants_body(self) -> bool:
        """Whether the application waits for body bytes now."""
        return self._waiter is not None

    # ------------------------------------------------------------- what the application calls

    async def receive(self) -> Message:
        """Wait for the next message of the client.

        Cancelling the wait loses no message. After the end it returns ``http.disconnect`` again
        and again, up to a bound that stops endless loops.
        """
        if not self._asked:
            self._asked = True
            if not self._request_complete and self._phase != COMPLETE:
                self._stream.want_body()
        while True:
            if self._body is not None or (self._request_complete and not self._final_given):
                return self._take_body()
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

    def send(self, message: Message) -> Awaitable[None]:
        """Take a message of the application; done at once unless the client is slow."""
        if self.connection.disconnect_reason is not None:
            return self._after_disconnect()
        service = self._service
        try:
            kind = message["type"]
        except (KeyError, TypeError):
            raise MessageError(f"a message must be a dict with a 'type'; got {message!r}") from None
        if service.check is not None:
            service.check(kind, message)
        if kind == "http.response.start":
            self._send_start(message)
            return DONE
        if kind == "http.response.body":
            if "file" in message or "fh" in message:
                return self._send_file_body(message)
            self._send_body(message)
            if self._phase == COMPLETE or self._stream.writable:
                return DONE
            return self._stream.drain()
        return self._send_other(kind, message)

    # ------------------------------------------------------------- receiving

    def _take_body(self) -> Message:
        body = self._body
        self._body = None
        if body is None:
            data = b""
        else:
            data = body[0] if len(body) == 1 else b"".join(body)
        message: dict[str, Any] = {
            "type": "http.request",
            "body": data,
            "more_body": not self._request_complete,
        }
        if self._request_complete:
            self._final_given = True
            if self._request_trailers is not None:
                message["trailers"] = self._request_trailers
        if data and self._phase != COMPLETE and self.connection.disconnect_reason is None:
            self._stream.consumed(len(data))
        return message

    def _take_disconnect(self) -> Message:
        self._disconnect_receives += 1
        if self._disconnect_receives > MAX_DISCONNECT_RECEIVES:
            raise MessageError(
                f"receive() was called {MAX_DISCONNECT_RECEIVES} times after http.disconnect; "
                "leave the loop when it arrives"
            )
        message: dict[str, Any] = {"type": "http.disconnect"}
        if self.connection.disconnect_reason is not None:
            message["reason"] = self.connection.disconnect_reason
        return message

    def _wake(self) -> None:
        waiter = self._waiter
        if not waiter.done():
            waiter.set_result(None)

    # ------------------------------------------------------------- sending

    def _after_disconnect(self) -> Awaitable[None]:
        if self.connection.aborted:
            return DONE  # the application ended the scope itself: nothing to tell it
        raise Disconnected(self.connection.disconnect_reason or "client_closed")

    def _unexpected(self, kind: Any) -> MessageError:
        return MessageError(f"unexpected message {kind!r}; expected {_EXPECTED[self._phase]}")

    def _send_start(self, message: Message) -> None:
        if self._phase != IDLE:
            raise self._unexpected("http.response.start")
        status = message.get("status")
        if type(status) is not int or not 200 <= status <= 999:
            raise MessageError(
                f"http.response.start needs 'status', an int from 200 to 999; got {status!r}"
            )
        fields = message.get("headers", ())
        self._fields = fields if type(fields) is list else list(fields)
        self._trailers = bool(message.get("trailers", False))
        self._status = status
        self._phase = STARTED
        self.connection.response_started = True

    def _send_body(self, message: Message) -> None:
        data = message.get("body", b"")
        if type(data) is not bytes:
            data = self._as_bytes(data)
        self._write_body(data, not message.get("more_body", False))

    def _as_bytes(self, data: Any) -> bytes:
        if isinstance(data, (bytes, bytearray, memoryview)):
            return bytes(data)
        raise MessageError(
            f"http.response.body needs 'body' as bytes; got {type(data).__name__}"
            + (" (encode the text first)" if isinstance(data, str) else "")
        )

    def _write_body(self, data: bytes, end: bool) -> None:
        phase = self._phase
        if phase == STARTED:
            self._write_head(len(data) if end and not self._trailers else None)
        elif phase != BODY:
            raise self._unexpected("http.response.body")
        if not self._head_only:
            self.sent += len(data)
        stream = self._stream
        try:
            stream.write_body(data, end)
        except LocalProtocolError as exc:
            raise MessageError(str(exc)) from None
        if not end:
            stream.flush()
        elif self._trailers:
            self._phase = TRAILERS
            stream.flush()
        else:
            self._complete()

    def _write_head(self, size: int | None) -> None:
        """Write the head that was held back; on bad header bytes the scope is as before start."""
        try:
            self._stream.write_head(self._status, self._fields, size, self._trailers)
        except LocalProtocolError as exc:
            self._phase = IDLE
            self.connection.response_started = False
            raise MessageError(str(exc)) from None
        self._fields = None
        self._phase = BODY

    def _complete(self) -> None:
        """Enter the clean end: the whole response was handed over."""
        self._phase = COMPLETE
        service = self._service
        if self.connection.complete():
            # Never synchronously inside the application's own send.
            service.loop.call_soon(self.connection.announce)
        if self._scope is not None:
            self._log(None)
        self._transport.detach()
        if self._waiter is not None:
            self._wake()
        self._stream.response_complete()

    def _log(self, reason: str | None) -> None:
        scope = self._scope
        if scope is not None:
            self._scope = None
            service = self._service
            seconds = service.time() - self._started_at
            assert service.log_access is not None
            service.log_access(self.client, scope, self._status, self.sent, seconds, reason)

    def _send_other(self, kind: Any, message: Message) -> Awaitable[None]:
        if kind == "http.response.pathsend":
            return self._send_file(message, message.get("path"), None, None, False)
        if kind == "http.response.zerocopysend":
            return self._send_file(
                message,
                message.get("file"),
                message.get("offset"),
                message.get("count"),
                bool(message.get("more_body", False)),
            )
        if kind == "http.response.early_hint":
            self._send_early_hint(message)
        elif kind == "http.response.trailers":
            self._send_trailers(message)
        elif kind == "http.fullflush":
            return self._full_flush()
        else:
            raise self._unexpected(kind)
        return DONE

    def _send_early_hint(self, message: Message) -> None:
        if self._phase > STARTED:
            raise self._unexpected("http.response.early_hint")
        links = [(b"link", bytes(link)) for link in message.get("links", ())]
        try:
            self._stream.write_informational(103, links)
        except LocalProtocolError as exc:
            raise MessageError(str(exc)) from None
        self._stream.flush()

    def _send_trailers(self, message: Message) -> None:
        if self._phase != TRAILERS:
            raise self._unexpected("http.response.trailers")
        fields = list(message.get("headers", ()))
        if message.get("more_trailers", False):
            self._fields = (self._fields or []) + fields
            return
        try:
            self._stream.write_trailers((self._fields or []) + fields)
        except LocalProtocolError as exc:
            raise MessageError(str(exc)) from None
        self._complete()

    async def _full_flush(self) -> None:
        """Wait until all that was sent has been given to the operating system."""
        if self._phase != COMPLETE:
            await self._stream.drain_all()

    # ------------------------------------------------------------- files

    def _send_file_body(self, message: Message) -> Awaitable[None]:
        if "file" in message and "fh" in message:
            raise MessageError("http.response.body takes one of 'body', 'file' and 'fh'")
        source = message["file"] if "file" in message else message["fh"]
        return self._send_file(message, source, message.get("offset"), message.get("length"), False)

    async def _send_file(
        self, message: Message, source: Any, offset: Any, length: Any, more: bool
    ) -> None:
        """Send a file as (a part of) the body.

        A file that cannot be opened or read raises here. If nothing was written the response can
        still be another one; afterwards it is truncated when the application ends.
        """
        if self._phase not in (STARTED, BODY):
            raise self._unexpected(message["type"])
        file = open_body(source, offset, length, self._service.flow)
        try:
            await self._write_file(file, more)
        finally:
            file.close()

    async def _write_file(self, file: FileBody, more: bool) -> None:
        if self._phase == STARTED:
            whole = not more and not self._trailers
            self._write_head(file.size if whole else None)
        if self._head_only or file.size == 0:
            self._write_body(b"", not more)
            return
        stream = self._stream
        if file.size is not None and file.descriptor is not None:
            done = await stream.write_file(file.descriptor, file.offset, file.size)
            self.sent += done
            if done < file.size:
                if self.connection.disconnect_reason is None:
                    raise OSError(f"the file ended {file.size - done} bytes early")
                return
        else:
            async for data in file.pieces(self._service.loop):
                if self.connection.disconnect_reason is not None:
                    return
                self._write_body(data, False)
                if not stream.writable:
                    await stream.drain()
        if self.connection.disconnect_reason is None:
            self._write_body(b"", not more)

    # ------------------------------------------------------------- the end

    def abort(self, detail: str | None) -> None:
        """End the scope on the application's behalf, with reason ``app_abort``."""
        if self._phase != COMPLETE and self.connection.disconnect_reason is None:
            stream = self._stream
            self.disconnected("app_abort", detail)
            stream.reset("app_abort")

    def app_finished(self, error: BaseException | None) -> None:
        """Take the end of the application and hold the completion contract.

        Never raises: it is called where nobody could catch it.
        """
        self._app_done = True
        if self._phase == COMPLETE:
            if error is not None:
                self._report("the application failed after its response was complete", error)
            return
        if self.connection.disconnect_reason is not None:
            if error is not None and not isinstance(error, (OSError, asyncio.CancelledError)):
                self._report("the application failed after the client had gone", error)
            return
        if self._phase <= STARTED:
            if error is not None:
                self._report("the application failed; answered with 500", error)
            else:
                self._report("the application returned without a response; answered with 500", None)
            self._send_server_error()
        else:
            if error is not None:
                self._report("the application failed in mid-response; truncated", error)
            else:
                self._report("the application returned in mid-response; truncated", None)
            self._truncate()

    def _truncate(self) -> None:
        stream = self._stream
        self.disconnected("server_error", "the response was not finished")
        stream.reset("server_error")

    def _send_server_error(self) -> None:
        self._fields = [
            (b"content-type", b"text/plain; charset=utf-8"),
            # What else the application left undone with this connection, nobody knows.
            (b"connection", b"close"),
        ]
        self._status = 500
        self._trailers = False
        self._phase = STARTED
        self.connection.response_started = True
        try:
            self._write_body(_SERVER_ERROR, True)
        except MessageError:  # cannot be: these fields are ours
            self._truncate()

    def _report(self, what: str, error: BaseException | None) -> None:
        self._service.logger.error(what, exc_info=error)
