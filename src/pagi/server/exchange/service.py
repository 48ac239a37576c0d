"""`Service`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._service_c"):
    from pagi.server.exchange._service_py import Service
else:
    from pagi.server.exchange._service_c import Service

__all__ = ["Service"]
