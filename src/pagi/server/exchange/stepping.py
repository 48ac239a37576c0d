"""`first_step`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._stepping_c"):
    from pagi.server.exchange._stepping_py import first_step
else:
    from pagi.server.exchange._stepping_c import first_step

__all__ = ["first_step"]
