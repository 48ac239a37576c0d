"""`Opening`: a connection that has no driver yet.

Something comes first: a TLS handshake, or the header of the PROXY protocol. It is one of the
worker's connections from the accept on: it has a deadline, and a stop waits for it. There are no
more of them than connections may be: beyond that the oldest is given up, because honest peers are
done in less time than it takes to open so many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pagi.server.connection.driver import RESOLUTION

if TYPE_CHECKING:
    import asyncio
    import socket

    from pagi.server.connection.context import ConnectionContext

__all__ = ["Opening", "WatchedSocket", "peer_text", "read_up"]

#: How long, during a stop, a peer may take to say something, or to complete what it began, in
#: seconds.
_STOP_GRACE: Final = 1.0


class Opening:
    """What all openings have in common: deadline, number and end.

    Args:
        context: of the connection.
        timeout: from now on, in seconds.
    """

    #: What is waited for, for the log.
    _awaited = "the beginning"

    def __init__(self, context: ConnectionContext, timeout: float | None) -> None:
        self._context = context
        self._timeout = timeout
        self._since = context.clock.now
        self._stopping_since = 0.0
        context.connections.add(self)
        context.openings[self] = None

    def _make_room(self) -> None:
        """Give up the oldest opening if there are too many."""
        openings = self._context.openings
        if len(openings) > self._context.max_connections:
            oldest: Opening = next(iter(openings))
            del openings[oldest]
            self._context.logger.debug(
                "%s: too many wait for %s at a time", oldest._address(), oldest._awaited
            )
            oldest.abort("client_timeout")

    def _address(self) -> str:
        """Return that of the peer, for the log."""
        return "-"

    # ------------------------------------------------------------- what the worker calls

    def on_tick(self, now: float) -> None:
        """Compare the deadlines with ``now``."""
        since = self._stopping_since
        if self._timeout is not None and now - self._since >= self._timeout + RESOLUTION:
            self._context.logger.debug("%s: %s takes too long", self._address(), self._awaited)
            self.abort("client_timeout")
        elif since and now - since >= _STOP_GRACE + RESOLUTION:
            self.abort("client_timeout")

    def expect_stop(self) -> None:
        """A stop begins."""
        self._stopping_since = self._context.clock.now

    def shut_down(self) -> None:
        """What is under way may end, and be followed by one request."""

    def abort(self, reason: str) -> None:
        """Give the connection up."""

    # ------------------------------------------------------------- ends

    def _leave(self) -> None:
        """The connection goes on as something else."""
        self._context.connections.discard(self)
        self._context.openings.pop(self, None)

    def _gone(self) -> None:
        """There is no connection any more, and there has been no driver."""
        self._leave()
        if self._context.closed is not None:
            self._context.closed()


class WatchedSocket(Opening):
    """An opening that looks at a socket which has no transport yet; subclasses say what for."""

    _loop: asyncio.AbstractEventLoop
    _sock: socket.socket | None
    _watching = False

    def _look(self) -> None:
        """Look at what has come."""

    def _watch(self) -> None:
        """Look again when something comes."""
        if not self._watching and self._sock is not None:
            self._watching = True
            self._loop.add_reader(self._sock.fileno(), self._look)

    def _stop_watching(self) -> None:
        if self._watching and self._sock is not None:
            self._watching = False
            self._loop.remove_reader(self._sock.fileno())

    def _address(self) -> str:
        """See `Opening`."""
        return "-" if self._sock is None else peer_text(self._sock)

    def _end(self) -> None:
        """Close the socket, unless it is somebody else's by now."""
        self._stop_watching()
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()
            self._gone()


def read_up(sock: socket.socket) -> None:
    """Throw away what is there: unread, it would turn the end into a reset."""
    try:
        while sock.recv(65_536):
            pass
    except OSError:
        pass


def peer_text(sock: socket.socket) -> str:
    """Return the address of the peer for the log."""
    try:
        name = sock.getpeername()
    except OSError:
        return "-"
    return name[0] if isinstance(name, tuple) else "unix"
