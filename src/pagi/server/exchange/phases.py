"""Phases of a response; the diagram is in `pagi.server.exchange.http`.

Plain integers, and C constants in ``phases.pxd``: they are compared several times per request.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BODY", "COMPLETE", "IDLE", "STARTED", "TRAILERS"]

IDLE: Final = 0
STARTED: Final = 1
BODY: Final = 2
TRAILERS: Final = 3
COMPLETE: Final = 4
