"""`HTTP2Sender`: the write direction of an HTTP/2 connection.

One source, two builds: compiled as ``_sender_c`` (see ``_sender_c.pxd``).

What is right to send on which stream is decided here; `FrameOutput` makes frames of it, and
`data_to_send` pulls them.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.connection import DefaultFields
from pagi.protocol.errors import LocalProtocolError, ShortBodyError
from pagi.protocol.events import Fields
from pagi.protocol.http2._guard_py import PeerGuard
from pagi.protocol.http2._output_py import FrameOutput
from pagi.protocol.http2._response_py import (
    informational_fields,
    length_field,
    response_fields,
    trailer_fields,
)
from pagi.protocol.http2._stream_py import StreamState
from pagi.protocol.http2.codes import INTERNAL_ERROR, NO_ERROR, RESET_CODES
from pagi.protocol.http2.limits import HTTP2Limits
from pagi.protocol.http2.phases import BODY, DONE, GONE, HEAD, TRAILERS, TUNNEL, UNBOUNDED

__all__ = ["HTTP2Sender"]

#: A response that is larger, or whose size is not known, takes turns with others.
_SMALL: Final = 16_384
_EVERYTHING: Final = 1 << 62


class HTTP2Sender(FrameOutput):
    """Heads, bodies and trailers on their way out.

    Attributes:
        finished: nothing more will be read or written.
    """

    __slots__ = (
        "_defaults",
        "_early_ends",
        "_farewell",
        "_guard",
        "_leaving",
        "_limits",
        "_over",
        "_streams",
        "finished",
    )

    def __init__(self, limits: HTTP2Limits, defaults: DefaultFields) -> None:
        FrameOutput.__init__(self)
        self.finished = False
        self._limits = limits
        self._defaults = defaults
        self._guard = PeerGuard(limits)
        self._streams: dict[int, StreamState] = {}
        self._early_ends: list[StreamState] = []  # complete answers to incomplete requests
        self._leaving = False  # the connection ends with its last stream
        self._over = False  # nothing is sent any more but what is left to say:
        self._farewell = b""

    # --- heads ---

    def _expect(self, stream_id: int, phase: int) -> StreamState:
        """Return the stream if it is in this phase.

        What is said to a stream that has ended is said to nobody: whoever says it has not heard
        of the end yet.
        """
        state = self._streams.get(stream_id)
        if state is None or state.phase == GONE:
            state = StreamState()
            state.phase = phase
        elif state.phase != phase:
            what = "head" if phase == HEAD else "body"
            raise LocalProtocolError(f"no response {what} is due on stream {stream_id}")
        return state

    def send_informational(self, stream_id: int, status: int, fields: Fields) -> None:
        """Queue a 1xx response (RFC 9110 §15.2).

        Raises:
            LocalProtocolError: ``status`` is 101 or none of 1xx, the final head was sent, or a
                field is not fit for the wire.
        """
        state = self._expect(stream_id, HEAD)
        if not 100 <= status <= 199 or status == 101:
            raise LocalProtocolError(f"{status} is not an informational status")
        wire = informational_fields(status, fields)
        if state.stream_id and not self._over:
            self._put_head(state, wire, False)

    def send_head(
        self,
        stream_id: int,
        status: int,
        fields: Fields,
        size: int | None = None,
        trailers: bool = False,
        at_least: int = 0,
    ) -> None:
        """Queue the head of the final response; see `HTTPConnection.send_head`.

        Raises:
            LocalProtocolError: no head is due, a field is not fit for the wire, or the declared
                length is not ``size`` or less than ``at_least``; nothing was queued.
        """
        state = self._expect(stream_id, HEAD)
        known = UNBOUNDED if size is None else size
        wire = self._make_head(state, status, fields, known, trailers)
        state.check_count(at_least)
        self._take_turns(state)
        self._submit_head(state, wire, False)
        state.phase = BODY

    def send_response(self, stream_id: int, status: int, fields: Fields, data: bytes) -> None:
        """Queue a whole response: head, body and end.

        Raises:
            LocalProtocolError: as `send_head` does; nothing was queued.
        """
        state = self._expect(stream_id, HEAD)
        size = len(data)
        wire = self._make_head(state, status, fields, size, False)
        whole = state.swallow or not size
        self._submit_head(state, wire, whole)
        if not whole and state.stream_id and not self._over:
            if size <= _SMALL:
                self._put_small(state, data)
            else:
                self._take_turns(state)
                self._put_data(state, data, True)
        self._end_response(state)

    def _make_head(
        self, state: StreamState, status: int, fields: Fields, size: int, trailers: bool
    ) -> Fields:
        if not 200 <= status <= 999:
            raise LocalProtocolError(f"{status} is not a final status")
        wire, declared = response_fields(status, fields, self._defaults)
        state.trailers = trailers
        length = state.frame_body(status, declared, size)
        if length >= 0:
            wire.append(length_field(length))
        return wire

    def _take_turns(self, state: StreamState) -> None:
        """Let a long response take turns with others, unless the peer wants it otherwise.

        RFC 9218 §10 would serve one after the other where the peer has said nothing: a download
        would then hold up everything that was asked for later.
        """
        if not state.ranked:
            self._set_urgency(state, state.urgency, True)

    def _submit_head(self, state: StreamState, wire: Fields, end: bool) -> None:
        if state.stream_id and not self._over:
            self._put_head(state, wire, end)

    def _submit_data(self, state: StreamState, data: bytes, end: bool) -> None:
        if state.stream_id and not self._over:
            self._put_data(state, data, end)

    # --- bodies ---

    def send_body(self, stream_id: int, data: bytes, end: bool = False) -> None:
        """Queue body bytes; ``end`` completes the response, or the body if trailers follow.

        Raises:
            LocalProtocolError: no body is due, or its length is not the declared one. When it is
                too short the response stays incomplete: only `reset` may follow.
        """
        state = self._streams.get(stream_id)
        if state is not None and state.phase == TUNNEL:
            self._submit_data(state, data, end)
            if end:
                self._end_response(state)
            return
        state = self._expect(stream_id, BODY)
        size = 0 if state.swallow else len(data)
        if state.to_send >= 0:
            state.check_count(size)
            if end and size < state.to_send:
                missing = state.to_send - size
                raise ShortBodyError(f"the body is {missing} bytes shorter than declared")
            state.to_send -= size
        if state.trailers:
            if size:
                self._submit_data(state, data, False)
            if end:
                state.phase = TRAILERS
            return
        if size or end:
            self._submit_data(state, data if size else b"", end)
        if end:
            self._end_response(state)

    def expect_body(self, stream_id: int, size: int) -> None:
        """Make sure that ``size`` body bytes may follow, in whatever pieces.

        Raises:
            LocalProtocolError: no body is due, or it would be longer than declared.
        """
        state = self._expect(stream_id, BODY)
        if not state.swallow:
            state.check_count(size)

    def send_trailers(self, stream_id: int, fields: Fields) -> None:
        """Queue trailer fields and complete the response; ends the body if that was not done.

        Raises:
            LocalProtocolError: no trailers were promised, they are not due, or a field is not
                fit for them.
        """
        state = self._streams.get(stream_id)
        if state is None or state.phase == GONE:
            return
        if not state.trailers or (state.phase != TRAILERS and state.phase != BODY):
            raise LocalProtocolError(f"no trailers are due on stream {stream_id}")
        wire = trailer_fields(fields)
        if state.to_send > 0 and not state.swallow:
            missing = state.to_send
            raise ShortBodyError(f"the body is {missing} bytes shorter than declared")
        if state.swallow or not wire:
            self._submit_data(state, b"", True)
        elif not self._over:
            self._put_trailer(state, wire)
        self._end_response(state)

    def switch(self, stream_id: int, fields: Fields) -> None:
        """Accept an extended CONNECT by 200 (RFC 8441 §5); opaque bytes follow both ways.

        Raises:
            LocalProtocolError: the peer did not ask for it, a response began, or a field is not
                fit for the wire.
        """
        state = self._expect(stream_id, HEAD)
        if state.stream_id and not state.extended:
            raise LocalProtocolError("the peer did not ask for another protocol")
        wire, _ = response_fields(200, fields, self._defaults)
        self._take_turns(state)
        self._submit_head(state, wire, False)
        state.phase = TUNNEL

    # --- ends ---

    def _end_response(self, state: StreamState) -> None:
        state.phase = DONE
        if state.stream_id and not state.peer_done:
            self._early_ends.append(state)

    def reset(self, stream_id: int, reason: str) -> None:
        """Give up a response: the peer gets RST_STREAM and must not take it for whole."""
        state = self._streams.get(stream_id)
        if state is not None and state.phase != GONE:
            self._reset(state, RESET_CODES.get(reason, INTERNAL_ERROR))

    def _reset(self, state: StreamState, code: int) -> None:
        state.phase = GONE
        if not self._over:
            self._put_reset(state, code)

    def _stop_uploads(self) -> None:
        """Tell peers whose request was answered before its end to send no more (RFC 9113 §8.1).

        Not before the answer has left: the reset would overtake it.
        """
        waiting = []
        for state in self._early_ends:
            if state.phase != DONE or state.peer_done:
                continue
            if state.ready or state.queued or state.trailer is not None:
                waiting.append(state)
            else:
                self._reset(state, NO_ERROR)
        self._early_ends = waiting

    # --- output ---

    def buffered(self, stream_id: int) -> int:
        """Return how many body bytes of a stream were not pulled yet."""
        state = self._streams.get(stream_id)
        return 0 if state is None else state.queued + state.parked

    def data_to_send(self, limit: int | None = None) -> list[bytes]:
        """Take about ``limit`` bytes of what may be sent; the rest waits, by stream."""
        if self._over:
            data, self._farewell = self._farewell, b""
            self.finished = True
            return [data] if data else []
        data = self._take(_EVERYTHING if limit is None else limit)
        if self._early_ends:
            self._stop_uploads()
        if self._ended:
            self._forget_ended()
        if self._out:  # what those have put; nobody may come and pull again
            data += self._take(0)
        if self._leaving and not self._streams:
            self._complete()
        if not data:
            return []
        self._guard.sent(len(data))
        return [data]

    def _forget_ended(self) -> None:
        """Take note of streams whose last frame has been pulled; the subclass knows more."""
        self._ended = []

    def _complete(self) -> None:
        """The connection was to end, and its last stream has; the subclass knows more."""
