"""Running the application's coroutines: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._tasks_c"):
    from pagi.server.exchange._tasks_py import AppRunner
else:
    from pagi.server.exchange._tasks_c import AppRunner

__all__ = ["AppRunner"]
