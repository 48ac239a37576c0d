"""`HTTP2Connection`: RFC 9113 without I/O, server side.

    bytes ──► HTTP2Receiver ──► HTTP2Connection ──► events
    calls ──► HTTP2Sender ────► FrameOutput ──────► bytes, pulled by the driver

A stream is forgotten when its last frame has been pulled. So pulling has effects on streams; the
numbers of those that are gone are in ``closed``.

A violation of the peer that concerns one stream resets that stream. One that concerns the
connection is answered by GOAWAY, and nothing is read any more.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from typing import Final

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
from pagi.protocol.http2._head_py import Head
from pagi.protocol.http2._receiver_py import HTTP2Receiver
from pagi.protocol.http2._request_py import read_request
from pagi.protocol.http2._stream_py import StreamState
from pagi.protocol.http2.codes import (
    CANCEL,
    ERROR_NAMES,
    FRAME_SIZE_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    goaway_frame,
)
from pagi.protocol.http2.faults import ConnectionFault, fault
from pagi.protocol.http2.kinds import PING, RST_STREAM, SETTINGS
from pagi.protocol.http2.limits import HTTP2Limits
from pagi.protocol.http2.phases import DONE, GONE, HEAD, TUNNEL
from pagi.protocol.http2.settings import own_settings

__all__ = ["HTTP2Connection"]

#: How far an orderly end is.
_OPEN: Final = 0
_ANNOUNCED: Final = 1
_CLOSING: Final = 2

_LAST_POSSIBLE: Final = 2**31 - 1
_KEEPALIVE: Final = b"pagi\0\0\0\1"
_FAREWELL: Final = b"pagi\0\0\0\2"

#: Members of a Priority field (RFC 9218 §4); others, and wrong ones, are passed over.
#: A member of the dictionary that priorities are written as (RFC 9218 §4, RFC 9651 §3.2).
_MEMBER: Final = re.compile(rb"(?:\A|,)[ \t]*([ui])(?:=([^,; \t]*))?[ \t]*(?=[,;]|\Z)")
_USUAL_URGENCY: Final = 3


class HTTP2Connection(HTTP2Receiver):
    """The machine of one HTTP/2 connection, server side.

    Satisfies `pagi.protocol.connection.HTTPConnection`.

    Attributes:
        closed: streams on which nothing more will happen; whoever takes note of them clears it.
        finished: nothing more will be read or written.
        pending: events wait that ``receive_data(b"", now)`` returns.
        peer_may_send: when ``finished``: the peer may be sending still, see `HTTP1Connection`.
        pinged: a PING of ours has not been answered yet.
    """

    __slots__ = (
        "_end",
        "_events",
        "_max_body_size",
        "_peer_code",
        "_priorities",
        "closed",
        "peer_may_send",
        "pending",
        "pinged",
    )

    def __init__(self, limits: HTTP2Limits, defaults: DefaultFields) -> None:
        HTTP2Receiver.__init__(self, limits, defaults)
        self._events: list[Event] = []
        self._end: int = _OPEN
        self._peer_code: int = NO_ERROR  # of the peer's GOAWAY
        self._priorities: dict[int, bytes] = {}  # of streams that have not begun
        self.closed: list[int] = []
        self._max_body_size = limits.max_body_size
        self.pending = False
        self.peer_may_send = True
        self.pinged = False

    # --- beginning ---

    def begin(self) -> None:
        """Queue our SETTINGS; the peer's preface is still to come."""
        self._put(SETTINGS, 0, 0, own_settings(self._limits))
        more = self._limits.connection_window_size - self._credit
        if more > 0:
            self._put_credit(0, more)
            self._credit += more

    def begin_upgraded(self, settings: bytes, method: str) -> None:
        """Go on from HTTP/1.1 (RFC 7540 §3.2.1): the request that asked for it is on stream 1.

        Args:
            settings: value of ``HTTP2-Settings``.
            method: of that request, which must not have a body.

        Raises:
            ValueError: the settings are malformed.
        """
        payload = urlsafe_b64decode(settings + b"=" * (-len(settings) % 4))
        if len(payload) % 6:
            raise ValueError("SETTINGS of a broken length")
        try:
            self._apply_settings(payload)
        except ConnectionFault as error:
            raise ValueError(error.detail) from None
        self.begin()
        state = self._new_stream(1, True)
        state.method = method
        self._highest = self.last_stream_id = 1

    def _new_stream(self, stream_id: int, end: bool) -> StreamState:
        state = StreamState()
        state.stream_id = stream_id
        state.peer_done = end
        state.window = self._initial_window
        state.credit = self._own_window
        self._streams[stream_id] = state
        return state

    # --- what the driver asks ---

    @property
    def idle(self) -> bool:
        """No stream is open and no part of a header section has arrived."""
        return not self._streams and not self.in_headers

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
            self._guard.refill(now)
            try:
                self._feed(data)
            except ConnectionFault as error:
                self._fail(error.code, error.detail)
        found = self._events
        self._events = []
        self.pending = False
        return found

    def receive_eof(self, now: float) -> list[Event]:
        """Take the end of the peer's bytes: it has gone, an HTTP/2 peer does not half-close."""
        self.peer_may_send = False
        if not self._over:
            self._over = True
            self._streams.clear()
        self.finished = True
        return [ConnectionEnded(0)]

    def _open(self, stream_id: int, head: Head, end: bool) -> None:
        """A request begins."""
        priority = self._priorities.pop(stream_id, None) if self._priorities else None
        if self._end == _CLOSING:  # the peer had not heard of it yet: it will ask elsewhere
            self._guard.closed(stream_id, True)
            return
        self.last_stream_id = stream_id
        if not head.is_request():
            self._reject(stream_id, PROTOCOL_ERROR)
        elif len(self._streams) >= self._limits.max_concurrent_streams:
            self._reject(stream_id, REFUSED_STREAM)
        else:
            state = self._new_stream(stream_id, end)
            if head.priority is not None or priority is not None:
                self._prioritize(state, head.priority or b"" if priority is None else priority)
            self._begin(state, head)

    def _reject(self, stream_id: int, code: int) -> None:
        """Reset a stream that is not taken at all."""
        self._guard.closed(stream_id, True)
        self._put(RST_STREAM, 0, stream_id, code.to_bytes(4, "big"))
        self._count_reply()
        self._charge_reset()

    def _begin(self, state: StreamState, head: Head) -> None:
        try:
            event = read_request(state, head, self._limits)
        except StreamError as error:
            self._refuse(state, error.status, error.detail, error.reason, None)
            return
        if event.content_length is not None:
            if state.peer_done and event.content_length:
                self._stop(state, PROTOCOL_ERROR, "the body is shorter than announced")
                return
            state.announced = event.content_length
        self._events.append(event)

    def _receive_body(self, stream_id: int, data: bytes, end: bool) -> None:
        state = self._streams.get(stream_id)
        size = len(data)
        if state is None:
            self._owe(size)
            return
        state.received += size
        if end:
            state.peer_done = True
        if state.phase == GONE or state.phase == DONE:
            self._consume(state, size)
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

    def leave(self, stream_id: int) -> None:
        """End a tunnel whose peer has closed its side, when nothing more is to be sent on ours.

        Until then an answer to what came last may be sent, such as that to a close frame
        (RFC 8441 §5). Streams of other kinds, or that have ended, are left alone.
        """
        state = self._streams.get(stream_id)
        if state is None or state.phase != TUNNEL:
            return
        if state.queued:
            self._reset(state, CANCEL)
        else:
            self._submit_data(state, b"", True)
            self._end_response(state)

    def _receive_trailers(self, state: StreamState, head: Head, end: bool) -> None:
        """A second header section (RFC 9113 §8.1)."""
        if state.phase == GONE:
            return
        if state.peer_done:
            self._stop(state, STREAM_CLOSED, "HEADERS behind the end of the request")
        elif state.phase == TUNNEL:  # RFC 9113 §8.5
            self._stop(state, PROTOCOL_ERROR, "HEADERS in a tunnel")
        elif not end or not head.is_trailer_section() or state.announced > 0:
            self._stop(state, PROTOCOL_ERROR, "malformed trailers, or before the announced end")
        else:
            state.peer_done = True
            if state.phase < TUNNEL:
                self._events.append(MessageComplete(state.stream_id, head.fields))

    # --- urgency (RFC 9218) ---

    def _take_priority(self, payload: bytes) -> None:
        """PRIORITY_UPDATE (RFC 9218 §7.1); it may come before its stream."""
        if len(payload) < 4:
            fault(FRAME_SIZE_ERROR, "PRIORITY_UPDATE that is too short")
        stream_id = int.from_bytes(payload[:4], "big") & _LAST_POSSIBLE
        if not stream_id:
            fault(PROTOCOL_ERROR, "PRIORITY_UPDATE of stream 0")
        state = self._streams.get(stream_id)
        if state is not None:
            self._prioritize(state, payload[4:])
        elif stream_id > self._highest and stream_id & 1:
            if len(self._priorities) >= self._limits.max_concurrent_streams:
                self._priorities.clear()
            self._priorities[stream_id] = payload[4:]

    def _prioritize(self, state: StreamState, value: bytes) -> None:
        """Take a whole ranking: what it leaves out is as usual, and the last of several counts."""
        urgency: int = _USUAL_URGENCY
        incremental = False
        for name, found in _MEMBER.findall(value):
            if name == b"i":
                incremental = found in (b"", b"?1")
            elif len(found) == 1 and b"0" <= found <= b"7":
                urgency = int(found)
            else:
                urgency = _USUAL_URGENCY
        state.ranked = True
        self._set_urgency(state, urgency, incremental)

    # --- ends ---

    def _peer_reset(self, state: StreamState, code: int) -> None:
        """The peer does not want the response any more."""
        if state.phase < DONE:
            detail = f"the peer reset the stream: {_error_name(code)}"
            self._events.append(StreamReset(state.stream_id, "client_closed", detail))
        state.phase = GONE
        state.peer_done = True
        self._drop(state)
        self._forget(state)

    def _stop(self, state: StreamState, code: int, detail: str) -> None:
        """The peer has broken a rule that ends the stream; that costs as much as a reset by it."""
        if state.phase == GONE:
            return
        if state.phase < DONE:
            self._events.append(StreamReset(state.stream_id, "protocol_error", detail))
        self._reset(state, code)
        self._charge_reset()

    def _forget_ended(self) -> None:
        """Forget the streams whose last frame has been pulled, if the peer's has come, too."""
        ended, self._ended = self._ended, []
        for state in ended:
            state.parked = 0
            if state.peer_done or state.phase == GONE:
                self._forget(state)

    def _forget(self, state: StreamState) -> None:
        if self._streams.get(state.stream_id) is state:
            del self._streams[state.stream_id]
            self.closed.append(state.stream_id)
            self._guard.closed(state.stream_id, not state.peer_done)
            if state.unread:
                self._owe(state.unread)

    def _peer_leaves(self, code: int) -> None:
        """GOAWAY: the peer opens no more streams; those that are open go on."""
        self._peer_code = code
        self._leaving = True

    def _complete(self) -> None:
        """The connection was to end, and its last stream has."""
        self._over = True
        self.finished = True
        if self._peer_code != NO_ERROR and self._end != _CLOSING:
            detail = f"the connection was ended: {_error_name(self._peer_code)}"
            self._events.append(ConnectionFailed(0, "protocol_error", 0, detail))
            self.pending = True

    def _fail(self, code: int, detail: str) -> None:
        """Answer a violation by GOAWAY, behind the frames that are made already."""
        last = goaway_frame(self.last_stream_id, code, detail.encode("ascii", "replace"))
        self._over = True
        self._farewell = b"".join((*self._out, last))
        self._out = []
        self._streams.clear()
        self._events.append(ConnectionFailed(0, "protocol_error", 0, detail))

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
            self._consume(state, size)

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
            self._put_goaway(_LAST_POSSIBLE)
            self._put(PING, 0, 0, _FAREWELL)
        else:
            self._end = _CLOSING
            self._leaving = True
            self._put_goaway(self.last_stream_id)

    def _put_goaway(self, last_stream_id: int) -> None:
        frame = goaway_frame(last_stream_id, NO_ERROR)
        self._out.append(frame)
        self._out_size += len(frame)

    def ping(self) -> None:
        """Ask whether the peer is there."""
        if not self._over:
            self.pinged = True
            self._put(PING, 0, 0, _KEEPALIVE)

    def _pong(self, data: bytes) -> None:
        if data == _KEEPALIVE:
            self.pinged = False
        elif data == _FAREWELL and self._end == _ANNOUNCED:
            self.close()


def _error_name(code: int) -> str:
    return ERROR_NAMES[code] if code < len(ERROR_NAMES) else f"0x{code:x}"
