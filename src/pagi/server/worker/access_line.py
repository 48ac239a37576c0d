"""`make_render`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.worker._access_line_c"):
    from pagi.server.worker._access_line_py import make_render
else:
    from pagi.server.worker._access_line_c import make_render

__all__ = ["make_render"]
