"""`HTTP1Connection`: RFC 9112 without I/O, server side.

Two directions, each with its state: `WriteState` is drawn in `ResponseSender`, `ReadState` here.

    ┌────────────────── next request ─────────────┐
    ▼                                             │
    ┌──────┐  head with body  ┌──────┐  end   ┌──────┐  switch  ┌────────┐
    │ HEAD ├─────────────────►│ BODY ├───────►│ DONE ├─────────►│ TUNNEL │
    └──┬───┘                  └──────┘        └──────┘          └────────┘
       │                                          ▲
       └───────────── head without body ──────────┘

    any ── end of the connection, of the peer's bytes, violation ──► CLOSED

`_settle` is where the directions meet: when the response is complete, both begin anew, the rest of
the request is discarded first, or both are CLOSED (RFC 9112 §9.3, §9.6). A violation by the peer
closes both (`_fail`).

What comes behind a complete request waits, unparsed, until the response is complete: requests are
answered in order, one at a time, and a peer cannot make us hold more than it sent.

Bytes wait in one of two places. ``_data`` from ``_pos`` on is what was received and is not parsed
yet; ``_tail`` collects what came after it. Both are joined once, when ``_data`` is used up, so no
byte is copied more than a fixed number of times however small the packets are.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.connection import DefaultFields
from pagi.protocol.errors import LocalProtocolError, RemoteProtocolError
from pagi.protocol.events import (
    BodyReceived,
    BytesReceived,
    ConnectionEnded,
    ConnectionFailed,
    Event,
    Fields,
    MessageComplete,
    RequestReceived,
    StreamReset,
)
from pagi.protocol.http1._chunked_py import ChunkedReader
from pagi.protocol.http1._head_py import Notes
from pagi.protocol.http1._reading_py import HeadReader
from pagi.protocol.http1._request_py import keeps_alive, read_notes
from pagi.protocol.http1._sender_py import ResponseSender
from pagi.protocol.http1.limits import HTTP1Limits
from pagi.protocol.http1.response import connect_head, error_response, switching_head
from pagi.protocol.http1.states import (
    CHUNKED,
    READ_BODY,
    READ_CLOSED,
    READ_DONE,
    READ_HEAD,
    READ_TUNNEL,
    WRITE_BODY,
    WRITE_DONE,
    WRITE_HEAD,
    WRITE_IDLE,
    WRITE_TRAILERS,
    WRITE_TUNNEL,
)

__all__ = ["HTTP1Connection"]

# Empty lines before a request line that are forgiven (RFC 9112 §2.2).
_MAX_EMPTY_LINES: Final = 2


class HTTP1Connection(ResponseSender):
    """The machine of one HTTP/1.0 or HTTP/1.1 connection, server side.

    Satisfies `pagi.protocol.connection.HTTPConnection`. ``receive_…`` never raises on what the
    peer sends; ``send_…`` raises `LocalProtocolError` and leaves the machine as it was, except
    where a response would end short of its declared length: then the connection is closed too.

    Attributes:
        read_state: a `ReadState`, as an integer.
        write_state: a `WriteState`, as an integer.
        finished: nothing more will be read or written.
        keep_alive: the connection may be used for another request after the current one.
        reading_paused: ``max_pipelined_size`` bytes or more wait behind the current request; the
            driver should stop reading until it has called ``receive_data(b"", now)``.
        pending: bytes wait that can be gone on with now, by ``receive_data(b"", now)``.
        continue_expected: the peer waits for ``100 (Continue)`` before it sends the body.
        peer_may_send: when ``finished``: the peer may be sending still. The driver should then
            half-close and throw away what comes for a while, or the reset that answers those
            bytes destroys our last ones on their way (RFC 9112 §9.6).
    """

    __slots__ = (
        "_chunks",
        "_data",
        "_discarded",
        "_empty_lines",
        "_eof",
        "_heads",
        "_left",
        "_limits",
        "_max_discarded_body",
        "_max_pipelined_size",
        "_pos",
        "_searched",
        "_tail",
        "peer_may_send",
        "pending",
        "read_state",
        "reading_paused",
    )

    def __init__(self, limits: HTTP1Limits, defaults: DefaultFields) -> None:
        super().__init__(defaults)
        self.read_state: int = READ_HEAD
        self.reading_paused = False
        self.pending = False
        self.peer_may_send = True
        self._eof = False

        self._data = b""
        self._pos = 0
        self._tail = bytearray()
        self._searched = 0  # offset in _tail
        self._empty_lines = 0
        self._left = 0  # bytes of the request body to come, or CHUNKED
        self._chunks: ChunkedReader | None = None
        self._discarded = 0

        self._limits = limits
        self._heads = HeadReader(limits)
        self._max_pipelined_size = limits.max_pipelined_size
        self._max_discarded_body = limits.max_discarded_body

    @property
    def idle(self) -> bool:
        """No request is in progress and no byte of one has arrived."""
        return (
            self.read_state == READ_HEAD
            and self.write_state == WRITE_IDLE
            and not self._bytes_wait()
        )

    @property
    def reading_body(self) -> bool:
        """The request body is not complete."""
        return self.read_state == READ_BODY

    @property
    def tunnels(self) -> bool:
        """Bytes are opaque, in both directions."""
        return self.read_state == READ_TUNNEL

    def rest(self) -> None:
        """The connection is idle, and may be for long: keep nothing of its requests."""
        self._heads.forget()

    def _bytes_wait(self) -> bool:
        return self._pos < len(self._data) or len(self._tail) > 0

    # --- receiving ---

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the peer and return what they mean; see `HTTPConnection`."""
        events: list[Event] = []
        self.pending = False
        if self.read_state == READ_CLOSED:
            return events
        if not self._bytes_wait():
            self._data = data
            self._pos = 0
        elif data:
            self._tail += data
        try:
            self._receive(events)
        except RemoteProtocolError as error:
            self._deliver_chunks(events)
            events.append(self._fail(error, []))
        return events

    def _receive(self, events: list[Event]) -> None:
        """Go on until bytes, or the permission to go on, run out."""
        while True:
            state = self.read_state
            if state == READ_HEAD:
                if not self._receive_head(events):
                    break
            elif state == READ_DONE:
                waiting = len(self._data) - self._pos + len(self._tail)
                if not waiting:
                    self._data = b""
                    self._pos = 0
                self.reading_paused = waiting >= self._max_pipelined_size
                return
            elif state == READ_CLOSED:
                return
            elif self._pos >= len(self._data) and not self._join_tail():
                break
            elif state == READ_BODY:
                self._receive_body(events)
            else:  # TUNNEL
                data = self._data[self._pos :] if self._pos else self._data
                self._forget_data()
                events.append(BytesReceived(self._stream_id, data))
        if self._eof:
            self._run_dry(events)

    def _forget_data(self) -> None:
        self._data = b""
        self._pos = 0

    def _join_tail(self) -> bool:
        """Make ``_tail``, if there is one, the data to parse. ``_data`` is used up."""
        self._forget_data()
        if not self._tail:
            return False
        self._data = bytes(self._tail)
        self._tail = bytearray()
        self._searched = 0
        return True

    # --- heads ---

    def _receive_head(self, events: list[Event]) -> bool:
        """Parse a head if there is a whole one, and tell whether there was."""
        while True:
            data = self._data
            if self._pos < len(data) and (data[self._pos] != 13 or self._skip_empty_lines()):
                parsed = self._heads.read(data, self._pos, self._stream_id + 1)
                if parsed is not None:
                    event, self._pos, notes = parsed
                    self._begin(event, notes)
                    events.append(event)
                    return True
            self._keep_partial_head()
            if not self._tail or not self._is_head_whole():
                return False
            self._join_tail()

    def _skip_empty_lines(self) -> bool:
        """Step over empty lines before a request line; tell whether a head begins at ``_pos``."""
        data = self._data
        size = len(data)
        while data[self._pos] == 13:
            if self._pos + 1 == size:
                return False
            self._empty_lines += 1
            if data[self._pos + 1] != 10 or self._empty_lines > _MAX_EMPTY_LINES:
                raise RemoteProtocolError("the request line is malformed")
            self._pos += 2
            if self._pos == size:
                return False
        return True

    def _keep_partial_head(self) -> None:
        """Move what is left of ``_data`` before ``_tail``."""
        if self._pos < len(self._data):
            rest = bytearray(self._data[self._pos :])
            rest += self._tail
            self._tail = rest
            self._searched = 0
        self._forget_data()

    def _is_head_whole(self) -> bool:
        """Tell whether ``_tail`` is worth parsing; of a partial head, check the new bytes."""
        tail = self._tail
        size = len(tail)
        if tail[0] == 13:
            return size > 1  # an empty line, or an error
        if tail.find(b"\r\n\r\n", max(self._searched - 3, 0)) >= 0:
            return True
        self._heads.check_prefix(tail, self._searched)
        self._searched = size
        return False

    def _begin(self, event: RequestReceived, notes: Notes | None) -> None:
        """Enter the states that a request head asks for."""
        self._stream_id += 1
        self._empty_lines = 0
        self._request = event
        self._left = 0
        self.keep_alive = event.http_version != "1.0"
        self.write_state = WRITE_HEAD
        if notes is not None:
            self._left = read_notes(event, notes, self._limits.max_body_size)
            self.keep_alive = keeps_alive(event, notes)
            self.continue_expected = event.expect_continue
        if event.end:
            self.read_state = READ_DONE
            if self._eof and not self._bytes_wait():
                self._closing = True
            return
        self.read_state = READ_BODY
        self._discarded = 0
        if self._left == CHUNKED:
            self._chunks = ChunkedReader(self._limits)

    # --- bodies ---

    def _receive_body(self, events: list[Event]) -> None:
        self.continue_expected = False  # it did not wait
        start = self._pos
        chunks = self._chunks
        if chunks is None:
            self._receive_counted(events)
        else:
            self._pos = chunks.feed(self._data, start)
            self._deliver_chunks(events)
            if chunks.done:
                self._end_request(events, chunks.trailers)
        if self.read_state == READ_BODY and self.write_state == WRITE_DONE:
            self._discarded += self._pos - start
            if self._discarded > self._max_discarded_body:
                self._shut()

    def _receive_counted(self, events: list[Event]) -> None:
        data = self._data
        size = len(data) - self._pos
        if size > self._left:
            size = self._left
        if size < len(data):
            data = data[self._pos : self._pos + size]
        self._pos += size
        self._left -= size
        if self.write_state != WRITE_DONE:
            events.append(BodyReceived(self._stream_id, data))
        if self._left == 0:
            self._end_request(events, [])

    def _deliver_chunks(self, events: list[Event]) -> None:
        """Make one event of the chunks of one call: small ones cost an application dearly."""
        chunks = self._chunks
        if chunks is not None and chunks.pieces:
            if self.write_state != WRITE_DONE:
                events.append(BodyReceived(self._stream_id, b"".join(chunks.pieces)))
            chunks.pieces.clear()

    def _end_request(self, events: list[Event], trailers: Fields) -> None:
        self.read_state = READ_DONE
        self._chunks = None
        if self._eof and not self._bytes_wait():
            self._closing = True
        if self.write_state == WRITE_DONE:
            self._settle()
        else:
            events.append(MessageComplete(self._stream_id, trailers))

    def receive_eof(self, now: float) -> list[Event]:
        """Take the end of the peer's bytes.

        A request that is whole may still be answered (half-close), and so may whole requests
        that wait behind it: `ConnectionEnded` says that no byte will come, not that no event will.
        """
        events: list[Event] = []
        if self._eof:
            return events
        self._eof = True
        self.peer_may_send = False
        if self.read_state == READ_CLOSED:
            return events
        if self.read_state == READ_DONE:
            self._closing = self._closing or not self._bytes_wait()
        elif not self.pending:
            self._run_dry(events)
        if not events:
            events.append(ConnectionEnded(self._stream_id))
        return events

    def _run_dry(self, events: list[Event]) -> None:
        """Give up what the peer left unfinished: no byte waits and none will come."""
        if self.read_state == READ_TUNNEL:
            self.read_state = READ_CLOSED
            return
        # RFC 9112 §8: an incomplete message
        broken = self.read_state == READ_BODY and self.write_state != WRITE_DONE
        self._shut()
        if broken:
            detail = "the peer closed before the end of the request body"
            events.append(StreamReset(self._stream_id, "client_closed", detail))

    # --- both directions ---

    def switch(self, stream_id: int, fields: Fields) -> None:
        """Accept the upgrade by 101, or CONNECT by 200; opaque bytes follow in both directions.

        Bytes that came behind the request are delivered by ``receive_data(b"", now)``.

        Raises:
            LocalProtocolError: the peer did not ask for it, its request is not complete
                (RFC 9110 §7.8), a response began, or a field is not fit for the wire.
        """
        request = self._expect_head(stream_id)
        if self.read_state != READ_DONE:
            raise LocalProtocolError("the request is not complete")
        if request.upgrade is not None:
            self._queue(switching_head(fields, request.upgrade, self._defaults))
        elif request.method == "CONNECT":
            self._queue(connect_head(fields, self._defaults))
        else:
            raise LocalProtocolError("the peer did not ask for another protocol")
        self.keep_alive = False
        self.reading_paused = False
        self.write_state = WRITE_TUNNEL
        self.read_state = READ_TUNNEL
        self.pending = self._bytes_wait()
        if self._eof and not self.pending:
            self.read_state = READ_CLOSED

    def reset(self, stream_id: int, reason: str) -> None:
        """Give up a response: no last chunk, no more bytes, the connection ends."""
        if stream_id == self._stream_id and self.write_state != WRITE_IDLE:
            self._shut()

    def close(self) -> None:
        """Begin an orderly end: at once when idle, else after the response in progress.

        A tunnel is ended by its owner, not from here.
        """
        self._closing = True
        if self.write_state == WRITE_BODY or self.write_state == WRITE_TRAILERS:
            self.keep_alive = False
        elif self.write_state == WRITE_DONE or self.idle:
            self._shut()

    def refuse(
        self, status: int, detail: str, reason: str, fields: Fields | None = None
    ) -> list[Event]:
        """Answer with an error of our own unless a response began, and end the connection.

        For what only the driver knows: deadlines, the number of connections.

        Args:
            status: status code of the answer.
            detail: what is wrong, in our words; for the log.
            reason: disconnect reason token.
            fields: fields for the answer beside those of every error.

        Returns:
            The `ConnectionFailed` that a violation would have caused; nothing if the connection
            has ended.
        """
        if self.read_state == READ_CLOSED:
            return []
        return [self._fail(RemoteProtocolError(detail, status, reason), fields or [])]

    def _fail(self, error: RemoteProtocolError, fields: Fields) -> ConnectionFailed:
        """Answer a violation, unless a response began, and close."""
        status = 0
        stream_id = self._stream_id
        if self.write_state == WRITE_IDLE:
            stream_id += 1
        if self.write_state == WRITE_IDLE or self.write_state == WRITE_HEAD:
            status = error.status
            head_only = self._request is not None and self._request.method == "HEAD"
            self._queue(error_response(status, self._defaults, fields, head_only))
        self._shut()
        return ConnectionFailed(stream_id, error.reason, status, error.detail)

    def _end_response(self) -> None:
        self.write_state = WRITE_DONE
        self._settle()

    def _settle(self) -> None:
        """Apply the rules that depend on both directions, once the response is complete.

        RFC 9112 §9.3: the connection persists if both sides want it and both messages are whole.
        §9.6: otherwise it is closed, and a request that was not read to its end is discarded or
        left behind.
        """
        if not self.keep_alive or self._closing:
            self._shut()
        elif self.read_state == READ_BODY:
            if self._left > self._max_discarded_body:
                self._shut()
        else:
            self.read_state = READ_HEAD
            self.write_state = WRITE_IDLE
            self._request = None
            self.reading_paused = False
            self.pending = self._bytes_wait()

    def _shut(self) -> None:
        """Close both directions; what is queued is still sent."""
        if self.read_state != READ_CLOSED:
            quiet = self.read_state == READ_DONE or self.read_state == READ_HEAD
            self.peer_may_send = not self._eof and (not quiet or self._bytes_wait())
        self.read_state = READ_CLOSED
        self.reading_paused = False
        self.pending = False
        self._chunks = None
        self._forget_data()
        self._tail = bytearray()
        ResponseSender._shut(self)
