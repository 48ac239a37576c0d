"""`Exchange`: what exchanges of every kind have in common.

One source, two builds: compiled as ``_base_c`` (see ``_base_c.pxd``).

The inbound side (body bytes to messages), the two ends of a scope and the completion contract:

* a response that was begun and not finished is truncated visibly, never passed off as whole;
* an application that ends without a response is answered for, with 500;
* each scope ends exactly once, cleanly or with a reason.

``receive`` is a coroutine function: a message is taken when it is awaited, so that cancelling the
wait loses nothing. ``send``, which subclasses add, is not: it does its work when called and returns
an awaitable that is done unless the client is slow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pagi.interface.errors import Disconnected, MessageError
from pagi.server.exchange.awaitables import DONE, Waiter
from pagi.server.exchange.departure import is_departure
from pagi.server.exchange.handles import ConnectionState, TransportState
from pagi.server.exchange.phases import BODY, COMPLETE, IDLE, STARTED

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pagi.interface.callables import Message
    from pagi.protocol.events import Fields, RequestReceived
    from pagi.server.exchange.service import Service
    from pagi.server.exchange.stream import Stream

__all__ = ["Exchange"]

#: Pieces of a request body are joined to messages of this size at most: joining costs a copy, and
#: beyond 128 KiB memory that the system must map and clear.
JOINED_SIZE: Final = 65_536

# A loop that goes on receiving after the end would spin for ever without yielding.
MAX_DISCONNECT_RECEIVES: Final = 100


class Exchange:
    """The application's side of one request, until its response is complete or its peer gone."""

    __slots__ = (
        "_asked",
        "_body",
        "_disconnect_receives",
        "_final_given",
        "_native",
        "_noticed",
        "_phase",
        "_request_complete",
        "_request_trailers",
        "_scope",
        "_service",
        "_status",
        "_stream",
        "_transport",
        "_waiter",
        "client",
        "connection",
        "sent",
        "started_at",
    )

    def __init__(self, service: Service, stream: Stream, client: str) -> None:
        self._service = service
        self._stream = stream
        self.client = client
        self.sent = 0
        self.connection = ConnectionState(self, service)
        self._transport = TransportState(stream, service)
        self._scope: Any = None  # until the end, for those who watch
        self._phase = IDLE
        self._status = 0
        self._asked = False
        self._body: list[bytes] | None = None
        self._request_complete = False
        self._request_trailers: Any = None
        self._final_given = False
        self._native = False  # the scope is of type sse
        self._noticed = False  # the application was told of the disconnect
        self._disconnect_receives = 0
        self._waiter: Waiter | None = None
        self.started_at = 0.0

    # ------------------------------------------------------------- what the driver calls

    def start(self, request: RequestReceived, template: dict[str, Any]) -> None:
        """Build the scope and call the application; subclasses know how.

        Args:
            request: the head.
            template: what the scopes of a connection have in common, from `Service.scope_for`.
        """

    def feed(self, data: bytes) -> None:
        """Take request body bytes."""
        if self._body is None:
            self._body = [data]
        else:
            self._body.append(data)
        if self._waiter is not None:
            self._waiter.wake_soon()

    def feed_end(self, trailers: Fields) -> None:
        """Take the end of the request body."""
        self._request_complete = True
        if trailers:
            self._request_trailers = trailers
        if self._waiter is not None:
            self._waiter.wake_soon()

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
            self._waiter.wake_soon()
        self._log(reason)

    def shut_down(self, grace: float) -> None:
        """Learn that a stop begins: what has no end of its own gets one in ``grace`` seconds."""

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

    @property
    def forsaken(self) -> bool:
        """Whether this is a stream that has ended, and its application took no note of it.

        It may wait for ever for something to send.
        """
        return False

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
            waiter = self._waiter = Waiter(self._service.loop)
            try:
                await waiter
            finally:
                self._waiter = None

    # ------------------------------------------------------------- receiving

    def _take_body(self) -> Message:
        body = self._body
        if body is None:
            data = b""
        elif len(body) == 1:
            data = body[0]
            self._body = None
        else:
            data = self._join_some(body)
        complete = self._request_complete and self._body is None
        message: dict[str, Any] = {
            "type": "http.request",
            "body": data,
            "more_body": not complete,
        }
        if self._native:
            message["type"] = "sse.request"
        if complete:
            self._final_given = True
            if self._request_trailers is not None:
                message["trailers"] = self._request_trailers
        if data and self._phase != COMPLETE and self.connection.disconnect_reason is None:
            self._stream.consumed(len(data))
        return message

    def _join_some(self, body: list[bytes]) -> bytes:
        """Take pieces from the front: small ones together, a large one as it is."""
        size = count = 0
        for piece in body:
            if count and size + len(piece) > JOINED_SIZE:
                break
            size += len(piece)
            count += 1
        data = body[0] if count == 1 else b"".join(body[:count])
        del body[:count]
        if not body:
            self._body = None
        return data

    def _take_disconnect(self) -> Message:
        self._noticed = True
        self._disconnect_receives += 1
        if self._disconnect_receives > MAX_DISCONNECT_RECEIVES:
            raise MessageError(
                f"receive() was called {MAX_DISCONNECT_RECEIVES} times after the disconnect"
                " message; leave the loop when it arrives"
            )
        return self._disconnect_message()

    def _disconnect_message(self) -> dict[str, Any]:
        message: dict[str, Any] = {"type": "sse.disconnect" if self._native else "http.disconnect"}
        if self.connection.disconnect_reason is not None:
            message["reason"] = self.connection.disconnect_reason
        return message

    # ------------------------------------------------------------- the ends

    def _after_disconnect(self) -> Awaitable[None]:
        self._noticed = True
        if self.connection.aborted:
            return DONE  # the application ended the scope itself: nothing to tell it
        raise Disconnected(self.connection.disconnect_reason or "client_closed")

    def _log(self, reason: str | None) -> None:
        scope = self._scope
        if scope is not None:
            self._scope = None
            service = self._service
            if service.log_access is not None:
                seconds = service.time() - self.started_at
                service.log_access(self.client, scope, self._status, self.sent, seconds, reason)

    def describe(self) -> str:
        """Return in words which request this is, and for how long, as far as that is known."""
        scope = self._scope
        if scope is None:
            return f"a request of {self.client}"
        what = f"{scope.get('method', scope['type'])} {scope['path']} of {self.client}"
        if not self.started_at:
            return what
        return f"{what}, {self._service.time() - self.started_at:.1f} s"

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
        if self._phase == COMPLETE:
            if error is not None:
                self._report("the application failed after its response was complete", error)
            return
        if self.connection.disconnect_reason is not None:
            if error is not None and not is_departure(error):
                self._report("the application failed after the client had gone", error)
            return
        if self._phase <= STARTED:
            if error is not None:
                self._report("the application failed; answered with 500", error)
            else:
                self._report("the application returned without a response; answered with 500", None)
            self._send_server_error(error)
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

    def _report(self, what: str, error: BaseException | None) -> None:
        self._service.logger.error(what, exc_info=error)

    def _send_server_error(self, error: BaseException | None) -> None:
        """Answer with 500 in place of the application; subclasses know how."""
