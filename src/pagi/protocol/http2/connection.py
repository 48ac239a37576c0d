"""The HTTP/2 machine: facade of the two builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

__all__ = ["HTTP2Connection"]

if TYPE_CHECKING or not compiled("pagi.protocol.http2._connection_c"):
    from pagi.protocol.http2._connection_py import HTTP2Connection
else:
    from pagi.protocol.http2._connection_c import HTTP2Connection
