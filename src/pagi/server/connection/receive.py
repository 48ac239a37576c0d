"""`take_bytes`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.connection._receive_c"):
    from pagi.server.connection._receive_py import take_bytes
else:
    from pagi.server.connection._receive_c import take_bytes

__all__ = ["take_bytes"]
