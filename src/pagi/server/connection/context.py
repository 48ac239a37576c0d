"""`ConnectionContext`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.connection._context_c"):
    from pagi.server.connection._context_py import Clock, ConnectionContext
else:
    from pagi.server.connection._context_c import Clock, ConnectionContext

__all__ = ["Clock", "ConnectionContext"]
