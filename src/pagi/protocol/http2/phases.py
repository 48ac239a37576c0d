"""The phases of a response on an HTTP/2 stream, as plain integers; drawn in `StreamState`."""

from __future__ import annotations

from typing import Final

__all__ = ["BODY", "DONE", "GONE", "HEAD", "TRAILERS", "TUNNEL", "UNBOUNDED"]

HEAD: Final = 0
BODY: Final = 1
TRAILERS: Final = 2
TUNNEL: Final = 3
DONE: Final = 4
GONE: Final = 5

#: A length that is not known.
UNBOUNDED: Final = -1
