"""`Counters`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.worker._counters_c"):
    from pagi.server.worker._counters_py import Counters
else:
    from pagi.server.worker._counters_c import Counters

__all__ = ["Counters"]
