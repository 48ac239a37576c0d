"""`ConnectionEnds`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.connection._ends_c"):
    from pagi.server.connection._ends_py import ConnectionEnds
else:
    from pagi.server.connection._ends_c import ConnectionEnds

__all__ = ["ConnectionEnds"]
