"""`Exchange`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._base_c"):
    from pagi.server.exchange._base_py import Exchange
else:
    from pagi.server.exchange._base_c import Exchange

__all__ = ["Exchange"]
