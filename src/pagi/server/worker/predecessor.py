"""`Predecessor`: a server that this process takes the place of, with its sockets.

For a hot restart the running server starts its own program again, in a process of its own, and
passes it its listening sockets. The new one says when it serves; only then the old one stops. If
the new one fails before that, the old one goes on as if nothing had been.
"""

from __future__ import annotations

import json
import os
from collections.abc import MutableMapping
from typing import Final, NamedTuple

__all__ = ["Handed", "Predecessor"]

_VARIABLE: Final = "_PAGI_PREDECESSOR"


class Handed(NamedTuple):
    """A socket that was passed.

    Attributes:
        descriptor: its number.
        number: of the worker that it is for, if each has its own; 1 for one that all share.
        place: where it listens, as its specification says it.
        path: of the file that is ours to remove at the end, or ``None``.
    """

    descriptor: int
    number: int
    place: str
    path: str | None


class Predecessor:
    """What it said to this process.

    Args:
        pid: its process.
        channel: a pipe; the number of this process is written to it when it serves.
        init: the same for process 1 of a container, whose child the site must remain; or -1.
        sockets: those that it passed.
    """

    def __init__(self, pid: int, channel: int, init: int, sockets: list[Handed]) -> None:
        self.pid = pid
        self.init = init
        self.sockets = sockets
        self._channel = channel

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Predecessor | None:
        """Make it of the variable that was left for this process, and remove that."""
        text = environ.pop(_VARIABLE, "")
        if not text:
            return None
        said = json.loads(text)
        if said["pid"] != os.getppid():  # meant for another process, which has left it behind
            return None
        sockets = [Handed(*each) for each in said["sockets"]]
        for descriptor in (said["channel"], said["init"], *(each[0] for each in sockets)):
            if descriptor >= 0:
                os.set_inheritable(descriptor, False)
        return cls(said["pid"], said["channel"], said["init"], sockets)

    @staticmethod
    def variable(channel: int, init: int, sockets: list[Handed]) -> dict[str, str]:
        """Return the variable for a successor of this process."""
        said = {"pid": os.getpid(), "channel": channel, "init": init, "sockets": sockets}
        return {_VARIABLE: json.dumps(said)}

    def relieve(self) -> None:
        """Say that this process serves: the predecessor may stop."""
        word = b"%d\n" % os.getpid()
        for descriptor in {self.init, self._channel} - {-1}:
            try:
                os.write(descriptor, word)
            except OSError:  # it has gone, which is as well
                pass
        if self._channel != self.init:
            os.close(self._channel)
