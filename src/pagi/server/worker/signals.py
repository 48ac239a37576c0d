"""The signals that stop a server, from its start to the last moment of its process.

A loop and a supervisor heed them while they serve. Between their end and the end of the process a
signal that comes late (somebody is impatient, or several send one) must not turn a clean stop into
a death by signal or a traceback.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import sys
from typing import Final

from pagi.server.worker.threads import leave_behind

__all__ = [
    "STOP_SIGNALS",
    "Disposition",
    "Terminal",
    "ignore_stop_signals",
    "leave_signals",
]

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def _there_are(*names: str) -> tuple[signal.Signals, ...]:
    """Return the signals of these names that the system has."""
    return tuple(signal.Signals[name] for name in names if name in signal.Signals.__members__)


#: What a serving process also heeds.
_OTHERS: Final = _there_are("SIGQUIT", "SIGHUP", "SIGUSR1", "SIGTTIN", "SIGTTOU")
#: What it changes beside that.
_CHANGED: Final = _there_are("SIGUSR2", "SIGCHLD")


def ignore_stop_signals() -> None:
    """Take no stop signals any more, not even those that wait already."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def leave_signals(loop: asyncio.AbstractEventLoop) -> None:
    """Let the running loop hear no signals any more, and ignore those that come.

    What happens to them when a loop is closed is left to chance: asyncio gives them back their
    default action, which is death, after it has closed the pipe that it hears them by; uvloop
    goes on to swallow them.
    """
    numbers = (*STOP_SIGNALS, *_OTHERS)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    for number in numbers:
        if loop.remove_signal_handler(number):
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Terminal:
    """The terminal that this process was started from, if it was."""

    def __init__(self) -> None:
        self._descriptors = [descriptor for descriptor in range(3) if os.isatty(descriptor)]

    def has_gone(self) -> bool:
        """Tell whether it was closed, which also sends SIGHUP."""
        return bool(self._descriptors) and not any(map(os.isatty, self._descriptors))


class Disposition:
    """How this process took signals before it served. Only for the main thread."""

    def __init__(self) -> None:
        self._handlers = {
            number: signal.getsignal(number) for number in (*STOP_SIGNALS, *_OTHERS, *_CHANGED)
        }

    def put_back(self) -> None:
        """Take them as before."""
        for number, handler in self._handlers.items():
            # None: somebody outside of Python set it, and we cannot do that again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def leave_with(self, status: int) -> None:
        """Let the process end with this exit status, on a stop signal at once.

        Threads of the application may keep it from ending by itself; they have a moment. When
        they have ended, signals are ignored.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        for number in STOP_SIGNALS:
            signal.signal(number, lambda *_: os._exit(status))
        atexit.register(ignore_stop_signals)
        leave_behind(status)
