"""`HTTPExchange`: one http scope from the call of the application to the end of its response.

One source, two builds: compiled as ``_http_c`` (see ``_http_c.pxd``).

Phases of the response::

    IDLE ──start──► STARTED ──first body──► BODY ──last body──────────────► COMPLETE
                    (head held back)         └──(trailers follow)──► TRAILERS ──┘

The head waits for the first body message, as ASGI asks: then head and body leave in one write, an
application that fails between the two still gets its 500, and the length of a one-piece body is
known. The other end, `disconnected`, can come in any phase but COMPLETE; it is recorded in the
connection object, which the application sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pagi.interface.errors import MessageError
from pagi.protocol.errors import LocalProtocolError, ShortBodyError
from pagi.server.exchange.awaitables import DONE
from pagi.server.exchange.base import Exchange
from pagi.server.exchange.files import FileBody, open_body
from pagi.server.exchange.paths import decode_path
from pagi.server.exchange.phases import BODY, COMPLETE, IDLE, STARTED, TRAILERS

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pagi.interface.callables import Message
    from pagi.protocol.events import RequestReceived
    from pagi.server.exchange.service import Service
    from pagi.server.exchange.stream import Stream

__all__ = ["HTTPExchange"]

_EXPECTED: Final = {
    IDLE: "http.response.start or sse.start",
    STARTED: "http.response.body",
    BODY: "http.response.body",
    TRAILERS: "http.response.trailers",
    COMPLETE: "nothing more: the response is complete",
}

_SERVER_ERROR: Final = b"Internal Server Error"
_ERROR_FIELDS: Final = [(b"content-type", b"text/plain; charset=utf-8")]


def _raise(error: BaseException) -> None:
    raise error


class HTTPExchange(Exchange):
    """The application's side of one http scope. Made by a driver, which then calls `start`."""

    __slots__ = ("_fields", "_head_only", "_trailers")

    def __init__(self, service: Service, stream: Stream, client: str) -> None:
        Exchange.__init__(self, service, stream, client)
        self._fields: Any = None
        self._trailers = False
        self._head_only = False

    def start(self, request: RequestReceived, template: dict[str, Any]) -> None:
        """Build the scope and call the application."""
        service = self._service
        scope = self._make_scope(request, template)
        if request.end:
            self._request_complete = True
        self._scope = scope
        if service.log_access is not None:
            self.started_at = service.time()
        runner = service.runner
        if runner.start(service.app, self, scope):
            error = runner.error
            self.app_finished(error)
            if error is not None:
                runner.error = None
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    # Not here: the answers of this turn are still to be written.
                    service.loop.call_soon(_raise, error)

    def _make_scope(self, request: RequestReceived, template: dict[str, Any]) -> dict[str, Any]:
        service = self._service
        scope: dict[str, Any] = template.copy()
        head = request
        if head.http_version != "1.1":
            scope["http_version"] = head.http_version
        method = head.method
        if method != "GET":
            scope["method"] = method
            self._head_only = method == "HEAD"
        if head.scheme is not None:
            scope["scheme"] = head.scheme
        raw_path = head.raw_path
        # The machine admits visible ASCII only, so that without an escape this is all there is.
        path = raw_path.decode("latin-1") if b"%" not in raw_path else decode_path(raw_path)
        if service.root_path and raw_path != b"*":
            path = service.root_path + path
            raw_path = service.root_path.encode() + raw_path
        scope["path"] = path
        scope["raw_path"] = raw_path
        scope["query_string"] = head.query_string
        scope["headers"] = head.fields
        advertised: dict[str, Any] = scope["extensions"]
        scope["extensions"] = advertised.copy()
        scope["pagi.connection"] = self.connection
        scope["pagi.transport"] = self._transport
        if service.state is not None:
            scope["state"] = service.state.copy()
        return scope

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
        if type(message) is not dict:
            message = dict(message)  # any mapping will do
        if kind == "http.response.start":
            self._send_start(message)
            return DONE
        if kind == "http.response.body":
            if (len(message) > 2 or "body" not in message) and (
                "file" in message or "fh" in message
            ):
                return self._send_file_body(message)
            self._send_body(message)
            if self._phase == COMPLETE or self._stream.writable:
                return DONE
            return self._stream.drain()
        return self._send_other(kind, message)

    # ------------------------------------------------------------- sending

    def _unexpected(self, kind: Any) -> MessageError:
        return MessageError(f"unexpected message {kind!r}; expected {_EXPECTED[self._phase]}")

    def _send_start(self, message: Message) -> None:
        if self._phase != IDLE:
            raise self._unexpected("http.response.start")
        status = message.get("status")
        if not isinstance(status, int) or not 200 <= status <= 999:
            raise MessageError(
                f"http.response.start needs 'status', an int from 200 to 999; got {status!r}"
            )
        fields = message.get("headers", ())
        self._fields = fields if type(fields) is list else self._as_fields(fields, message)
        self._trailers = bool(message.get("trailers", False))
        self._status = int(status)
        self._phase = STARTED
        self.connection.response_started = True

    def _as_fields(self, fields: Any, message: Message) -> list[Any]:
        try:
            return list(fields)
        except TypeError:
            raise MessageError(
                f"{message['type']} needs 'headers' as a list of pairs of bytes; got {fields!r}"
            ) from None

    def _send_body(self, message: Message) -> None:
        data = message.get("body", b"")
        if type(data) is not bytes:
            data = self._as_bytes(data)
        end = not message.get("more_body", False)
        if end and self._phase == STARTED and not self._trailers:
            self._write_whole(data)
        else:
            self._write_body(data, end)

    def _as_bytes(self, data: Any) -> bytes:
        if isinstance(data, (bytes, bytearray, memoryview)):
            return bytes(data)
        raise MessageError(
            f"http.response.body needs 'body' as bytes; got {type(data).__name__}"
            + (" (encode the text first)" if isinstance(data, str) else "")
        )

    def _write_whole(self, data: bytes) -> None:
        """Write the head that was held back and the whole body: the most common response."""
        try:
            self._stream.write_response(self._status, self._fields, data)
        except LocalProtocolError as exc:
            raise self._head_refused(exc) from None
        self._fields = None
        if not self._head_only:
            self.sent = len(data)
        self._complete()

    def _head_refused(self, exc: LocalProtocolError) -> MessageError:
        """Go back to before the start: nothing of it was written."""
        self._phase = IDLE
        self.connection.response_started = False
        return MessageError(str(exc))

    def _write_body(self, data: bytes, end: bool) -> None:
        phase = self._phase
        if phase == STARTED:
            self._write_head(None, len(data))
        elif phase != BODY:
            raise self._unexpected("http.response.body")
        stream = self._stream
        try:
            stream.write_body(data, end)
        except LocalProtocolError as exc:
            if isinstance(exc, ShortBodyError):
                self._truncate()
            raise MessageError(str(exc)) from None
        if not self._head_only:
            self.sent += len(data)
        if not end:
            stream.flush()
        elif self._trailers:
            self._phase = TRAILERS
            stream.flush()
        else:
            self._complete()

    def _write_head(self, size: int | None, at_least: int) -> None:
        """Write the head that was held back; if it is refused the scope is as before start."""
        try:
            self._stream.write_head(self._status, self._fields, size, self._trailers, at_least)
        except LocalProtocolError as exc:
            raise self._head_refused(exc) from None
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
            self._waiter.wake_soon()
        self._stream.response_complete()

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
        links = message.get("links", ())
        try:
            links = [(b"link", bytes(memoryview(link))) for link in links]
        except TypeError:
            raise MessageError(
                f"http.response.early_hint needs 'links' as a list of bytes; got {links!r}"
            ) from None
        try:
            self._stream.write_informational(103, links)
        except LocalProtocolError as exc:
            raise MessageError(str(exc)) from None
        self._stream.flush()

    def _send_trailers(self, message: Message) -> None:
        if self._phase != TRAILERS:
            raise self._unexpected("http.response.trailers")
        fields = (self._fields or []) + self._as_fields(message.get("headers", ()), message)
        if message.get("more_trailers", False):
            self._fields = fields
            return
        try:
            self._stream.write_trailers(fields)
        except LocalProtocolError as exc:
            self._fields = None  # any of them may be at fault: they begin anew
            raise MessageError(str(exc)) from None
        self._complete()

    async def _full_flush(self) -> None:
        """Wait until all that was sent has been given to the operating system."""
        if self._phase == STARTED:
            self._write_head(None, 0)
        await self._stream.drain_all()

    # ------------------------------------------------------------- files

    def _send_file_body(self, message: Message) -> Awaitable[None]:
        if ("file" in message) + ("fh" in message) + ("body" in message) > 1:
            raise MessageError("http.response.body takes one of 'body', 'file' and 'fh'")
        source = message["file"] if "file" in message else message["fh"]
        return self._send_file(message, source, message.get("offset"), message.get("length"), False)

    def _send_file(
        self, message: Message, source: Any, offset: Any, length: Any, more: bool
    ) -> Awaitable[None]:
        """Send a file as (a part of) the body.

        A file that cannot be opened or read raises. If nothing was written the response can still
        be another one; afterwards it is truncated when the application ends.
        """
        if self._phase not in (STARTED, BODY):
            raise self._unexpected(message["type"])
        file = open_body(self._service.files, source, offset, length)
        try:
            at_once = self._send_at_once(file, more)
        except BaseException:
            file.close()
            raise
        if not at_once:
            return self._send_rest(file, more)
        file.close()
        return DONE

    def _send_at_once(self, file: FileBody, more: bool) -> bool:
        """Send what of a regular file needs no waiting; tell whether that was all."""
        if file.descriptor is None or not file.size or self._head_only:
            return False
        descriptor, size = file.descriptor, file.size
        if self._phase == STARTED:
            self._write_head(size if not more and not self._trailers else None, size)
        try:
            done = self._stream.begin_file(descriptor, file.offset, size)
        except LocalProtocolError as exc:
            raise MessageError(str(exc)) from None
        self.sent += done
        file.advance(done)
        if done < size:
            return False
        self._write_body(b"", not more)
        return True

    async def _send_rest(self, file: FileBody, more: bool) -> None:
        try:
            await self._write_file(file, more)
        finally:
            file.close()

    async def _write_file(self, file: FileBody, more: bool) -> None:
        size = file.size
        if self._phase == STARTED and (size is not None or self._head_only):
            whole = not more and not self._trailers
            self._write_head(size if whole else None, size or 0)
        if not self._head_only and size != 0:
            if file.descriptor is not None and size is not None:
                await self._write_descriptor(file, file.descriptor, size)
            else:
                await self._write_pieces(file)
        if self.connection.disconnect_reason is not None:
            await self._after_disconnect()
        elif self._phase == STARTED and not more and not self._trailers:
            self._write_whole(b"")
        else:
            self._write_body(b"", not more)

    async def _write_descriptor(self, file: FileBody, descriptor: int, size: int) -> None:
        try:
            done = await self._stream.write_file(descriptor, file.offset, size)
        except LocalProtocolError as exc:
            raise MessageError(str(exc)) from None
        self.sent += done
        file.advance(done)
        if done < size and self.connection.disconnect_reason is None:
            raise OSError(f"the file ended {size - done} bytes early")

    async def _write_pieces(self, file: FileBody) -> None:
        stream = self._stream
        loop = self._service.loop
        while data := await file.read(loop):
            if self.connection.disconnect_reason is not None:
                return
            self._write_body(data, False)
            if not stream.writable:
                await stream.drain()

    def _send_server_error(self, error: BaseException | None) -> None:
        fields, body = _ERROR_FIELDS, _SERVER_ERROR
        show_error = self._service.show_error
        if show_error is not None and self._scope is not None:
            fields, body = show_error(self._scope, error) or (fields, body)
        # What else the application left undone with this connection, nobody knows.
        self._fields = [*fields, (b"connection", b"close")]
        self._status = 500
        self._trailers = False
        self._phase = STARTED
        self.connection.response_started = True
        try:
            self._write_whole(body)
        except MessageError:  # cannot be: these fields are ours
            self._truncate()
