"""`Handover`: a hot restart, seen from the server that is replaced.

    old                                   new
    starts its own program again ───────► takes the sockets, makes its workers
    serves on                             …
    reads the number of its process ◄──── all of them are ready
    stops gracefully                      serves

At every moment somebody accepts from the sockets. The new program may be another version of
Python, of this server, or with other options: nothing else is passed on.

Process 1 of a container cannot leave: the container would end with it. After the handover it stays
as the parent of orphans, and passes signals on.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
from collections.abc import Mapping
from typing import Final

from pagi.server.supervisor.exits import reaped
from pagi.server.supervisor.signals import SignalQueue
from pagi.server.worker.predecessor import Handed, Predecessor

__all__ = ["Handover", "guard", "named_directory", "send_signal"]

_WORD_SIZE: Final = 256


class Handover:
    """One try. `fileno` is readable when there is something to `hear`.

    Args:
        sockets: to be passed.
        variables: for the environment of the new program, beside those of this one.
        init: where process 1 listens for its new child, or -1.
        directory: where the program is started; ``None``: where this process is.

    Attributes:
        pid: process of the new program.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        sockets: list[Handed],
        variables: Mapping[str, str],
        init: int,
        directory: str | None = None,
    ) -> None:
        self._outlet, inlet = os.pipe()
        if os.getpid() == 1:
            init = inlet
        said = Predecessor.variable(inlet, init, sockets)
        passed = {inlet, init, *(each.descriptor for each in sockets)} - {-1}
        try:
            if directory is not None:
                os.chdir(directory)
            self.pid = _start({**os.environ, **variables, **said}, passed)
        except BaseException:
            os.close(self._outlet)
            raise
        finally:
            os.close(inlet)

    def fileno(self) -> int:
        """Return the end of the pipe that the new program writes to."""
        return self._outlet

    def hear(self) -> int | None:
        """Read the process that serves now; ``None``: nothing does, the new program has failed."""
        words = os.read(self._outlet, _WORD_SIZE).split()
        return int(words[-1]) if words else None

    def close(self) -> None:
        """Listen no more."""
        os.close(self._outlet)


def _start(environ: Mapping[str, str], passed: set[int]) -> int:
    """Start the program of this process again; return the new process."""
    arguments = [sys.executable, *sys.orig_argv[1:]]
    for descriptor in passed:
        os.set_inheritable(descriptor, True)
    try:
        return os.posix_spawn(sys.executable, arguments, environ, setsigmask=())
    finally:
        for descriptor in passed:
            os.set_inheritable(descriptor, False)


def named_directory() -> str | None:
    """Return the current directory as the shell names it, if it does.

    Through symbolic links: when the time comes, a newer release may be there under that name.
    """
    name = os.environ.get("PWD", "")
    try:
        return name if os.path.samefile(name, ".") else None
    except OSError:
        return None


def guard(handover: Handover, signals: SignalQueue) -> int:
    """Be process 1 for the server that has taken over; return its exit status.

    Args:
        handover: the one that succeeded; tells of the successors of the successor.
        signals: are passed on, but for the deaths of children.
    """
    pid = handover.pid
    statuses: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(signals, selectors.EVENT_READ)
        selector.register(handover, selectors.EVENT_READ)
        while pid not in statuses:
            for key, _ in selector.select():
                if key.fileobj is handover:
                    found = handover.hear()
                    if found is None:  # nobody is left who could take over
                        selector.unregister(handover)
                    pid = found or pid
                else:
                    for number in signals.take():
                        if number != signal.SIGCHLD:
                            send_signal(pid, number)
            statuses.update(reaped())
    return statuses[pid]


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, unless it has ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
