"""Pings and deadlines of WebSockets: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._vigil_c"):
    from pagi.server.exchange._vigil_py import Vigil
else:
    from pagi.server.exchange._vigil_c import Vigil

__all__ = ["Vigil"]
