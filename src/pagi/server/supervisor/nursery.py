"""`Nursery`: makes the processes of workers, and buries them."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Final

from pagi.server.errors import StartError
from pagi.server.supervisor.child import Child
from pagi.server.supervisor.exits import reaped
from pagi.server.supervisor.signals import NOT_FOR_WORKERS, SignalQueue
from pagi.server.worker.link import Link
from pagi.server.worker.report import Report
from pagi.server.worker.scoreboard import Scoreboard

__all__ = ["MAX_WORKERS", "Nursery"]

#: Workers at a time at most, those that stop included.
MAX_WORKERS: Final = 1000


class Nursery:
    """The processes that were forked and not reaped yet.

    Args:
        signals: those of this process.
        logger: told of what goes wrong.

    Attributes:
        selector: tells when a child says something, or somebody else who was registered.
        scoreboard: shared with all children.
        children: by their process.
    """

    def __init__(self, signals: SignalQueue, logger: logging.Logger) -> None:
        self._signals = signals
        self._logger = logger
        self.selector = selectors.DefaultSelector()
        self.scoreboard = Scoreboard(MAX_WORKERS)
        self.children: dict[int, Child] = {}

    def fork(self, number: int, generation: int, work: Callable[[Link], int]) -> Child | None:
        """Make a process.

        Args:
            number: which worker it is.
            generation: how many restarts came before it.
            work: what it does, and the status that it exits with then. Nothing but the standard
                descriptors and what ``work`` refers to is left open in it.

        Returns:
            The child, or None if the system is short of something; that has been logged.
        """
        slot = self.scoreboard.free()
        if slot is None:
            self._logger.error("worker %d: there are %d processes already", number, MAX_WORKERS)
            return None
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            with ExitStack() as opened:
                ours, its = socket.socketpair()
                for channel in (ours, its):
                    opened.enter_context(channel)
                    channel.setblocking(False)
                report = opened.enter_context(closing(Report()))
                slot.take(0, number, generation)
                self._signals.hold()
                pid = os.fork()
                if not pid:
                    slot.pid = os.getpid()
                    self._be(Link(number, its, slot, report), ours, work)
                opened.pop_all()
        except OSError as exc:  # the system is short of processes, memory or descriptors
            slot.clear()
            self._logger.error("worker %d cannot be forked: %s", number, exc.strerror)
            return None
        finally:
            self._signals.release()
        its.close()
        slot.pid = pid
        child = Child(number, pid, slot, ours, report)
        self.children[pid] = child
        self.selector.register(ours, selectors.EVENT_READ, child)
        return child

    def _be(self, link: Link, channel: socket.socket, work: Callable[[Link], int]) -> None:
        """Be the child, in its process; never returns."""
        status = 1
        try:
            self._leave(channel)
            status = work(link)
        except StartError as exc:
            self._logger.error("worker %d: %s", link.number, exc)
            status = exc.exit_status
        except KeyboardInterrupt:
            status = 0
        except BaseException:
            self._logger.exception("worker %d failed", link.number)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _leave(self, channel: socket.socket) -> None:
        """Leave what is the supervisor's."""
        self._signals.forget(NOT_FOR_WORKERS)
        self._signals.release()
        self.selector.close()
        channel.close()
        # A copy of another child's channel would hide the supervisor's death from it.
        for child in self.children.values():
            child.close()

    def unlisten(self, child: Child) -> None:
        """Hear nothing more of a child: it has ended, or closed its side."""
        if child.channel.fileno() in self.selector.get_map():
            self.selector.unregister(child.channel)

    def reap(self) -> Iterator[tuple[Child, int]]:
        """Yield the children that have ended, with their status; negative is a signal."""
        for pid, status in reaped():
            child = self.children.pop(pid, None)
            if child is not None:  # not an orphan of others
                self.unlisten(child)
                child.close()
                yield child, status
                self.scoreboard.release(child.slot)
