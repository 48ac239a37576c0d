"""`OpenFiles`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._opening_c"):
    from pagi.server.exchange._opening_py import OpenFiles
else:
    from pagi.server.exchange._opening_c import OpenFiles

__all__ = ["OpenFiles"]
