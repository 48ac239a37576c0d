"""`HTTP1Stream`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.connection._http1_stream_c"):
    from pagi.server.connection._http1_stream_py import FLUSH_SIZE, HTTP1Stream
else:
    from pagi.server.connection._http1_stream_c import FLUSH_SIZE, HTTP1Stream

__all__ = ["FLUSH_SIZE", "HTTP1Stream"]
