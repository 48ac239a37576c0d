"""`MessageSender`: the sending half of the WebSocket machine. One source, two builds.

One close, and nothing after it.
"""

from __future__ import annotations

from typing import Final

from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.websocket._frames_py import ascii_frame, frame, frame_head
from pagi.protocol.websocket.close import MAX_REASON_SIZE, close_payload
from pagi.protocol.websocket.deflate import DeflateParameters, Deflater
from pagi.protocol.websocket.limits import WebSocketLimits
from pagi.protocol.websocket.opcodes import (
    FIN,
    OP_BINARY,
    OP_CLOSE,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
)

__all__ = ["MessageSender"]

# Payloads below this size are copied behind their heads: that costs less than one more segment in
# a gathered write. Larger ones are handed on as they are.
_JOINED: Final = 16_384
_MAX_CONTROL_SIZE: Final = 125


class MessageSender:
    """Frames, compresses and queues what goes to the peer.

    Attributes:
        close_sent: our close frame is queued or sent: nothing more can be sent.
        compress_default: messages are deflated unless they are short or ``compress`` says
            otherwise. True where permessage-deflate was agreed, of no effect elsewhere.
    """

    __slots__ = (
        "_deflate_min_size",
        "_deflater",
        "_farewell",
        "_out",
        "_out_size",
        "close_sent",
        "compress_default",
    )

    def __init__(self, limits: WebSocketLimits, deflate: DeflateParameters | None) -> None:
        self.close_sent = False
        self.compress_default = deflate is not None
        self._deflater: Deflater | None = None
        if deflate is not None:
            self._deflater = Deflater(deflate, limits.deflate_memory_level)
        self._deflate_min_size: int = max(limits.deflate_min_size, 1)
        self._farewell: bytes | None = None  # the close that answers a violation
        self._out: list[bytes] = []
        self._out_size = 0

    def send_text(self, text: str, compress: bool | None = None) -> None:
        """Queue a text message.

        Args:
            text: the message, exactly a ``str``.
            compress: deflate it, where that was agreed; ``None``: if it is long enough.

        Raises:
            LocalProtocolError: a close was sent, or ``text`` holds a lone surrogate.
        """
        if self.close_sent:
            raise LocalProtocolError("the WebSocket is closed")
        if not compress and len(text) < self._always_plain(compress):
            whole = ascii_frame(FIN | OP_TEXT, text)
            if whole is not None:
                self._queue(whole)
                return
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise LocalProtocolError("the text holds a lone surrogate") from None
        self._send_message(FIN | OP_TEXT, data, compress)

    def send_bytes(self, data: bytes, compress: bool | None = None) -> None:
        """Queue a binary message.

        Args:
            data: the message, exactly ``bytes``.
            compress: deflate it, where that was agreed; ``None``: if it is long enough.

        Raises:
            LocalProtocolError: a close was sent.
        """
        if self.close_sent:
            raise LocalProtocolError("the WebSocket is closed")
        self._send_message(FIN | OP_BINARY, data, compress)

    def _always_plain(self, compress: bool | None) -> int:
        """Return the size below which a message is neither deflated nor a piece of its own."""
        if compress is None and self.compress_default and self._deflater is not None:
            return min(self._deflate_min_size, _JOINED)
        return _JOINED

    def _send_message(self, first: int, data: bytes, compress: bool | None) -> None:
        size = len(data)
        if compress is None:
            compress = self.compress_default and size >= self._deflate_min_size
        if compress and size and self._deflater is not None:
            first |= RSV1
            data = self._deflater.deflate(data)
            size = len(data)
        if size < _JOINED:
            self._queue(frame(first, data))
        else:
            self._queue(frame_head(first, size))
            self._queue(data)

    def send_ping(self, payload: bytes = b"") -> None:
        """Queue a ping (§5.5.2).

        Raises:
            LocalProtocolError: a close was sent, or ``payload`` has more than 125 bytes.
        """
        if self.close_sent:
            raise LocalProtocolError("the WebSocket is closed")
        if len(payload) > _MAX_CONTROL_SIZE:
            raise LocalProtocolError("the payload of a ping has at most 125 bytes")
        self._queue(frame(FIN | OP_PING, payload))

    def send_pong(self, payload: bytes) -> None:
        """Queue the answer to a ping (§5.5.3); it may stand behind our close, too."""
        self._queue(frame(FIN | OP_PONG, payload))

    def send_close(self, code: int = 1000, reason: str = "") -> None:
        """Queue our close (§5.5.1). The peer's answer is `CloseReceived`.

        Args:
            code: close code; 1005 for a close frame without one.
            reason: words for the peer, up to 123 bytes in UTF-8.

        Raises:
            LocalProtocolError: a close was sent, or code or reason may not be.
        """
        if self.close_sent:
            raise LocalProtocolError("the WebSocket is closed")
        self._write_close(close_payload(code, reason))

    def fail(self, code: int, reason: str) -> None:
        """Begin the closing handshake for a reason of our own, unless it was begun.

        Args:
            code: close code.
            reason: words for the peer; what is too long for the frame is cut off.

        Raises:
            LocalProtocolError: the code may not be sent.
        """
        words = reason.encode("utf-8", "replace")[:MAX_REASON_SIZE].decode("utf-8", "ignore")
        self._write_close(close_payload(code, words))

    def _write_close(self, payload: bytes) -> None:
        if not self.close_sent:
            self.close_sent = True
            self._queue(frame(FIN | OP_CLOSE, payload))

    def hold_close(self) -> None:
        """Take the close of a violation back, while it is queued: answers may go before it.

        For a `Failed` behind messages that the application has not seen. Does nothing if another
        close was sent before that. `release_close` must follow.
        """
        if self._out and self._out[-1] is self._farewell:
            self._out_size -= len(self._out.pop())
            self.close_sent = False

    def release_close(self) -> None:
        """Queue the close that was held back, unless another one was sent meanwhile."""
        if self._farewell is not None and not self.close_sent:
            self.close_sent = True
            self._queue(self._farewell)

    # --- output ---

    def _queue(self, data: bytes) -> None:
        self._out.append(data)
        self._out_size += len(data)

    def buffered(self) -> int:
        """Return the number of bytes queued and not yet pulled by `data_to_send`."""
        return self._out_size

    def data_to_send(self) -> list[bytes]:
        """Take what is queued for the wire; small neighbours are joined."""
        out = self._out
        if out:
            self._out = []
            if len(out) > 1:
                out = [b"".join(out)] if self._out_size <= _JOINED else _joined(out)
            self._out_size = 0
        return out


def _joined(pieces: list[bytes]) -> list[bytes]:
    """Join neighbours that are small; hand on the others as they are."""
    out = []
    small: list[bytes] = []
    for piece in pieces:
        if len(piece) < _JOINED:
            small.append(piece)
            continue
        if small:
            out.append(b"".join(small))
            small = []
        out.append(piece)
    if small:
        out.append(b"".join(small))
    return out
