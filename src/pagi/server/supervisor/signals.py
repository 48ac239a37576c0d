"""`SignalQueue`: signals of this process, one after the other, as something to wait for.

Their handlers do nothing. The interpreter writes the number of each signal into a socket, from
which they are taken when their turn has come: no code of ours runs in the middle of other code.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Final

__all__ = ["NOT_FOR_WORKERS", "SIGNALS", "SignalQueue"]

#: What the supervisor heeds.
SIGNALS: Final = (
    signal.SIGCHLD,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
)
#: What a terminal or a service manager sends to all processes, and is the supervisor's to heed.
NOT_FOR_WORKERS: Final = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


class SignalQueue:
    """Takes signals in order. Only for the main thread.

    A signal that was ignored when this process started stays ignored, if it is SIGHUP: whoever
    starts a server with nohup wants it to outlive the terminal.

    Args:
        numbers: the signals to take.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = [
            number
            for number in numbers
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
        ]
        self._inlet, self._outlet = socket.socketpair()
        self._inlet.setblocking(False)
        self._outlet.setblocking(False)
        for number in self._numbers:
            signal.signal(number, _noted)
        self._wakeup = signal.set_wakeup_fd(self._inlet.fileno(), warn_on_full_buffer=False)

    def fileno(self) -> int:
        """Return the descriptor that is readable when a signal has come."""
        return self._outlet.fileno()

    def take(self) -> list[signal.Signals]:
        """Return the signals that came since the last time, in order."""
        try:
            taken = self._outlet.recv(4096)
        except BlockingIOError:
            return []
        return [signal.Signals(number) for number in taken if number in self._numbers]

    def hold(self) -> None:
        """Let signals wait in the system until `release`."""
        signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)

    def release(self) -> None:
        """Take signals again."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)

    def forget(self, ignored: Sequence[signal.Signals]) -> None:
        """Have nothing to do with them any more, in a process that was forked on `hold`.

        Those that are not ignored have the system's own effect then, also if they have been sent
        meanwhile.
        """
        signal.set_wakeup_fd(-1)
        for number in {*self._numbers, *ignored}:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
        self._inlet.close()
        self._outlet.close()

    def close(self) -> None:
        """Ignore them from now on: somebody may be impatient. `Disposition` puts them back."""
        for number in self._numbers:
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.SIG_IGN)
        signal.set_wakeup_fd(self._wakeup)
        self._inlet.close()
        self._outlet.close()


def _noted(number: int, frame: FrameType | None) -> None:
    """The interpreter has written it down."""
