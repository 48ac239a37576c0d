"""`Observer`: what is told of each exchange when it has ended. They wrap each other."""

from __future__ import annotations

from typing import TypeAlias

from pagi.server.worker.access_log import AccessLog
from pagi.server.worker.counters import Counters
from pagi.server.worker.slowness import SlowRequests

__all__ = ["Observer"]

Observer: TypeAlias = AccessLog | Counters | SlowRequests
