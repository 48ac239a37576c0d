"""`Link`: what a worker has of its supervisor: a slot on the scoreboard and a channel.

Through the channel the supervisor sends commands of one byte each, and the worker says once that
it is ready. Its end tells each of the death of the other, at once and whatever the system. Commands
are no signals, because those also come from elsewhere: a terminal and a service manager send theirs
to all processes of the server.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Final

from pagi.server.worker.report import Report
from pagi.server.worker.scoreboard import DRAINING, READY, Slot

__all__ = ["HURRY", "IS_BROKEN", "IS_READY", "REOPEN", "STOP", "Link"]

#: Stop gracefully.
STOP: Final = b"s"
#: Do not wait any longer for the requests of a stop.
HURRY: Final = b"h"
#: Open the files of logs again: they were renamed.
REOPEN: Final = b"o"

#: The worker's only word: it accepts connections.
IS_READY: Final = b"r"
#: In front of it, in development: but it only answers that the application cannot be loaded.
IS_BROKEN: Final = b"b"


class Link:
    """The worker's side.

    Args:
        number: 1, 2, …: which of the workers this is.
        channel: connected to the supervisor, non-blocking.
        slot: of this worker.
        report: where it writes its stacks when asked.

    Attributes:
        channel: connected to the supervisor.
        broken: the application cannot be loaded, and this worker only says so.
    """

    def __init__(self, number: int, channel: socket.socket, slot: Slot, report: Report) -> None:
        self.number = number
        self.slot = slot
        self.report = report
        self.channel = channel
        self.broken = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def follow(
        self,
        loop: asyncio.AbstractEventLoop,
        commands: Mapping[bytes, Callable[[], object]],
        lost: Callable[[], object],
    ) -> None:
        """Do what the supervisor says.

        Args:
            loop: the running loop.
            commands: what to call for each; others are ignored.
            lost: called once when there is no supervisor any more.
        """

        def heed() -> None:
            try:
                words = self.channel.recv(64)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                words = b""
            if not words:
                self.leave()
                lost()
            for word in words:
                commands.get(bytes((word,)), _nothing)()

        self._loop = loop
        loop.add_reader(self.channel.fileno(), heed)

    def leave(self) -> None:
        """Follow no more."""
        if self._loop is not None:
            self._loop.remove_reader(self.channel.fileno())
            self._loop = None

    def ready(self) -> None:
        """Say that this worker accepts connections."""
        self.slot.state = READY
        try:
            self.channel.send(IS_BROKEN + IS_READY if self.broken else IS_READY)
        except OSError:  # it has gone, which `lost` tells
            pass

    def draining(self) -> None:
        """Let it be seen that this worker stops."""
        self.slot.state = DRAINING


def _nothing() -> None:
    """A command of a later version."""
