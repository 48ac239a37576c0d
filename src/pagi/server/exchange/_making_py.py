"""Making exchanges: Python twin."""

from __future__ import annotations

from pagi.server.exchange.sse import SSEExchange

__all__ = ["make_http_exchange"]

make_http_exchange = SSEExchange
