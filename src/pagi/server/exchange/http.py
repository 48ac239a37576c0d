"""`HTTPExchange`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._http_c"):
    from pagi.server.exchange._http_py import HTTPExchange
else:
    from pagi.server.exchange._http_c import HTTPExchange

__all__ = ["HTTPExchange"]
