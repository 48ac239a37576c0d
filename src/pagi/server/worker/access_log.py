"""`AccessLog`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.worker._access_log_c"):
    from pagi.server.worker._access_log_py import AccessLog
else:
    from pagi.server.worker._access_log_c import AccessLog

__all__ = ["AccessLog"]
