"""The WebSocket machine: facade of the two implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

__all__ = ["WebSocketConnection"]

if TYPE_CHECKING or not compiled("pagi.protocol.websocket._connection_c"):
    from pagi.protocol.websocket._connection_py import WebSocketConnection
else:
    from pagi.protocol.websocket._connection_c import WebSocketConnection
