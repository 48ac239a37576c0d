"""The driver of HTTP/2: facade of the two builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

__all__ = ["HTTP2Driver"]

if TYPE_CHECKING or not compiled("pagi.server.connection._http2_c"):
    from pagi.server.connection._http2_py import HTTP2Driver
else:
    from pagi.server.connection._http2_c import HTTP2Driver
