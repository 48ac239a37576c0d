"""What the WebSocket machine returns from ``receive_data``.

They are not events of HTTP: a WebSocket knows nothing of the stream that carries it. Immutable by
convention, as those are.
"""

from __future__ import annotations

__all__ = [
    "CloseReceived",
    "Failed",
    "MessageReceived",
    "PingReceived",
    "PongReceived",
    "WebSocketEvent",
]


class WebSocketEvent:
    """Base of all events."""

    __slots__ = ()

    def _shown(self) -> dict[str, object]:
        names: tuple[str, ...] = type(self).__slots__
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._shown().items())
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WebSocketEvent) or type(self) is not type(other):
            return NotImplemented
        return self._shown() == other._shown()

    __hash__ = None  # type: ignore[assignment]  # compared by value, as all events are


class MessageReceived(WebSocketEvent):
    """A message is complete.

    Attributes:
        data: ``str`` for a text message, ``bytes`` for a binary one.
        size: its length in bytes, inflated; that of a text in UTF-8.
    """

    __slots__ = ("data", "size")

    def __init__(self, data: str | bytes, size: int) -> None:
        self.data = data
        self.size = size


class PingReceived(WebSocketEvent):
    """The peer sent a ping; the pong is queued, unless the peer has no use for it any more."""

    __slots__ = ("payload",)

    def __init__(self, payload: bytes) -> None:
        self.payload = payload


class PongReceived(WebSocketEvent):
    """The peer answered a ping with this payload, or felt like it (RFC 6455 §5.5.3)."""

    __slots__ = ("payload",)

    def __init__(self, payload: bytes) -> None:
        self.payload = payload


class CloseReceived(WebSocketEvent):
    """The peer closes; the answer is queued if ours was not sent. Nothing more will be read.

    Attributes:
        code: the peer's close code, 1005 if it gave none (RFC 6455 §7.1.5).
        reason: the peer's words, or empty.
    """

    __slots__ = ("code", "reason")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


class Failed(WebSocketEvent):
    """The peer broke the protocol or a limit: our close is queued, nothing more will be read.

    Attributes:
        code: the close code that was sent, or would have been if none had been sent before.
        detail: what was wrong, in our words, without peer data; for the log.
    """

    __slots__ = ("code", "detail")

    def __init__(self, code: int, detail: str) -> None:
        self.code = code
        self.detail = detail
