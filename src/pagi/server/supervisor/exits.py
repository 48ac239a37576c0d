"""What the end of a process says."""

from __future__ import annotations

import signal

__all__ = ["describe"]


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
