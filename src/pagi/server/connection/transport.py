"""`SocketTransport`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.connection._transport_c"):
    from pagi.server.connection._transport_py import SocketTransport, send_at_once
else:
    from pagi.server.connection._transport_c import SocketTransport, send_at_once

__all__ = ["SocketTransport", "send_at_once"]
