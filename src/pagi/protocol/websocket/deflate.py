"""permessage-deflate (RFC 7692): its parameters, and messages in and out of it.

zlib's objects are made with the first message that needs them: most idle connections have none.
Inflating is bounded. zlib is never asked for more than one byte beyond what may still come, so a
bomb is noticed when that byte is there, and the rest of it is not inflated.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from pagi.protocol.websocket.close import BAD_DATA, POLICY, PeerError

__all__ = ["DAMAGED", "DeflateParameters", "Deflater", "Inflater"]

#: What is wrong with a message that does not inflate. It may hold wrong text before that place,
#: which is seen if it came in a packet before: then it is the same fault, in the same words.
DAMAGED: Final = "a deflated message is damaged, or its text is not UTF-8"

#: What a sync flush ends with, and the wire leaves out (RFC 7692 §7.2.1).
_TAIL: Final = b"\x00\x00\xff\xff"
# Two thirds of the time that zlib's own choice takes, for a tenth more bytes.
_LEVEL: Final = 4
# Each one costs a new object of zlib's. Of those who make last blocks all end a message with one.
_MAX_STREAMS: Final = 64
# zlib makes no window of 256 bytes for raw streams, and needs none to read what fits into one.
_LEAST_WINDOW_BITS: Final = 9


@dataclass(frozen=True, slots=True)
class DeflateParameters:
    """What was agreed (RFC 7692 §7.1).

    Attributes:
        server_no_context_takeover: each of our messages is deflated by itself.
        client_no_context_takeover: each of the peer's messages is.
        server_max_window_bits: our window, as a power of two; 9 to 15.
        client_max_window_bits: the peer's window, as a power of two; 8 to 15.
        answer: value of ``Sec-WebSocket-Extensions`` that agrees to it.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15
    answer: bytes = b"permessage-deflate"


class Deflater:
    """Deflates our messages.

    Args:
        parameters: what was agreed.
        memory_level: memory that zlib may use, 1 to 9.
    """

    __slots__ = ("_memory_level", "_parameters", "_stream")

    def __init__(self, parameters: DeflateParameters, memory_level: int) -> None:
        self._parameters = parameters
        self._memory_level = memory_level
        self._stream: zlib._Compress | None = None

    def deflate(self, data: bytes) -> bytes:
        """Return the payload that carries ``data``, which must not be empty."""
        stream = self._stream
        if stream is None:
            window_bits = -self._parameters.server_max_window_bits  # negative: a raw stream
            stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, window_bits, self._memory_level)
            if not self._parameters.server_no_context_takeover:
                self._stream = stream
        return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


class Inflater:
    """Inflates the peer's messages, piece by piece.

    A block that is marked as the last one of its stream (RFC 7692 §7.2.3.4) begins a new stream:
    what follows refers to nothing before it, as with every compressor that makes such blocks.

    Attributes:
        rest: what is left of the last piece, behind the end of a stream; `inflate` it next.
    """

    __slots__ = ("_begun", "_keeps", "_stream", "_streams", "_window_bits", "rest")

    def __init__(self, parameters: DeflateParameters) -> None:
        self._keeps = not parameters.client_no_context_takeover
        self._window_bits = max(parameters.client_max_window_bits, _LEAST_WINDOW_BITS)
        self._stream: zlib._Decompress | None = None
        self._streams = 0  # that were begun in this message
        self._begun = False  # the message has bytes that no last block has ended
        self.rest = b""

    def inflate(self, data: bytes, room: int) -> bytes:
        """Return what a piece of a message stands for, as far as one stream goes.

        Args:
            data: the piece, without its mask, and not empty.
            room: bytes that the message may still have. If it has more, one byte more is returned.

        Raises:
            PeerError: 1007 if ``data`` is not deflated, 1008 if the message is made of far too
                many streams.
        """
        stream = self._stream
        if stream is None:
            self._streams += 1
            if self._streams > _MAX_STREAMS:
                raise PeerError(POLICY, "a message is made of too many deflated streams")
            stream = self._stream = zlib.decompressobj(-self._window_bits)
        self._begun = True
        try:
            out = stream.decompress(data, room + 1)
        except zlib.error:
            raise PeerError(BAD_DATA, DAMAGED) from None
        self.rest = stream.unused_data
        if stream.eof:
            self._stream = None
            self._begun = False
        return out

    def finish(self, room: int) -> bytes:
        """Return what the end of the message brings; the next message may begin. See `inflate`."""
        out = self.inflate(_TAIL, room) if self._begun else b""
        self._begun = False
        self._streams = 0
        self.rest = b""
        if not self._keeps:
            self._stream = None
        return out
