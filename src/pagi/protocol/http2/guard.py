"""`FrameGuard`: facade of the two builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

__all__ = ["FrameGuard"]

if TYPE_CHECKING or not compiled("pagi.protocol.http2._guard_c"):
    from pagi.protocol.http2._guard_py import FrameGuard
else:
    from pagi.protocol.http2._guard_c import FrameGuard
