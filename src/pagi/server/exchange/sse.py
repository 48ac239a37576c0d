"""Exchanges of http and sse scopes: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._sse_c"):
    from pagi.server.exchange._sse_py import SSEExchange
else:
    from pagi.server.exchange._sse_c import SSEExchange

__all__ = ["SSEExchange"]
