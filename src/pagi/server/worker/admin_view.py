"""`View`: the scoreboard, judged: who serves, who is silent, is the server alive and ready."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from pagi.server.worker.scoreboard import BOOTING, DRAINING, READY, Reading, Slot
from pagi.server.worker.tallies import Tally

__all__ = [
    "SITE_STATES",
    "SUPERVISOR_SILENCE",
    "WORKER_STATES",
    "SiteState",
    "View",
    "WorkerState",
]

WorkerState: TypeAlias = Literal["booting", "ready", "silent", "draining"]
SiteState: TypeAlias = Literal["starting", "ready", "degraded", "down", "draining"]

#: Of a worker: it loads and starts the application, serves, does not turn its loop, stops.
WORKER_STATES: Final[tuple[WorkerState, ...]] = ("booting", "ready", "silent", "draining")
#: Of the server: it has never been complete; every worker serves; some do; none does; it stops.
SITE_STATES: Final[tuple[SiteState, ...]] = ("starting", "ready", "degraded", "down", "draining")

#: A supervisor that has not turned its loop for so long, in seconds, is not alive. It does so
#: twice a second.
SUPERVISOR_SILENCE: Final = 30.0

_STATES: Final[dict[int, WorkerState]] = {BOOTING: "booting", READY: "ready", DRAINING: "draining"}


class View:
    """One look at the scoreboard.

    Args:
        reading: what it says.
        now: monotonic seconds.
        heartbeat_timeout: silence after which a worker does not count as serving; ``None``: never.

    Attributes:
        supervised: there is a supervisor, and workers are processes of their own.
        workers: by number, the older first.
        wanted: how many workers there should be.
        tally: what the exchanges were.
    """

    def __init__(self, reading: Reading, now: float, heartbeat_timeout: float | None) -> None:
        self.now = now
        self.site = reading.site
        self.workers = sorted(reading.workers, key=lambda slot: (slot.number, slot.born))
        self.supervised = self.site.wanted > 0
        self.wanted = self.site.wanted or 1
        self.tally = Tally.of(reading.counters)
        self._heartbeat_timeout = heartbeat_timeout

    def silence(self, slot: Slot) -> float:
        """Return for how long the loop of a process has not turned, in seconds."""
        return max(0.0, self.now - slot.beat)

    def state(self, slot: Slot) -> WorkerState:
        """Return how a worker is."""
        timeout = self._heartbeat_timeout
        # One that has ticked has accepted connections, even if it has not come to say so.
        serves = slot.state == READY or (slot.state == BOOTING and slot.beat > slot.born)
        if serves and timeout is not None and self.silence(slot) >= timeout:
            return "silent"
        return _STATES.get(slot.state, "booting")

    def count(self, state: WorkerState) -> int:
        """Return how many workers are so."""
        return sum(self.state(slot) == state for slot in self.workers)

    @property
    def site_state(self) -> SiteState:
        """How the server is."""
        if self.site.state == DRAINING:
            return "draining"
        ready = self.count("ready")
        if self.site.state == BOOTING:
            return "starting"
        if not ready:
            return "down"
        return "ready" if ready >= self.wanted else "degraded"

    def why_not_alive(self) -> str | None:
        """Return why the server should be started anew, or ``None``: it is alive."""
        silence = self.silence(self.site)
        if self.supervised and silence >= SUPERVISOR_SILENCE:
            return f"the supervisor has not turned its loop for {silence:.0f} s"
        silent = [slot for slot in self.workers if self.state(slot) == "silent"]
        # One that comes, or finishes its requests, is a sign of life.
        if silent and len(silent) == len(self.workers):
            shortest = min(map(self.silence, silent))
            return f"no worker has turned its loop for {shortest:.0f} s"
        return None

    def why_not_ready(self) -> str | None:
        """Return why the server should get no requests, or ``None``: it is ready."""
        if self.site.state == DRAINING:
            return "the server is stopping"
        if self.count("ready"):
            return None
        if silent := self.count("silent"):
            return f"no worker is ready; {silent} do not turn their loop"
        if self.site.state == BOOTING:
            return "the application is starting"
        return "no worker is ready"
