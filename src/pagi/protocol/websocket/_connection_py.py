"""`WebSocketConnection`: RFC 6455 §5 to §7 without I/O, server side. One source, two builds.

Two directions, each with a close frame at its end::

    reading   FRAMES ──close──► DEAF       what comes after a close is thrown away
              FRAMES ──violation, end of the peer's bytes──► DEAF
    writing   OPEN ──send_close, fail, answer to the peer's close, violation──► CLOSED

The closing handshake is complete when both close frames were seen, in either order (§7.1.4); after
a violation nothing is waited for (§7.1.7). Then ``closed`` says that the transport can go.

Within FRAMES a message is taken up as its bytes come, whatever the frames and packets they come
in: ``_left`` is what the frame in progress still lacks, and `Payload` has what came. What is kept
otherwise is part of a frame head, or of a control frame, which is 131 bytes at most, or what came
behind the last message that was wanted. A frame that stands whole in what was received, and is a
message by itself, goes around all that.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.websocket._masking_py import unmasked
from pagi.protocol.websocket._payload_py import Payload, read_text
from pagi.protocol.websocket._sender_py import MessageSender
from pagi.protocol.websocket.close import (
    BAD_DATA,
    POLICY,
    PROTOCOL_ERROR,
    TOO_BIG,
    PeerError,
    close_payload,
    read_close,
)
from pagi.protocol.websocket.deflate import DAMAGED, DeflateParameters, Inflater
from pagi.protocol.websocket.events import (
    CloseReceived,
    Failed,
    MessageReceived,
    PingReceived,
    PongReceived,
    WebSocketEvent,
)
from pagi.protocol.websocket.limits import WebSocketLimits
from pagi.protocol.websocket.opcodes import (
    CONTINUATION,
    FIN,
    OP_BINARY,
    OP_CLOSE,
    OP_CONTROL,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
    RSV2_RSV3,
)

__all__ = ["WebSocketConnection"]

# No limit is larger: sums of sizes stay within 64 bits.
_MAX_SIZE: Final = 1 << 62
# What a flood of control frames may take at once, in seconds of its limit.
_BURST: Final = 10
_MAX_CONTROL_SIZE: Final = 125


class WebSocketConnection(MessageSender):
    """The machine of one WebSocket, server side.

    ``receive_…`` never raises on what the peer sends; ``send_…`` raises `LocalProtocolError` and
    leaves the machine as it was.

    Args:
        limits: what the peer may make us hold or do.
        deflate: what was agreed in the handshake, ``None`` for no compression.

    Attributes:
        close_received: the peer's close frame has come.
        close_code: the peer's close code, 1005 if it gave none; ``None`` while there is none.
        close_reason: the peer's words, or empty.
        closed: nothing more will come that matters: the transport can be closed once all that is
            queued is sent.
        stopped: the last `receive_data` stopped at its bounds; bytes may wait for the next one.
        answers_pings: a pong is queued for each ping. Whoever switches it off answers the last
            one later, with `send_pong`: a peer that does not read can ask for more pongs than
            there is room for (§5.5.3).
    """

    __slots__ = (
        "_compressed",
        "_deaf",
        "_filled_at",
        "_final",
        "_fragments",
        "_inflater",
        "_left",
        "_limits",
        "_mask",
        "_max_size",
        "_partial",
        "_payload",
        "_phase",
        "_room",
        "_room_size",
        "_start",
        "_tokens",
        "_wire_size",
        "answers_pings",
        "close_code",
        "close_reason",
        "close_received",
        "closed",
        "stopped",
    )

    def __init__(self, limits: WebSocketLimits, deflate: DeflateParameters | None = None) -> None:
        MessageSender.__init__(self, limits, deflate)
        self.close_received = False
        self.close_code: int | None = None
        self.close_reason = ""
        self.closed = False
        self.stopped = False
        self.answers_pings = True

        self._limits = limits
        self._max_size: int = min(limits.max_message_size, _MAX_SIZE)
        self._deaf = False
        self._partial = b""  # what could not be taken yet, from _start on
        self._start = 0
        self._tokens: float = limits.max_control_frames * _BURST
        self._filled_at = 0.0

        self._payload: Payload | None = None  # of the message in progress
        self._compressed = False  # the message in progress
        self._fragments = 0  # frames of it
        self._wire_size = 0  # bytes of their payloads
        self._final = False  # the frame in progress
        self._left = 0  # bytes of its payload to come
        self._mask = b""
        self._phase = 0  # where in the mask its next byte is

        self._room = 0  # messages that are wanted yet
        self._room_size = 0  # bytes of them
        self._inflater: Inflater | None = None if deflate is None else Inflater(deflate)

    # --- receiving ---

    def receive_data(
        self, data: bytes, now: float, max_messages: int = _MAX_SIZE, max_size: int = _MAX_SIZE
    ) -> list[WebSocketEvent]:
        """Take bytes from the peer and return what they mean.

        Pongs and the answer to a close are queued. After `CloseReceived` or `Failed`, which come
        last, bytes are thrown away.

        Args:
            data: the bytes; none to go on with those that wait.
            now: monotonic time in seconds; what control frames are counted against.
            max_messages: messages after which to stop: what follows waits as it came.
            max_size: bytes of messages after which to stop; the last may go beyond it.
        """
        events: list[WebSocketEvent] = []
        self.stopped = False
        if self._deaf:
            return events
        self._room = max_messages
        self._room_size = max_size
        start = 0
        if self._partial:
            if data:
                data = self._partial[self._start :] + data
            else:
                data = self._partial
                start = self._start
            self._partial = b""
            self._start = 0
        try:
            self._receive(data, start, now, events)
        except PeerError as error:
            self._give_up(error.code, error.detail)
            events.append(Failed(error.code, error.detail))
        return events

    def _receive(self, data: bytes, pos: int, now: float, events: list[WebSocketEvent]) -> None:
        """Take the frames of ``data``; keep what is not whole and cannot be used yet."""
        size = len(data)
        while not self._deaf and not self.stopped:
            if self._left:
                pos = self._receive_payload(data, pos, events)
                if self._left:
                    return
            if size - pos < 2:
                break
            first = data[pos]
            length = self._read_second(first, data[pos + 1])
            start = pos + 6
            if length > _MAX_CONTROL_SIZE:
                start += 2 if length == 126 else 8
                if size < start - 4:
                    break
                length = _long_length(data, pos + 2, start - 4)
            if first & OP_CONTROL:
                if size < start + length:
                    break
                self._receive_control(first & 15, data, start, start + length, now, events)
                pos = start + length
                continue
            self._admit(first, length)
            if size < start:
                break
            if first <= FIN | OP_BINARY and first > FIN and length <= size - start:
                pos = start + length
                self._receive_whole(first, data, start, pos, events)
                continue
            self._begin_frame(first, length, data[start - 4 : start], now)
            pos = start
            if length == 0:
                self._end_frame(events)
        if self.stopped:
            # It may be taken in many steps: the rest is not copied in each of them.
            self._partial = data if pos < size else b""
            self._start = pos
        elif pos < size:
            self._partial = data[pos:] if pos else data

    def _read_second(self, first: int, second: int) -> int:
        """Check the first two bytes of a frame (§5.2) and return the length in the second."""
        length = second & 0x7F
        opcode = first & 15
        if first & (RSV1 | RSV2_RSV3) and (
            first & RSV2_RSV3 or self._inflater is None or opcode == CONTINUATION or opcode > 2
        ):
            raise PeerError(PROTOCOL_ERROR, "a reserved bit is set")
        if opcode > OP_BINARY and (opcode < OP_CLOSE or opcode > OP_PONG):
            raise PeerError(PROTOCOL_ERROR, "an opcode is reserved")
        if not second & 0x80:
            raise PeerError(PROTOCOL_ERROR, "a frame is not masked")
        if opcode >= OP_CONTROL:
            if not first & FIN:
                raise PeerError(PROTOCOL_ERROR, "a control frame is fragmented")
            if length > _MAX_CONTROL_SIZE:
                raise PeerError(PROTOCOL_ERROR, "a control frame is too long")
        elif opcode == CONTINUATION:
            if self._payload is None:
                raise PeerError(PROTOCOL_ERROR, "a continuation has nothing to continue")
        elif self._payload is not None:
            raise PeerError(PROTOCOL_ERROR, "a message begins within another")
        return length

    def _admit(self, first: int, length: int) -> None:
        """Refuse a frame that makes its message too long, before its payload comes."""
        limit = self._max_size
        had = 0
        if self._payload is not None:
            had = self._wire_size
        if self._compressed or first & RSV1:
            # Deflated bytes are hardly ever more than those they stand for, and never by far.
            limit += (limit >> 3) + 1024
        if length > limit - had:
            raise PeerError(TOO_BIG, "a message is longer than the limit")

    def _receive_whole(
        self, first: int, data: bytes, start: int, end: int, events: list[WebSocketEvent]
    ) -> None:
        """Take a message that is one frame, whole, and not deflated."""
        if first == FIN | OP_TEXT:
            text = read_text(data, start, end)
            if text is None:
                raise PeerError(BAD_DATA, "a text is not UTF-8")
            self._deliver(text, end - start, events)
        else:
            content = unmasked(data, start, end, data[start - 4 : start], 0)
            self._deliver(content, end - start, events)

    def _deliver(self, content: str | bytes, size: int, events: list[WebSocketEvent]) -> None:
        events.append(MessageReceived(content, size))
        self._room -= 1
        self._room_size -= size
        self.stopped = self._room <= 0 or self._room_size <= 0

    def _begin_frame(self, first: int, length: int, mask: bytes, now: float) -> None:
        """Enter a frame of a message, and the message if it is the first one."""
        if self._payload is None:
            self._payload = Payload(first & 15 == OP_TEXT)
            self._compressed = first & RSV1 != 0
            self._fragments = 0
            self._wire_size = 0
        self._fragments += 1
        if self._fragments > self._limits.max_fragments:
            raise PeerError(TOO_BIG, "a message has too many fragments")
        self._final = first & FIN != 0
        if length == 0 and not self._final:
            self._take_token(now)
        self._wire_size += length
        self._left = length
        self._mask = mask
        self._phase = 0

    def _receive_payload(self, data: bytes, pos: int, events: list[WebSocketEvent]) -> int:
        """Take what ``data`` has of the frame in progress and return where that ends."""
        payload = self._payload
        assert payload is not None
        size = min(len(data) - pos, self._left)
        end = pos + size
        if self._compressed:
            self._inflate(payload, unmasked(data, pos, end, self._mask, self._phase))
        else:
            expected = self._wire_size if self._final else 0
            if not payload.add_masked(data, pos, end, self._mask, self._phase, expected):
                raise PeerError(BAD_DATA, "a text is not UTF-8")
        self._phase = (self._phase + size) & 3
        self._left -= size
        if self._left == 0:
            self._end_frame(events)
        return end

    def _inflate(self, payload: Payload, data: bytes) -> None:
        """Add what deflated bytes stand for."""
        inflater = self._inflater
        assert inflater is not None
        while data:
            self._add_inflated(payload, inflater.inflate(data, self._max_size - payload.size))
            data = inflater.rest

    def _add_inflated(self, payload: Payload, data: bytes) -> None:
        if not payload.add(data):
            raise PeerError(BAD_DATA, DAMAGED)
        if payload.size > self._max_size:
            raise PeerError(TOO_BIG, "a message is longer than the limit when it is inflated")

    def _end_frame(self, events: list[WebSocketEvent]) -> None:
        """A frame is complete, and the message if it was the last one."""
        payload = self._payload
        assert payload is not None
        if not self._final:
            return
        if self._compressed:
            assert self._inflater is not None
            self._add_inflated(payload, self._inflater.finish(self._max_size - payload.size))
        content = payload.finish()
        if content is None:
            raise PeerError(BAD_DATA, DAMAGED if self._compressed else "a text is not UTF-8")
        self._payload = None
        self._compressed = False
        self._deliver(content, payload.size, events)

    def _receive_control(
        self,
        opcode: int,
        data: bytes,
        start: int,
        end: int,
        now: float,
        events: list[WebSocketEvent],
    ) -> None:
        """Take a control frame (§5.5), which may stand between the frames of a message."""
        content = unmasked(data, start, end, data[start - 4 : start], 0)
        if opcode == OP_CLOSE:
            self._receive_close(content, events)
            return
        self._take_token(now)
        if opcode == OP_PING:
            if self.answers_pings:
                self.send_pong(content)
            events.append(PingReceived(content))
        else:
            events.append(PongReceived(content))

    def _take_token(self, now: float) -> None:
        """Count a frame that carries nothing, against the rate that is allowed."""
        rate = self._limits.max_control_frames
        self._tokens = min(self._tokens + (now - self._filled_at) * rate, rate * _BURST) - 1
        self._filled_at = now
        if self._tokens < 0:
            raise PeerError(POLICY, "too many control frames")

    def _receive_close(self, content: bytes, events: list[WebSocketEvent]) -> None:
        """Take the peer's close and answer with its code, if ours was not sent (§5.5.1)."""
        code, reason = read_close(content)
        self.close_received = True
        self.close_code = code
        self.close_reason = reason
        self._write_close(content[:2])
        self._end_reading()
        events.append(CloseReceived(code, reason))

    def _give_up(self, code: int, detail: str) -> None:
        """Answer a violation (§7.1.7)."""
        if not self.close_sent:
            self._write_close(close_payload(code, detail))
            self._farewell = self._out[-1]
        self._end_reading()

    def receive_eof(self) -> None:
        """Take the end of the peer's bytes: whatever is not whole never will be."""
        self._end_reading()

    def _end_reading(self) -> None:
        self._deaf = True
        self.closed = True
        self._partial = b""
        self._left = 0
        self._payload = None
        self._inflater = None


def _long_length(data: bytes, start: int, end: int) -> int:
    """Return an extended length, if it is one that needed to be extended (§5.2)."""
    length = 0
    if end - start == 8 and data[start] & 0x80:
        raise PeerError(PROTOCOL_ERROR, "the length of a frame is negative")
    for index in range(start, end):
        length = length << 8 | data[index]
    if length <= (_MAX_CONTROL_SIZE if end - start == 2 else 0xFFFF):
        raise PeerError(PROTOCOL_ERROR, "the length of a frame is longer than it needs to be")
    return length
