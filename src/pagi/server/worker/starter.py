"""`Starter`: whoever started this process: what it handed over, and what it is told.

It may be systemd, which passes sockets and wants to hear how the server is, or a process that
waits for a daemon to be ready. Mostly it is a shell, which is told nothing.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, MutableMapping

from pagi.server.errors import StartError
from pagi.server.worker.activation import Inherited
from pagi.server.worker.daemon import Relay, detach
from pagi.server.worker.predecessor import Predecessor
from pagi.server.worker.systemd import Notifier

__all__ = ["Starter"]


class Starter:
    """Only for a process that does nothing but serve.

    Args:
        environ: variables; what was meant for this process alone is removed from them.

    Attributes:
        predecessor: the server whose place this one takes, if it does.
        inherited: the sockets that were passed.
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self.predecessor = Predecessor.take(environ)
        if self.predecessor is None:
            self.inherited = Inherited.take(environ)
        else:
            self.inherited = Inherited(handed=self.predecessor.sockets)
        self._notifier = Notifier.take(environ)
        self._relay: Relay | None = None
        self._relieved = False
        self._at_relief: list[Callable[[], None]] = []

    def detach(self) -> None:
        """Go on as a daemon; the process that called this waits for it, and ends.

        The successor of a daemon is one already.
        """
        if self.predecessor is not None:
            return
        self._relay = detach()

    def variables(self) -> dict[str, str]:
        """Return what a program that takes our place has to know."""
        return self._notifier.variables()

    # ------------------------------------------------------------- what happens

    def ready(self, status: str) -> None:
        """The server serves; ``status`` is a line for people. Also when a restart is complete."""
        self._relieve()
        self._notifier.ready(status)
        if self._relay is not None:
            self._relay.end(0)
            self._relay = None

    def at_relief(self, action: Callable[[], None]) -> None:
        """Have something done when this process takes the place of its predecessor."""
        self._at_relief.append(action)

    def _relieve(self) -> None:
        if self.predecessor is not None and not self._relieved:
            self._relieved = True
            for action in self._at_relief:
                action()
            self.predecessor.relieve()

    def reloading(self) -> None:
        """A restart of the workers begins."""
        self._notifier.reloading()

    def stopping(self) -> None:
        """A stop begins."""
        self._notifier.stopping()

    def tick(self, now: float) -> None:
        """The loop turns; the time is monotonic."""
        self._notifier.tick(now)

    def deadline(self) -> float | None:
        """When to call `tick` next; ``None``: it is all the same."""
        return self._notifier.deadline()

    def failed(self, error: BaseException) -> None:
        """The server could not start, or it ends by a fault. The last that is told."""
        text, status = "".join(traceback.format_exception(error)), 1
        if isinstance(error, StartError):
            text, status = f"pagi: {error.message}", error.exit_status
            self._notifier.send(f"STATUS={error.message}")
        elif isinstance(error, SystemExit) and isinstance(error.code, int):
            text, status = "", error.code
        self._end(status, text)

    def ended(self, status: int) -> None:
        """The server has ended. The last that is told."""
        if status:
            self._end(status, "")
        else:
            self._end(1, "pagi: the server was stopped before it was ready")

    def _end(self, status: int, text: str) -> None:
        self._notifier.close()
        if self._relay is not None:
            self._relay.end(status, text)
            self._relay = None
