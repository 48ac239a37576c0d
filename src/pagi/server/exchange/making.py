"""Making exchanges: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._making_c"):
    from pagi.server.exchange._making_py import make_http_exchange
else:
    from pagi.server.exchange._making_c import make_http_exchange

__all__ = ["make_http_exchange"]
