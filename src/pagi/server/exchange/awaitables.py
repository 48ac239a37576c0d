"""`DONE` and `Waiter`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.exchange._awaitables_c"):
    from pagi.server.exchange._awaitables_py import DONE, Done, Waiter
else:
    from pagi.server.exchange._awaitables_c import DONE, Done, Waiter

__all__ = ["DONE", "Done", "Waiter"]
