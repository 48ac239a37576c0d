"""`RegularFile`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._regular_c"):
    from pagi.server.exchange._regular_py import RegularFile
else:
    from pagi.server.exchange._regular_c import RegularFile

__all__ = ["RegularFile"]
