"""The chunked transfer coding: facade of the two implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

__all__ = ["FORBIDDEN_TRAILERS", "ChunkedReader"]

if TYPE_CHECKING or not compiled("pagi.protocol.http1._chunked_c"):
    from pagi.protocol.http1._chunked_py import FORBIDDEN_TRAILERS, ChunkedReader
else:
    from pagi.protocol.http1._chunked_c import FORBIDDEN_TRAILERS, ChunkedReader
