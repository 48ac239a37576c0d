"""`HTTP1Driver`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.connection._http1_c"):
    from pagi.server.connection._http1_py import HTTP1Driver
else:
    from pagi.server.connection._http1_c import HTTP1Driver

__all__ = ["HTTP1Driver"]
