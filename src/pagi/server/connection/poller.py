"""`make_poller`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.connection._poller_c"):
    from pagi.server.connection._poller_py import LoopPoller, Poller, make_poller
else:
    from pagi.server.connection._poller_c import LoopPoller, Poller, make_poller

__all__ = ["LoopPoller", "Poller", "make_poller"]
