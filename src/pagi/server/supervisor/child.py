"""`Child`: a worker as its supervisor sees it."""

from __future__ import annotations

import os
import signal
import socket

from pagi.server.worker.link import IS_BROKEN, IS_READY
from pagi.server.worker.report import Report
from pagi.server.worker.scoreboard import Slot

__all__ = ["Child"]


class Child:
    """A process that was forked and not reaped yet.

    Attributes:
        number: which worker it is: 1, 2, ….
        pid: its process.
        slot: its place on the scoreboard.
        channel: connected to it, non-blocking.
        kill_at: when it is killed if it has not ended, in monotonic seconds.
        report: where it writes its stacks when asked.
        broken: it says itself that it serves nothing but an error.
        killed: this process killed it.
        reported: it was asked, because its loop does not turn; nobody waits for it any more.
    """

    __slots__ = (
        "broken",
        "channel",
        "kill_at",
        "killed",
        "number",
        "pid",
        "report",
        "reported",
        "slot",
    )

    def __init__(
        self, number: int, pid: int, slot: Slot, channel: socket.socket, report: Report
    ) -> None:
        self.number = number
        self.pid = pid
        self.slot = slot
        self.channel = channel
        self.report = report
        self.kill_at: float | None = None
        self.reported = False
        self.killed = False
        self.broken = False

    def __str__(self) -> str:
        return f"{self.number} (pid {self.pid})"

    def send(self, command: bytes) -> None:
        """Send a command over the channel; one that has ended does not hear it."""
        try:
            self.channel.send(command)
        except OSError:  # it is closed, or full because it hangs
            pass

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:  # it has ended and waits to be reaped
            pass

    def kill(self) -> None:
        """End it at once."""
        self.killed = True
        self.signal(signal.SIGKILL)

    def says_ready(self) -> bool:
        """Read what it said; tell whether it was that it is ready."""
        try:
            words = self.channel.recv(64)
        except OSError:
            return False
        self.broken = self.broken or IS_BROKEN in words
        return IS_READY in words

    def close(self) -> None:
        """Close what this process has of it."""
        self.channel.close()
        self.report.close()
