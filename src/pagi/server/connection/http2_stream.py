"""The streams of HTTP/2 connections: facade of the two builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

__all__ = ["HTTP2Output", "HTTP2Stream"]

if TYPE_CHECKING or not compiled("pagi.server.connection._http2_stream_c"):
    from pagi.server.connection._http2_stream_py import HTTP2Output, HTTP2Stream
else:
    from pagi.server.connection._http2_stream_c import HTTP2Output, HTTP2Stream
