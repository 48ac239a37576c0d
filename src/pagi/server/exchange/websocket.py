"""WebSocket exchanges: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._websocket_c"):
    from pagi.server.exchange._websocket_py import WebSocketExchange
else:
    from pagi.server.exchange._websocket_c import WebSocketExchange

__all__ = ["WebSocketExchange"]
