"""`Stream`, the port of an exchange: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._stream_c"):
    from pagi.server.exchange._stream_py import Stream
else:
    from pagi.server.exchange._stream_c import Stream

__all__ = ["Stream"]
