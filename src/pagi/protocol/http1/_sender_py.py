"""`ResponseSender`: the write direction of an HTTP/1 connection.

    ┌──────┐ request ┌──────┐ head ┌──────┐ end              ┌──────┐
    │ IDLE ├────────►│ HEAD ├─────►│ BODY ├─────────────────►│ DONE │
    └──────┘         └──┬───┘      └──┬───┘                  └──────┘
        ▲               │ switch      │ end, trailers promised   │ ▲
        │               ▼             ▼                          │ │
        │          ┌────────┐   ┌──────────┐  trailers           │ │
        │          │ TUNNEL │   │ TRAILERS ├─────────────────────┼─┘
        │          └────────┘   └──────────┘                     │
        └───────────────────── next request ─────────────────────┘

    any ── end of the connection ──► CLOSED

It knows how a body is delimited and keeps what was not pulled yet. When a request begins and what
follows a complete response is for `HTTP1Connection`, which adds the read direction.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.connection import DefaultFields
from pagi.protocol.errors import LocalProtocolError, ShortBodyError
from pagi.protocol.events import Fields, RequestReceived
from pagi.protocol.http1._chunks_py import make_chunk
from pagi.protocol.http1._fields_py import assemble_head, length_line, serialize_head
from pagi.protocol.http1.flags import HAS_DATE, HAS_SERVER, HAS_UPGRADE, WANTS_CLOSE
from pagi.protocol.http1.reasons import status_line
from pagi.protocol.http1.response import missing_defaults, serialize_trailers
from pagi.protocol.http1.states import (
    WRITE_BODY,
    WRITE_CLOSED,
    WRITE_DONE,
    WRITE_HEAD,
    WRITE_IDLE,
    WRITE_TRAILERS,
    WRITE_TUNNEL,
)

__all__ = ["ResponseSender"]

# Pieces up to this size are joined: copying costs less than another segment in a gathered write.
_JOINED: Final = 16_384
_UNBOUNDED: Final = -1


class ResponseSender:
    """Heads, bodies and trailers on their way out.

    Attributes:
        write_state: a `WriteState`, as an integer.
        finished: nothing more will be read or written.
        keep_alive: the connection may be used for another request after the current one.
        continue_expected: the peer waits for ``100 (Continue)`` before it sends the body.
    """

    __slots__ = (
        "_chunked_body",
        "_closing",
        "_defaults",
        "_out",
        "_out_size",
        "_request",
        "_stream_id",
        "_swallow",
        "_to_send",
        "_trailers",
        "continue_expected",
        "finished",
        "keep_alive",
        "write_state",
    )

    def __init__(self, defaults: DefaultFields) -> None:
        self.write_state: int = WRITE_IDLE
        self.finished = False
        self.keep_alive = True
        self.continue_expected = False
        self._closing = False  # the current response is the last one
        self._defaults = defaults
        self._stream_id = 0
        self._request: RequestReceived | None = None
        self._out: list[bytes] = []
        self._out_size = 0
        self._to_send = _UNBOUNDED  # bytes of the declared body length still to come
        self._chunked_body = False
        self._swallow = False  # the response has no body, whatever the application sends
        self._trailers = False

    # --- heads ---

    def send_informational(self, stream_id: int, status: int, fields: Fields) -> None:
        """Queue a 1xx response (RFC 9110 §15.2); nothing for a peer that speaks HTTP/1.0.

        ``100`` is queued only while the peer waits for it.

        Raises:
            LocalProtocolError: ``status`` is 101 or none of 1xx, the final head was sent, or a
                field is not fit for the wire.
        """
        request = self._expect_head(stream_id)
        if not 100 <= status <= 199 or status == 101:
            raise LocalProtocolError(f"{status} is not an informational status")
        lines, _, _ = serialize_head(status, fields)
        if request.http_version == "1.0":
            return
        if status == 100:
            if not self.continue_expected:
                return
            self.continue_expected = False
        self._queue(status_line(status) + lines + b"\r\n")

    def _expect_head(self, stream_id: int) -> RequestReceived:
        request = self._request
        if self.write_state != WRITE_HEAD or stream_id != self._stream_id or request is None:
            raise LocalProtocolError(f"no response head is due on stream {stream_id}")
        return request

    def send_head(
        self,
        stream_id: int,
        status: int,
        fields: Fields,
        size: int | None = None,
        trailers: bool = False,
        at_least: int = 0,
    ) -> None:
        """Queue the head of the final response and choose its framing (RFC 9112 §6).

        A declared ``content-length`` counts first, then ``trailers`` and ``size``; otherwise the
        body is chunked, or ends with the connection for HTTP/1.0.

        Args:
            stream_id: which request is answered.
            status: status code, 200 to 999.
            fields: fields in any case, see `HTTPConnection.send_head`.
            size: length of the body in bytes if it is known.
            trailers: trailer fields will follow; dropped where the framing has no place for them.
            at_least: bytes of the body that are at hand.

        Raises:
            LocalProtocolError: no head is due, a field is not fit for the wire, or the declared
                length is not ``size`` or less than ``at_least``; nothing was queued.
        """
        known = _UNBOUNDED if size is None else size
        head = self._make_head(stream_id, status, fields, known, trailers, b"")
        if self._to_send != _UNBOUNDED:
            self._check_count(at_least)
        self._queue(head)
        self.write_state = WRITE_BODY

    def send_response(self, stream_id: int, status: int, fields: Fields, data: bytes) -> None:
        """Queue a whole response: what `send_head` and `send_body` would, in one piece if small.

        Raises:
            LocalProtocolError: as `send_head` does; nothing was queued.
        """
        size = len(data)
        joined = data if size <= _JOINED else b""
        self._queue(self._make_head(stream_id, status, fields, size, False, joined))
        if size > _JOINED and not self._swallow:
            self._queue(data)
        self._to_send = 0
        self._end_response()

    def _make_head(
        self,
        stream_id: int,
        status: int,
        fields: Fields,
        size: int,
        trailers: bool,
        body: bytes,
    ) -> bytes:
        """Return the head, with ``body`` behind it if this response has one."""
        request = self._expect_head(stream_id)
        if not 200 <= status <= 999:
            raise LocalProtocolError(f"{status} is not a final status")
        lines, flags, length = serialize_head(status, fields)
        framing = self._choose_framing(request, status, length, size, trailers)
        if flags & WANTS_CLOSE or self._closing or self.continue_expected:
            # A peer that was not told to continue may or may not send its body (RFC 9110 §10.1.1)
            self.keep_alive = False
        self.continue_expected = False
        if flags & (HAS_DATE | HAS_SERVER):
            wire = missing_defaults(flags, self._defaults)
        else:
            wire = self._defaults.wire
        if not self.keep_alive:
            framing += b"connection: close\r\n"
        elif request.http_version == "1.0":
            framing += b"connection: keep-alive\r\n"
        if flags & HAS_UPGRADE:
            framing += b"connection: upgrade\r\n"
        self._trailers = trailers
        if self._swallow:
            body = b""
        return assemble_head(status, lines, wire, framing, body)

    def _choose_framing(
        self, request: RequestReceived, status: int, length: int, size: int, trailers: bool
    ) -> bytes:
        """Set how the body is delimited and return the field lines that say so."""
        self._chunked_body = False
        self._to_send = _UNBOUNDED
        self._swallow = True
        method = request.method
        if status < 300:
            if status == 204:
                return b""  # RFC 9110 §15.3.5: never content, and §8.6: no content-length
            if status == 205:
                return b"content-length: 0\r\n"
            if method == "CONNECT":
                # RFC 9110 §9.3.6: no framing fields; what follows is the peer's tunnel
                self._swallow = False
                self.keep_alive = False
                return b""
        elif status == 304:
            # RFC 9110 §15.4.5: never content, but it may tell the length that 200 would have
            return b"content-length: %d\r\n" % length if length >= 0 else b""
        if method == "HEAD":
            # RFC 9110 §9.3.2. A size of 0 is the body left out, not the body GET would get.
            known = length if length >= 0 else (size if size > 0 else _UNBOUNDED)
            return b"content-length: %d\r\n" % known if known >= 0 else b""
        self._swallow = False
        if length < 0:
            if size < 0 or trailers:
                return self._unknown_length(request)
            length = size
        elif size >= 0 and length != size:
            raise LocalProtocolError(f"content-length is {length}, the body has {size} bytes")
        self._to_send = length
        return length_line(length)

    def _unknown_length(self, request: RequestReceived) -> bytes:
        if request.http_version == "1.0":
            self.keep_alive = False  # the body ends with the connection
            return b""
        self._chunked_body = True
        return b"transfer-encoding: chunked\r\n"

    # --- bodies ---

    def send_body(self, stream_id: int, data: bytes, end: bool = False) -> None:
        """Queue body bytes; ``end`` completes the response, or the body if trailers follow.

        Raises:
            LocalProtocolError: no body is due, or its length is not the declared one. When it is
                too short the response stays incomplete and the connection is closed.
        """
        if stream_id != self._stream_id:
            raise LocalProtocolError(f"no response body is due on stream {stream_id}")
        if self.write_state != WRITE_BODY:
            self._send_bytes(data, end)
            return
        if self._chunked_body:
            self._send_chunk(data, end and not self._trailers)
        elif not self._swallow:
            if self._to_send != _UNBOUNDED:
                self._count(len(data))
            if data:
                self._queue(data)
        if end:
            self._end_body()

    def _end_body(self) -> None:
        if self._to_send > 0:
            missing = self._to_send
            self._shut()
            raise ShortBodyError(f"the body is {missing} bytes shorter than declared")
        if self._trailers:
            self.write_state = WRITE_TRAILERS
        else:
            self._end_response()

    def _check_count(self, size: int) -> None:
        if size > self._to_send:
            excess = size - self._to_send
            raise LocalProtocolError(f"the body is {excess} bytes longer than declared")

    def _count(self, size: int) -> None:
        self._check_count(size)
        self._to_send -= size

    def _send_chunk(self, data: bytes, last: bool) -> None:
        size = len(data)
        if not size:
            # an empty chunk would be the last one
            if last:
                self._queue(b"0\r\n\r\n")
            return
        if size <= _JOINED:
            self._queue(make_chunk(data, last))
        else:
            self._queue(b"%x\r\n" % size)
            self._queue(data)
            self._queue(b"\r\n0\r\n\r\n" if last else b"\r\n")

    def _send_bytes(self, data: bytes, end: bool) -> None:
        if self.write_state != WRITE_TUNNEL:
            raise LocalProtocolError(f"no response body is due on stream {self._stream_id}")
        if data:
            self._queue(data)
        if end:
            self._shut()

    def is_body_raw(self) -> bool:
        """Body bytes travel as they are, so that a file may be sent around the machine."""
        return self.write_state == WRITE_BODY and not self._chunked_body and not self._swallow

    @property
    def body_ends_with_connection(self) -> bool:
        """Only the end of the connection tells the peer that the body is whole (HTTP/1.0)."""
        return self.is_body_raw() and self._to_send == _UNBOUNDED

    def expect_body(self, stream_id: int, size: int) -> None:
        """Make sure that ``size`` body bytes may follow, in whatever pieces.

        Raises:
            LocalProtocolError: no body is due, or it would be longer than declared.
        """
        if stream_id != self._stream_id or self.write_state != WRITE_BODY:
            raise LocalProtocolError(f"no response body is due on stream {stream_id}")
        if self._to_send != _UNBOUNDED:
            self._check_count(size)

    def account_body(self, stream_id: int, size: int) -> None:
        """Note that ``size`` body bytes went around the machine, after all that was queued.

        Raises:
            LocalProtocolError: the body is not raw, or longer than declared.
        """
        if stream_id != self._stream_id or not self.is_body_raw():
            raise LocalProtocolError("body bytes cannot go around the machine now")
        if self._to_send != _UNBOUNDED:
            self._count(size)

    def send_trailers(self, stream_id: int, fields: Fields) -> None:
        """Queue trailer fields and complete the response; ends the body if that was not done.

        Where the framing has no place for them, they are dropped.

        Raises:
            LocalProtocolError: no trailers were promised, they are not due, or a field is not
                fit for them.
        """
        due = self.write_state == WRITE_TRAILERS or self.write_state == WRITE_BODY
        if not due or not self._trailers or stream_id != self._stream_id:
            raise LocalProtocolError(f"no trailers are due on stream {stream_id}")
        lines = serialize_trailers(fields)
        if self.write_state == WRITE_BODY:
            self._end_body()
        if self._chunked_body:
            self._queue(b"0\r\n%b\r\n" % lines)
        self._end_response()

    def consumed(self, stream_id: int, size: int) -> None:
        """Do nothing: the window of HTTP/1 is that of the transport, which the driver pauses."""

    # --- output ---

    def _queue(self, data: bytes) -> None:
        self._out.append(data)
        self._out_size += len(data)

    def buffered(self, stream_id: int) -> int:
        """Return the number of bytes queued and not yet pulled by `data_to_send`."""
        return self._out_size

    def data_to_send(self) -> list[bytes]:
        """Take what is queued for the wire; small neighbours are joined."""
        out = self._out
        if out:
            self._out = []
            if len(out) > 1:
                out = [b"".join(out)] if self._out_size <= _JOINED else _coalesced(out)
            self._out_size = 0
        if self.write_state == WRITE_CLOSED:
            self.finished = True
        return out

    # --- ends ---

    def _end_response(self) -> None:
        """Note that the response is complete."""
        self.write_state = WRITE_DONE

    def _shut(self) -> None:
        """End the connection once all that is queued is sent."""
        self.write_state = WRITE_CLOSED
        self.keep_alive = False
        self.continue_expected = False
        self._request = None
        if not self._out:
            self.finished = True


def _coalesced(pieces: list[bytes]) -> list[bytes]:
    """Join neighbours that are small; pieces that are not are handed on as they are."""
    out = []
    small: list[bytes] = []
    for piece in pieces:
        if len(piece) <= _JOINED:
            small.append(piece)
        else:
            if small:
                out.append(b"".join(small))
                small = []
            out.append(piece)
    if small:
        out.append(b"".join(small))
    return out
