"""What the end of a process says."""

from __future__ import annotations

import signal

__all__ = ["describe"]


def describe(status: int) -> str:
    """Return an exit status in words; negative is the number of a signal."""
    if status >= 0:
        return f"status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:  # a real-time signal
        name = "of real time"
    hint = " (was the system short of memory?)" if -status == signal.SIGKILL else ""
    return f"signal {-status} {name}{hint}"
