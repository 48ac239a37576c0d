"""What the end of a process says."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

__all__ = ["describe", "reaped"]


def describe(status: int, *, ours: bool = False) -> str:
    """Return an exit status in words.

    Args:
        status: negative is the number of a signal.
        ours: it was the supervisor that killed the process.
    """
    if status >= 0:
        return f"status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:  # a real-time signal
        name = "of real time"
    hint = ""
    if -status == signal.SIGKILL:
        hint = " (by the supervisor)" if ours else " (was the system short of memory?)"
    return f"signal {-status} {name}{hint}"


def reaped() -> Iterator[tuple[int, int]]:
    """Yield the children that have ended, with their statuses; negative is a signal.

    As process 1 of a container we also get the orphans of others.
    """
    while True:
        try:
            pid, wait_status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, os.waitstatus_to_exitcode(wait_status)
