"""What the WebSocket machine returns from ``receive_data``: facade of the two implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

__all__ = [
    "CloseReceived",
    "Failed",
    "MessageReceived",
    "PingReceived",
    "PongReceived",
    "WebSocketEvent",
]

if TYPE_CHECKING or not compiled("pagi.protocol.websocket._events_c"):
    from pagi.protocol.websocket._events_py import (
        CloseReceived,
        Failed,
        MessageReceived,
        PingReceived,
        PongReceived,
        WebSocketEvent,
    )
else:
    from pagi.protocol.websocket._events_c import (
        CloseReceived,
        Failed,
        MessageReceived,
        PingReceived,
        PongReceived,
        WebSocketEvent,
    )
