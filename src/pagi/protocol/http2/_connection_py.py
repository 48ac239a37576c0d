"""`HTTP2Connection`: RFC 9113 without I/O, server side, over the engine libnghttp2.

    bytes ──► FrameGuard ──► engine ──► its events ──► ours
    calls ──► HTTP2Sender ─► engine ──► bytes, pulled by the driver

What the engine finds wrong it answers itself, when its output is pulled. So pulling has effects on
streams too; they are kept, `pending` says so, and ``receive_data(b"", now)`` returns them.

A violation of the peer that concerns one stream resets that stream. One that concerns the
connection is answered by GOAWAY, and the engine is asked for nothing more.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any, Final

from pagi.protocol.connection import DefaultFields
from pagi.protocol.errors import StreamError
from pagi.protocol.events import (
    BodyReceived,
    BytesReceived,
    ConnectionEnded,
    ConnectionFailed,
    Event,
    Fields,
    MessageComplete,
    StreamReset,
)
from pagi.protocol.http1.reasons import REASONS
from pagi.protocol.http2._request_py import read_request
from pagi.protocol.http2._sender_py import HTTP2Sender
from pagi.protocol.http2._stream_py import StreamState
from pagi.protocol.http2.codes import (
    ENHANCE_YOUR_CALM,
    ERROR_NAMES,
    NO_ERROR,
    PROTOCOL_ERROR,
    goaway_frame,
)
from pagi.protocol.http2.engine import AVAILABLE, TOO_LATE, events, settings_of
from pagi.protocol.http2.limits import HTTP2Limits
from pagi.protocol.http2.phases import DONE, GONE, HEAD, TUNNEL

__all__ = ["HTTP2Connection"]

#: How far an orderly end is.
_OPEN: Final = 0
_ANNOUNCED: Final = 1
_CLOSING: Final = 2

# The kinds of the engine's events that come with each request: global names cost a look-up each.
_REQUEST_RECEIVED: Any = events.RequestReceived if AVAILABLE else None
_DATA_RECEIVED: Any = events.DataReceived if AVAILABLE else None
_TRAILERS_RECEIVED: Any = events.TrailersReceived if AVAILABLE else None
_STREAM_RESET: Any = events.StreamReset if AVAILABLE else None
_STREAM_CLOSED: Any = events.StreamClosed if AVAILABLE else None
_WINDOW_UPDATED: Any = events.WindowUpdated if AVAILABLE else None

_KEEPALIVE: Final = b"pagi\0\0\0\1"
_FAREWELL: Final = b"pagi\0\0\0\2"


class HTTP2Connection(HTTP2Sender):
    """The machine of one HTTP/2 connection, server side.

    Satisfies `pagi.protocol.connection.HTTPConnection`.

    Attributes:
        closed: streams on which nothing more will happen; whoever takes note of them clears it.
        finished: nothing more will be read or written.
        pending: events wait that ``receive_data(b"", now)`` returns.
        peer_may_send: when ``finished``: the peer may be sending still, see `HTTP1Connection`.
        pinged: a PING of ours has not been answered yet.
        greeted: the peer's first SETTINGS have come.
    """

    __slots__ = (
        "_end",
        "_events",
        "_farewell_due",
        "_max_body_size",
        "closed",
        "greeted",
        "peer_may_send",
        "pending",
        "pinged",
    )

    def __init__(self, limits: HTTP2Limits, defaults: DefaultFields) -> None:
        super().__init__(limits, defaults)
        self._events: list[Event] = []
        self._end: int = _OPEN
        self._farewell_due = False
        self.closed: list[int] = []
        self._max_body_size = limits.max_body_size
        self.pending = False
        self.peer_may_send = True
        self.pinged = False
        self.greeted = False

    # --- beginning ---

    def begin(self) -> None:
        """Queue our SETTINGS; the peer's preface is still to come."""
        self._engine.initiate_connection(settings_of(self._limits))
        self._widen()

    def begin_upgraded(self, settings: bytes, method: str) -> None:
        """Go on from HTTP/1.1 (RFC 7540 §3.2.1): the request that asked for it is on stream 1.

        Args:
            settings: value of ``HTTP2-Settings``.
            method: of that request, which must not have a body.

        Raises:
            ValueError: the settings are malformed.
        """
        payload = urlsafe_b64decode(settings + b"=" * (-len(settings) % 4))
        self._engine.initiate_upgrade(
            payload, local_settings=settings_of(self._limits), head_request=method == "HEAD"
        )
        self._guard.upgraded()
        state = self._streams[1] = StreamState()
        state.stream_id = 1
        state.method = method
        state.peer_done = True
        self._widen()

    def _widen(self) -> None:
        self._engine.set_local_window_size(self._limits.connection_window_size)

    # --- what the driver asks ---

    @property
    def idle(self) -> bool:
        """No stream is open and no part of a header section has arrived."""
        return not self._streams and not self._guard.in_headers

    @property
    def in_headers(self) -> bool:
        """A header section has begun and is not complete."""
        return bool(self._guard.in_headers)

    def is_open(self, stream_id: int) -> bool:
        """Whether the peer or we may send on a stream."""
        return stream_id in self._streams

    def awaits_body(self, stream_id: int) -> bool:
        """Whether the peer owes body bytes on a stream and has the credit to send them."""
        state = self._streams.get(stream_id)
        return (
            state is not None
            and not state.peer_done
            and state.phase < TUNNEL
            and state.unread < self._limits.window_size
        )

    # --- receiving ---

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the peer and return what they mean; see `HTTPConnection`."""
        if data and not self._over and not self.finished:
            guard = self._guard
            guard.refill(now)
            accepted = guard.check(data)
            self._feed(data if accepted == len(data) else data[:accepted])
            if guard.error and not self._over:
                self._fail(guard.error, guard.detail)
        found = self._events
        self._events = []
        self.pending = False
        return found

    def _feed(self, data: bytes) -> None:
        engine = self._engine
        try:
            engine.receive_data(data)
            self._translate(engine.events())
        except Exception as error:  # it has given itself up
            code = (
                ENHANCE_YOUR_CALM if type(error).__name__.startswith("Denial") else PROTOCOL_ERROR
            )
            self._give_up(code, str(error).removeprefix("HTTP/2 engine error: "))

    def receive_eof(self, now: float) -> list[Event]:
        """Take the end of the peer's bytes: it has gone, an HTTP/2 peer does not half-close."""
        self.peer_may_send = False
        if not self._over:
            self._over = True
            self._streams.clear()
        self.finished = True
        return [ConnectionEnded(0)]

    def _translate(self, found: Any) -> None:
        for event in found:
            kind = type(event)
            if kind is _REQUEST_RECEIVED:
                self._begin(event.stream_id, event.headers, event.end_stream)
            elif kind is _STREAM_CLOSED:
                self._stream_closed(event.stream_id, event.error_code, event.local_error)
            elif kind is _DATA_RECEIVED:
                self._receive_body(event.stream_id, event.data, event.end_stream)
            elif kind is _TRAILERS_RECEIVED:
                self._receive_trailers(event.stream_id, event.headers)
            elif kind is _STREAM_RESET:
                self._stream_reset(event.stream_id, event.error_code)
            elif kind is not _WINDOW_UPDATED:
                self._translate_other(kind, event)

    def _translate_other(self, kind: Any, event: Any) -> None:
        """Take what concerns the connection."""
        if kind is events.SettingsReceived:
            self.greeted = True
        elif kind is events.PingAcknowledged:
            self._pong(event.opaque_data)
        elif kind is events.ConnectionClosed:
            self._connection_closed(event.error_code)
        elif kind is events.PriorityUpdateReceived:
            state = self._streams.get(event.stream_id)
            if state is not None:
                state.ranked = True

    def _begin(self, stream_id: int, headers: tuple[tuple[bytes, bytes], ...], end: bool) -> None:
        state = StreamState()
        state.stream_id = stream_id
        state.peer_done = end
        self._streams[stream_id] = state
        try:
            self._events.append(read_request(state, headers, self._limits))
        except StreamError as error:
            self._refuse(state, error.status, error.detail, error.reason, None)

    def _receive_body(self, stream_id: int, data: bytes, end: bool) -> None:
        state = self._streams.get(stream_id)
        if state is None:
            return
        size = len(data)
        state.received += size
        if end:
            state.peer_done = True
        if state.phase == GONE or state.phase == DONE:
            if size:
                self._acknowledge(stream_id, size)
            return
        state.unread += size
        if state.phase == TUNNEL:
            if size:
                self._events.append(BytesReceived(stream_id, data))
            if end:
                self._events.append(StreamReset(stream_id, "client_closed"))
            return
        if self._max_body_size is not None and state.received > self._max_body_size:
            self._refuse(state, 413, "the body is too large", "body_too_large", None)
            return
        if size:
            self._events.append(BodyReceived(stream_id, data))
        if end:
            self._events.append(MessageComplete(stream_id, []))

    def _receive_trailers(self, stream_id: int, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        state = self._streams.get(stream_id)
        if state is None:
            return
        state.peer_done = True
        if state.phase < TUNNEL:
            fields = [(name, value) for name, value in headers]
            self._events.append(MessageComplete(stream_id, fields))

    # --- ends ---

    def _stream_reset(self, stream_id: int, code: int) -> None:
        """The peer does not want the response any more."""
        state = self._streams.get(stream_id)
        if state is not None:
            if state.phase < DONE:
                detail = f"the peer reset the stream: {_error_name(code)}"
                self._events.append(StreamReset(stream_id, "client_closed", detail))
            state.phase = GONE
            state.peer_done = True

    def _stream_closed(self, stream_id: int, code: int, local_error: Any) -> None:
        """Nothing more can be sent on a stream, for whatever reason: forget it."""
        state = self._streams.pop(stream_id, None)
        if state is None:
            # Refused by the engine for a fault in its head, or because there are too many.
            self._guard.closed(stream_id, code != NO_ERROR)
            self._charge()
            return
        self.closed.append(stream_id)
        self._guard.closed(stream_id, not state.peer_done)
        if state.unread:
            self._acknowledge(stream_id, state.unread)
        if state.phase < DONE:
            if local_error is not None:
                reason, detail = "server_error", f"the response could not be sent: {local_error}"
            else:
                reason, detail = "protocol_error", f"the stream was reset: {_error_name(code)}"
                self._charge()
            self._events.append(StreamReset(stream_id, reason, detail))
            self.pending = True

    def _charge(self) -> None:
        """The peer made us reset a stream: that costs as much as if it had done so itself."""
        guard = self._guard
        if not guard.charge_reset() and not self._over:
            self._fail(guard.error, guard.detail)

    def _connection_closed(self, code: int) -> None:
        """The engine has sent or received the last GOAWAY, and no stream is left."""
        self._over = True
        self.finished = True
        self._streams.clear()
        if code != NO_ERROR and self._end != _CLOSING:
            detail = f"the connection was ended: {_error_name(code)}"
            self._events.append(ConnectionFailed(0, "protocol_error", 0, detail))
            self.pending = True

    def _fail(self, code: int, detail: str) -> None:
        """Answer a violation by GOAWAY; what was pulled in part is completed first."""
        try:
            self._engine.terminate_connection(code)
            rest = self._engine.data_to_send()
        except Exception:  # it has found something itself, and is beyond speaking
            self._give_up(code, detail)
        else:
            self._shut(rest, detail)

    def _give_up(self, code: int, detail: str) -> None:
        """The engine has failed: say GOAWAY in its place."""
        last = min(self._guard.last_stream_id, 2**31 - 1)
        self._shut(goaway_frame(last, code, detail.encode("ascii", "replace")), detail)

    def _shut(self, farewell: bytes, detail: str) -> None:
        self._over = True
        self._farewell = farewell
        self._streams.clear()
        self._events.append(ConnectionFailed(0, "protocol_error", 0, detail))
        self.pending = True

    def refuse(
        self,
        stream_id: int,
        status: int,
        detail: str,
        reason: str,
        fields: Fields | None = None,
    ) -> list[Event]:
        """Answer a request with an error of our own, or reset it if a response began.

        For what only the driver knows: deadlines, CONNECT, handshakes.

        Returns:
            The `StreamReset` that a violation would have caused, and what else has come.
        """
        state = self._streams.get(stream_id)
        if state is not None and state.phase < DONE and not self._over:
            self._refuse(state, status, detail, reason, fields)
        found, self._events = self._events, []
        self.pending = False
        return found

    def _refuse(
        self, state: StreamState, status: int, detail: str, reason: str, fields: Fields | None
    ) -> None:
        if state.phase == HEAD:
            body = b"%d %b\n" % (status, REASONS.get(status, b"Error"))
            own = [(b"content-type", b"text/plain; charset=utf-8")]
            self.send_response(state.stream_id, status, own + (fields or []), body)
        else:
            status = 0
            self.reset(state.stream_id, reason)
        self._events.append(StreamReset(state.stream_id, reason, detail, status))

    def consumed(self, stream_id: int, size: int) -> None:
        """The application took ``size`` body bytes: give the peer credit for more."""
        state = self._streams.get(stream_id)
        if state is not None and not self._over:
            state.unread -= size
            self._acknowledge(stream_id, size)

    def _acknowledge(self, stream_id: int, size: int) -> None:
        try:
            self._engine.acknowledge_received_data(size, stream_id)
        except TOO_LATE:
            pass

    # --- the end of the connection, in two steps (RFC 9113 §6.8) ---

    def close(self) -> None:
        """Begin an orderly end: announce it, then, when the peer must have heard, do it.

        Called again, or when the peer has answered the PING that follows the announcement, it
        stops taking new streams. Those that are open go on to their ends.
        """
        if self._over or self._end == _CLOSING:
            return
        if self._end == _OPEN and self.greeted:
            self._end = _ANNOUNCED
            self._announce()
        else:
            self._end = _CLOSING
            self._guard.accepting = False
            try:
                self._engine.send_goaway(NO_ERROR)
            except TOO_LATE:
                pass

    def ping(self) -> None:
        """Ask whether the peer is there."""
        if not self._over:
            self.pinged = True
            self._ask(_KEEPALIVE)

    def _announce(self) -> None:
        try:
            self._engine.send_shutdown_notice()
            self._farewell_due = True
        except TOO_LATE:
            pass

    def _ask(self, data: bytes) -> None:
        try:
            self._engine.ping(data)
        except TOO_LATE:
            pass

    def _pong(self, data: bytes) -> None:
        if data == _KEEPALIVE:
            self.pinged = False
        elif data == _FAREWELL and self._end == _ANNOUNCED:
            self.close()

    # --- output ---

    def _pull(self, limit: int | None) -> bytes:
        if self._over:
            return b""
        engine = self._engine
        try:
            data: bytes = engine.data_to_send(limit)
            found = engine.events()
        except Exception as error:
            self._give_up(PROTOCOL_ERROR, str(error))
            return b""
        if found:
            self._translate(found)
        if self._farewell_due:
            # Only now: the engine would let the PING overtake what its answer is to confirm.
            self._farewell_due = False
            self._ask(_FAREWELL)
            data += self._pull(None)
        return data


def _error_name(code: int) -> str:
    return ERROR_NAMES[code] if code < len(ERROR_NAMES) else f"0x{code:x}"
