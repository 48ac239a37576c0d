"""The opening of a WebSocket: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._websocket_opening_c"):
    from pagi.server.exchange._websocket_opening_py import WebSocketOpening
else:
    from pagi.server.exchange._websocket_opening_c import WebSocketOpening

__all__ = ["WebSocketOpening"]
