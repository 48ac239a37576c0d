"""`HTTP2Receiver`: the frames of the peer (RFC 9113 §4 to §6).

One source, two builds: compiled as ``_receiver_c`` (see ``_receiver_c.pxd``).

Frames are judged by their heads as soon as those are known. Bodies go on as they come, other frames
when they are whole. What a frame means for a stream is for `HTTP2Connection` to say.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.connection import DefaultFields
from pagi.protocol.http2._control_py import ControlReceiver
from pagi.protocol.http2._decoder_py import HeaderDecoder
from pagi.protocol.http2._head_py import Head
from pagi.protocol.http2._stream_py import StreamState
from pagi.protocol.http2.codes import (
    COMPRESSION_ERROR,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PREFACE,
    PROTOCOL_ERROR,
    STREAM_CLOSED,
)
from pagi.protocol.http2.faults import DecodingError, TooLargeError, fault
from pagi.protocol.http2.kinds import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from pagi.protocol.http2.limits import HTTP2Limits
from pagi.protocol.http2.phases import GONE, UNBOUNDED

__all__ = ["HTTP2Receiver"]

_HEAD: Final = 9
_MAX_WINDOW: Final = 2**31 - 1

#: How far the beginning is.
_PREFACE_DUE: Final = 0
_SETTINGS_DUE: Final = 1
_BEGUN: Final = 2

#: Beyond its limits a header section is answered by 431; beyond this many times, by the end of
#: the connection, so that decoding it cannot be made to take memory.
_INTOLERABLE: Final = 4

_SIZES: Final = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
#: Frames that concern one stream, and those that concern the connection.
_OF_STREAMS: Final = frozenset((DATA, HEADERS, PRIORITY, RST_STREAM, CONTINUATION))
_OF_CONNECTIONS: Final = frozenset((SETTINGS, PING, GOAWAY, PRIORITY_UPDATE))


class HTTP2Receiver(ControlReceiver):
    """The frames of the peer, and the state of the connection that they change.

    Attributes:
        in_headers: a header section has begun and is not complete.
        last_stream_id: highest stream of the peer that was taken.
    """

    __slots__ = (
        "_block",
        "_block_end",
        "_block_parts",
        "_block_stream",
        "_body_end",
        "_body_left",
        "_body_stream",
        "_decoder",
        "_have",
        "_max_block",
        "_max_frame_size",
        "_need",
        "_parts",
        "_stage",
        "in_headers",
        "last_stream_id",
    )

    def __init__(self, limits: HTTP2Limits, defaults: DefaultFields) -> None:
        ControlReceiver.__init__(self, limits, defaults)
        self.in_headers = False
        self.last_stream_id = 0
        self._stage: int = _PREFACE_DUE
        self._parts: list[bytes] = []  # of a frame that is not whole
        self._have = 0
        self._need = 0
        self._max_frame_size = limits.max_frame_size
        self._decoder = HeaderDecoder(
            _INTOLERABLE * limits.max_header_list_size, _INTOLERABLE * limits.max_header_count + 16
        )
        self._max_block = _INTOLERABLE * limits.max_header_list_size
        self._block: list[bytes] = []  # of a header section that goes on
        self._block_parts = 0
        self._block_stream = 0
        self._block_end = False
        self._body_stream = 0  # of a DATA frame that goes on; 0: nobody wants it
        self._body_left = 0
        self._body_end = False

    # --- taking frames out of bytes ---

    def _feed(self, data: bytes) -> None:
        """Take bytes. Raises ConnectionFault."""
        if self._have:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._need:
                return
            data = b"".join(self._parts)
            self._parts = []
            self._have = 0
        size = len(data)
        position = 0
        if self._stage == _PREFACE_DUE:
            position = self._take_preface(data)
        while position < size and not self._over:
            rest = size - position
            if self._body_left:
                part = min(self._body_left, rest)
                piece = data if part == size else data[position : position + part]
                position += part
                self._body_left -= part
                self._take_body(piece)
                continue
            if rest < _HEAD:
                self._keep(data, position, _HEAD)
                return
            length = data[position] << 16 | data[position + 1] << 8 | data[position + 2]
            kind = data[position + 3]
            flags = data[position + 4]
            stream_id = (
                (data[position + 5] & 0x7F) << 24
                | data[position + 6] << 16
                | data[position + 7] << 8
                | data[position + 8]
            )
            self._judge(kind, flags, length, stream_id)
            if kind == DATA and not flags & PADDED:
                position += _HEAD
                self._begin_body(stream_id, length, length, flags & END_STREAM != 0)
                continue
            if rest < _HEAD + length:
                self.in_headers = self.in_headers or kind == HEADERS
                self._keep(data, position, _HEAD + length)
                return
            position += _HEAD
            if kind == HEADERS:
                self._take_headers(flags, stream_id, data, position, length)
            else:
                self._take_frame(kind, flags, stream_id, data[position : position + length])
            position += length

    def _keep(self, data: bytes, position: int, need: int) -> None:
        """Keep the beginning of a frame until ``need`` bytes of it are there."""
        rest = data[position:] if position else data
        self._parts = [rest]
        self._have = len(rest)
        self._need = need

    def _take_preface(self, data: bytes) -> int:
        size = len(PREFACE)
        if not PREFACE.startswith(data[:size]):
            fault(PROTOCOL_ERROR, "the connection does not begin as HTTP/2")
        if len(data) < size:
            self._keep(data, 0, size)
            return len(data)
        self._stage = _SETTINGS_DUE
        return size

    def _judge(self, kind: int, flags: int, length: int, stream_id: int) -> None:
        """Look at the head of a frame: is it one that may come now, of a right size?"""
        if self._stage == _SETTINGS_DUE:
            if kind != SETTINGS or flags & ACK:
                fault(PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._stage = _BEGUN
        if length > self._max_frame_size:
            fault(FRAME_SIZE_ERROR, "a frame larger than allowed")
        if self._block_stream:
            if kind != CONTINUATION or stream_id != self._block_stream:
                fault(PROTOCOL_ERROR, "another frame within a header section")
        elif kind == CONTINUATION:
            fault(PROTOCOL_ERROR, "CONTINUATION of nothing")
        if kind <= HEADERS:
            if not stream_id:
                fault(PROTOCOL_ERROR, "a frame that needs a stream on none")
        else:
            self._judge_others(kind, length, stream_id)

    def _judge_others(self, kind: int, length: int, stream_id: int) -> None:
        if (kind in _OF_STREAMS and not stream_id) or (kind in _OF_CONNECTIONS and stream_id):
            fault(PROTOCOL_ERROR, "a frame on the wrong stream")
        if _SIZES.get(kind, length) != length:
            fault(FRAME_SIZE_ERROR, "a frame of the wrong size")

    # --- bodies ---

    def _begin_body(self, stream_id: int, length: int, size: int, end: bool) -> None:
        """A DATA frame of ``length`` bytes, of which ``size`` are data."""
        if length > self._credit:
            fault(FLOW_CONTROL_ERROR, "more DATA than the connection has credit for")
        self._credit -= length
        if not length and not end:
            self._charge_frame()
        state = self._streams.get(stream_id)
        if state is None:
            self._check_closed(stream_id, False)
        elif not self._may_take(state, length, size, end):
            state = None
        self._body_left = size
        self._body_end = end
        self._body_stream = stream_id
        if state is None:
            self._body_stream = 0
            self._owe(length)
        elif length > size:  # padding is consumed at once
            self._consume(state, length - size)
        if not size:
            self._take_body(b"")

    def _may_take(self, state: StreamState, length: int, size: int, end: bool) -> bool:
        """Tell whether a stream may get DATA; it is reset if not."""
        if state.phase == GONE:
            return False
        if state.peer_done:
            self._stop(state, STREAM_CLOSED, "DATA behind the end of the request")
            return False
        if length > state.credit:
            self._stop(state, FLOW_CONTROL_ERROR, "more DATA than the stream has credit for")
            return False
        state.credit -= length
        if state.announced != UNBOUNDED:
            state.announced -= size
            if state.announced < 0 or (end and state.announced):
                self._stop(state, PROTOCOL_ERROR, "the body has another length than announced")
                return False
        return True

    def _take_body(self, piece: bytes) -> None:
        stream_id = self._body_stream
        if stream_id:
            self._receive_body(stream_id, piece, self._body_end and not self._body_left)

    def _check_closed(self, stream_id: int, headers: bool) -> None:
        """RFC 9113 §5.1: after END_STREAM or RST_STREAM a peer sends no HEADERS and no DATA.

        §5.1.1: a new stream has a higher number than all before.
        """
        if stream_id > self._highest or not stream_id & 1:
            fault(PROTOCOL_ERROR, "DATA on a stream that is not open")
        if self._guard.was_closed_by_peer(stream_id):
            fault(STREAM_CLOSED, "a frame on a stream that the peer had closed")
        if headers and not self._guard.was_closed_by_us(stream_id):
            fault(PROTOCOL_ERROR, "a new stream with the number of an old one")

    # --- header sections ---

    def _take_headers(
        self, flags: int, stream_id: int, data: bytes, position: int, length: int
    ) -> None:
        if not stream_id & 1:
            fault(PROTOCOL_ERROR, "a client's stream with an even number")
        stop = position + length
        if flags & PADDED:
            if not length:
                fault(FRAME_SIZE_ERROR, "padding without its length")
            stop -= data[position]
            position += 1
        if flags & HAS_PRIORITY:
            if stop - position < 5:
                fault(FRAME_SIZE_ERROR, "HEADERS too short for a priority")
            self._check_dependency(data[position : position + 4], stream_id)
            position += 5
        if position > stop:
            fault(PROTOCOL_ERROR, "more padding than there is room for")
        block = data[position:stop]
        end = flags & END_STREAM != 0
        if flags & END_HEADERS:
            self._end_section(stream_id, block, end)
            return
        self.in_headers = True
        self._block = [block]
        self._block_parts = 0
        self._block_stream = stream_id
        self._block_end = end

    def _check_dependency(self, parent: bytes, stream_id: int) -> None:
        """RFC 7540 §5.3.1: a stream cannot depend on itself."""
        if int.from_bytes(parent, "big") & _MAX_WINDOW == stream_id:
            fault(PROTOCOL_ERROR, "a stream that depends on itself")

    def _take_continuation(self, flags: int, payload: bytes) -> None:
        self._block.append(payload)
        self._block_parts += 1
        if self._block_parts > self._limits.max_continuations:
            fault(ENHANCE_YOUR_CALM, "too many CONTINUATION frames")
        if flags & END_HEADERS:
            stream_id, block = self._block_stream, b"".join(self._block)
            self._block_stream = 0
            self._block = []
            self._end_section(stream_id, block, self._block_end)

    def _end_section(self, stream_id: int, block: bytes, end: bool) -> None:
        self.in_headers = False
        if len(block) > self._max_block:
            fault(ENHANCE_YOUR_CALM, "a header section beyond all bounds")
        try:
            head = self._decoder.decode(block)
        except DecodingError as error:
            fault(COMPRESSION_ERROR, str(error))
        except TooLargeError:
            fault(ENHANCE_YOUR_CALM, "header fields beyond all bounds")
        state = self._streams.get(stream_id)
        if state is not None:
            self._receive_trailers(state, head, end)
        elif stream_id > self._highest:
            self._highest = stream_id
            self._open(stream_id, head, end)
        else:
            self._check_closed(stream_id, True)

    # --- other frames ---

    def _take_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == DATA:
            self._take_padded(flags, stream_id, payload)
        elif kind == CONTINUATION:
            self._take_continuation(flags, payload)
        elif kind == WINDOW_UPDATE:
            self._charge_frame()
            self._take_credit(stream_id, int.from_bytes(payload, "big") & _MAX_WINDOW)
        elif kind == RST_STREAM:
            self._take_reset(stream_id, int.from_bytes(payload, "big"))
        elif kind == SETTINGS:
            self._take_settings(flags, payload)
        elif kind == PING:
            self._take_ping(flags, payload)
        elif kind == GOAWAY:
            if len(payload) < 8:
                fault(FRAME_SIZE_ERROR, "GOAWAY that is too short")
            self._peer_leaves(int.from_bytes(payload[4:8], "big"))
        elif kind == PUSH_PROMISE:
            fault(PROTOCOL_ERROR, "PUSH_PROMISE of a client")
        else:
            self._charge_frame()
            if kind == PRIORITY:
                self._check_dependency(payload[:4], stream_id)
            elif kind == PRIORITY_UPDATE:
                self._take_priority(payload)

    def _take_padded(self, flags: int, stream_id: int, payload: bytes) -> None:
        length = len(payload)
        padding = payload[0] + 1 if length else 1
        if padding > length:
            fault(PROTOCOL_ERROR, "more padding than there is room for")
        size = length - padding
        self._begin_body(stream_id, length, size, flags & END_STREAM != 0)
        if size:
            self._body_left = 0
            self._take_body(payload[1 : 1 + size])

    # --- what it means for a stream; `HTTP2Connection` ---

    def _open(self, stream_id: int, head: Head, end: bool) -> None:
        """A request begins."""

    def _receive_body(self, stream_id: int, data: bytes, end: bool) -> None:
        """Body bytes, or its end."""

    def _receive_trailers(self, state: StreamState, head: Head, end: bool) -> None:
        """A second header section."""

    def _take_priority(self, payload: bytes) -> None:
        """PRIORITY_UPDATE."""

    def _peer_leaves(self, code: int) -> None:
        """GOAWAY."""
