"""`receive`, `transmit`, `take_bytes`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.connection._syscalls_c"):
    from pagi.server.connection._syscalls_py import receive, take_bytes, transmit
else:
    from pagi.server.connection._syscalls_c import receive, take_bytes, transmit

__all__ = ["receive", "take_bytes", "transmit"]
