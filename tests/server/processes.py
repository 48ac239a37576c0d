"""``pagi run`` as a process of its own, that may also fail, be killed, or have workers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.server.attacks.site import Process, launch
from tests.server.attacks.wire import Wire, eventually

__all__ = ["Command", "Journal", "command", "refused"]

#: How long any of them may take to start or to end, in seconds.
PATIENCE: Final = 20.0


class Journal:
    """What the application wrote down; see ``journal_app``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self) -> list[tuple[str, int]]:
        """Return what happened so far, with the process it happened in."""
        if not self.path.exists():
            return []
        lines = self.path.read_text().splitlines()
        return [(word, int(pid)) for word, pid in (line.split() for line in lines)]

    def pids(self, event: str) -> list[int]:
        """Return the processes that had this event, in order."""
        return [pid for word, pid in self.events() if word == event]

    async def wait(self, event: str, count: int = 1) -> list[int]:
        """Wait until it has happened ``count`` times; return the processes."""
        await eventually(lambda: len(self.pids(event)) >= count, PATIENCE)
        return self.pids(event)


class Command(Process):
    """A running or ended ``pagi run``, alone in its process group.

    Attributes:
        journal: what its application wrote down.
    """

    def __init__(self, running: asyncio.subprocess.Process, journal: Journal) -> None:
        super().__init__(running)
        self.journal = journal

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to the process that was started."""
        if self._running.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)  # asyncio's way would take the exit status from its watcher

    def tell_group(self, number: signal.Signals) -> None:
        """Send a signal to it and its workers, as terminals and service managers do."""
        os.killpg(self.pid, number)

    async def ended(self) -> int:
        """Wait for the end; return the exit status.

        asyncio's way would also wait for the end of its output, which a successor goes on with.
        """
        await eventually(lambda: self._running.returncode is not None, PATIENCE)
        status = self._running.returncode
        assert status is not None
        return status

    def addresses(self) -> list[str]:
        """Return where it listens."""
        for line in self.lines:
            match = re.search(r"(?:serving|listening) on (.*?)(?:; starting \d+ workers)?$", line)
            if match is not None:
                return match[1].split(", ")
        return []


@asynccontextmanager
async def command(
    target: str,
    *options: str,
    directory: Path,
    descriptors: Sequence[int] = (),
    listens: bool = True,
    in_front: Sequence[str] = (),
    place: bool = True,
) -> AsyncIterator[Command]:
    """Run ``pagi run`` and see that nothing of it is left; its end and its log are the caller's.

    Args:
        target: a whole target, or the name of an application of ``journal_app``.
        options: of ``pagi run``; without one that says where to listen, a free port.
        directory: for the journal.
        descriptors: that it inherits.
        listens: wait until it says where it listens.
        in_front: words before the command, such as those of a shell.
        place: see to it that an option says where to listen.
    """
    journal = Journal(directory / "journal")
    if place and not {"--port", "--listen", "--socket", "--fd"} & set(options):
        options = ("--port", "0", *options)
    running = await launch(
        target if ":" in target else f"tests.server.journal_app:{target}",
        *(() if "--access-log" in options else ("--no-access-log",)),
        *options,
        in_front=in_front,
        env={**os.environ, "JOURNAL": str(journal.path)},
        pass_fds=descriptors,
        start_new_session=True,
    )
    site = Command(running, journal)
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    following = asyncio.ensure_future(site.follow(started))
    try:
        if listens:
            await eventually(lambda: started.done() or bool(site.addresses()), PATIENCE)
            site.port = started.result() if started.done() else 0
        yield site
    finally:
        try:
            os.killpg(running.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        await running.wait()
        await following
        if started.done():
            started.exception()


async def refused(address: int | str) -> None:
    """Wait until nobody listens at the address any more; a connection that hangs fails."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                async with await Wire.open(address):
                    await asyncio.sleep(0.01)  # the listener is about to be closed
            except ConnectionResetError:
                continue  # the listener was closed between the handshake and the answer to it
            except (ConnectionRefusedError, FileNotFoundError):
                return
