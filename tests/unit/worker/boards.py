"""Made-up scoreboards."""

from __future__ import annotations

from time import monotonic
from typing import Any

from pagi.server.worker.admin_view import View
from pagi.server.worker.counters import Counters
from pagi.server.worker.scoreboard import READY, Scoreboard, Slot

__all__ = ["Board", "count"]


class Board:
    """A scoreboard of a server with workers that are ready, or of a process without any."""

    def __init__(self, workers: int = 2) -> None:
        self.scoreboard = Scoreboard(8 if workers else 0)
        self.now = monotonic()
        self.site = self.scoreboard.site
        self.site.take(100, 0, 0)
        self.site.wanted = workers
        self.site.state = READY
        self.slots = [self.add(number) for number in range(1, workers + 1)]
        self.settle()

    def add(self, number: int, state: int = READY, generation: int = 0) -> Slot:
        """Add a worker."""
        slot = self.scoreboard.free()
        assert slot is not None
        slot.take(100 + number + 10 * generation, number, generation)
        slot.state = state
        return slot

    def settle(self) -> None:
        """Let all have been born now, and turned their loops just now."""
        for slot in (self.site, *self.scoreboard.taken()):
            slot.born = slot.beat = self.now

    def view(self, after: float = 0.0, heartbeat_timeout: float | None = 30.0) -> View:
        """Look at it so many seconds later."""
        return View(self.scoreboard.read(), self.now + after, heartbeat_timeout)


def count(
    slot: Slot,
    kind: str = "http",
    status: int = 200,
    *,
    version: str = "1.1",
    sent: int = 0,
    seconds: float = 0.0005,
    reason: str | None = None,
    times: int = 1,
) -> None:
    """Let a worker have had exchanges."""
    scope: dict[str, Any] = {"type": kind, "http_version": version}
    counters = Counters(slot.counters, slot.request_cell)
    for _ in range(times):
        counters.log("client", scope, status, sent, seconds, reason)
