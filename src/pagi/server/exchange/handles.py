"""The handles in a scope: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._handles_c"):
    from pagi.server.exchange._handles_py import ConnectionState, TransportState
else:
    from pagi.server.exchange._handles_c import ConnectionState, TransportState

__all__ = ["ConnectionState", "TransportState"]
