"""`Poller`: watches the sockets of all connections of a loop for it.

One source, two builds: compiled as ``_poller_c`` (see ``_poller_c.pxd``).

The loop watches one descriptor, that of an epoll of ours. When it is ready, all connections that
have something are read from, then all are served, then all answers are written, in one callback
(see `ReadBatch`). What the loop would keep for each connection, a handle and its callback, need
not exist, and what it would do for each event need not be done.

`LoopPoller` has the loop watch each socket, where there is no epoll.
"""

from __future__ import annotations

import select
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pagi.server.connection.driver import GROUP, ReadBatch
from pagi.server.connection.readiness import READABLE, WRITABLE
from pagi.server.connection.transport import SocketTransport

if TYPE_CHECKING:
    from pagi.server.connection.readiness import Watcher

__all__ = ["LoopPoller", "Poller", "make_poller"]

_new_epoll: Final[Any] = getattr(select, "epoll", None)
#: What a transport that waits for nothing is watched for: trouble, which epoll always tells, but
#: each trouble once, because nothing is done about it until somebody reads.
_TROUBLE_ONCE: Final[int] = getattr(select, "EPOLLET", 0)


class Poller:
    """Watches sockets by an epoll.

    Args:
        loop: the running loop.
        batch: what serves the connections after they were read from.
    """

    __slots__ = ("_batch", "_deferred", "_epoll", "_serving", "_transports", "loop")

    def __init__(self, loop: AbstractEventLoop, batch: ReadBatch) -> None:
        self.loop = loop
        self._batch = batch
        self._epoll = _new_epoll()
        self._transports: dict[int, SocketTransport] = {}
        self._serving = False
        self._deferred: list[tuple[Callable[[Any], None], Any]] = []
        loop.add_reader(self._epoll.fileno(), self._serve)

    def watch(self, transport: SocketTransport) -> None:
        """Begin to watch a transport for its ``events``."""
        self._epoll.register(transport.descriptor, transport.events or _TROUBLE_ONCE)
        self._transports[transport.descriptor] = transport

    def change(self, transport: SocketTransport) -> None:
        """Watch for other ``events``."""
        if transport.descriptor in self._transports:
            self._epoll.modify(transport.descriptor, transport.events or _TROUBLE_ONCE)

    def forget(self, transport: SocketTransport) -> None:
        """Watch no more."""
        if self._transports.pop(transport.descriptor, None) is not None:
            try:
                self._epoll.unregister(transport.descriptor)
            except OSError:  # somebody else has closed the socket
                pass

    def call_later(self, callback: Callable[[Any], None], argument: Any) -> None:
        """Call ``callback(argument)`` when nothing else is under way, before the loop waits."""
        if self._serving:
            self._deferred.append((callback, argument))
        else:
            self.loop.call_soon(callback, argument)

    def close(self) -> None:
        """Stop for good."""
        self._transports.clear()
        if not self._epoll.closed:
            self.loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _serve(self) -> None:
        self._serve_ready()

    def _serve_ready(self) -> None:
        """Read from the connections that have something, up to a group, and serve them.

        More are taken in the next turn of the loop, so that all else has its turn in between.
        """
        batch = self._batch
        self._serving = batch.collecting = True
        try:
            for descriptor, events in self._epoll.poll(0, GROUP):
                transport = self._transports.get(descriptor)
                if transport is not None:
                    transport.ready(events)
            batch.collecting = False
            batch.serve()
        except BaseException:  # what ends the loop; if it does not, others were read from already
            self.loop.call_soon(self._serve_batch)
            raise
        finally:
            self._serving = batch.collecting = False
            if self._deferred:
                self._call_deferred()

    def _serve_batch(self) -> None:
        self._batch.serve()

    def _call_deferred(self) -> None:
        """Do what was put off: connections that ended leave before others are accepted."""
        deferred, self._deferred = self._deferred, []
        for callback, argument in deferred:
            try:
                callback(argument)
            except Exception as exc:
                self.loop.call_exception_handler(
                    {"message": "a protocol failed at its end", "exception": exc}
                )


class LoopPoller:
    """Has the loop watch each socket by itself."""

    __slots__ = ("_watched", "loop")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self._watched: dict[int, int] = {}

    def watch(self, transport: SocketTransport) -> None:
        """Begin to watch a transport for its ``events``."""
        self._watched[transport.descriptor] = 0
        self.change(transport)

    def change(self, transport: SocketTransport) -> None:
        """Watch for other ``events``."""
        descriptor, events = transport.descriptor, transport.events
        watched = self._watched.get(descriptor)
        if watched is None:
            return
        self._watched[descriptor] = events
        if events & READABLE and not watched & READABLE:
            self.loop.add_reader(descriptor, transport.ready, READABLE)
        elif watched & READABLE and not events & READABLE:
            self.loop.remove_reader(descriptor)
        if events & WRITABLE and not watched & WRITABLE:
            self.loop.add_writer(descriptor, transport.ready, WRITABLE)
        elif watched & WRITABLE and not events & WRITABLE:
            self.loop.remove_writer(descriptor)

    def forget(self, transport: SocketTransport) -> None:
        """Watch no more."""
        if self._watched.pop(transport.descriptor, None) is not None:
            self.loop.remove_reader(transport.descriptor)
            self.loop.remove_writer(transport.descriptor)

    def call_later(self, callback: Callable[[Any], None], argument: Any) -> None:
        """Call ``callback(argument)`` in the next turn of the loop."""
        self.loop.call_soon(callback, argument)

    def close(self) -> None:
        """Stop for good."""


def make_poller(loop: AbstractEventLoop, batch: ReadBatch) -> Watcher:
    """Return the best poller that the system has."""
    return LoopPoller(loop) if _new_epoll is None else Poller(loop, batch)
