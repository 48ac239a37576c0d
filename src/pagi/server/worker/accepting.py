"""Accepting connections.

The accept loop is our own on every event loop, because the loops' own lose what we need: asyncio
and uvloop close a listening socket without accepting what the kernel already holds (those clients
are reset), and differ in what they do when descriptors run out.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Acceptor", "TransportMaker", "choose_transport_maker"]

#: Makes the transport of an accepted socket and gives it the protocol.
TransportMaker = Callable[[asyncio.AbstractEventLoop, socket.socket, Any], object]

#: Accepted in one turn of the loop at most, so that a flood leaves time for the connections.
BATCH_SIZE: Final = 64
#: How long accepting pauses when descriptors or memory run out, in seconds.
PAUSE: Final = 0.1

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def choose_transport_maker(name: str) -> TransportMaker:
    """Return what makes transports: aiofastnet's where wanted and installed, or the loop's own."""
    if name in ("auto", "aiofastnet"):
        try:
            from aiofastnet.selector_transport import SelectorSocketTransport
        except ImportError:
            if name == "aiofastnet":
                raise
        else:
            return lambda loop, sock, protocol: SelectorSocketTransport(loop, sock, protocol)
    return _LoopTransports()


class _LoopTransports:
    """Makes the loop's own transports, which takes a task for each."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __call__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, protocol: Any
    ) -> object:
        task = loop.create_task(self._connect(loop, sock, protocol))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, protocol: Any
    ) -> None:
        try:
            await loop.connect_accepted_socket(lambda: protocol, sock)
        except OSError:  # the peer left while we were busy
            sock.close()


class Acceptor:
    """Accepts from one listening socket.

    Args:
        loop: the running loop.
        listener: a listening socket in non-blocking mode; it stays the caller's.
        make_protocol: makes the protocol of a connection.
        make_transport: see `choose_transport_maker`.
        logger: told once per shortage of descriptors.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        make_protocol: Callable[[], Any],
        make_transport: TransportMaker,
        logger: logging.Logger,
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._make_protocol = make_protocol
        self._make_transport = make_transport
        self._logger = logger
        self._open = False
        self._pause: asyncio.TimerHandle | None = None
        self._short = False

    def start(self) -> None:
        """Begin to accept."""
        self._open = True
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def stop(self) -> None:
        """Accept what the kernel already completed, then no more."""
        if not self._open:
            return
        self._loop.remove_reader(self._listener.fileno())
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        else:
            while self._accept_batch():
                pass
        self._open = False

    def _accept(self) -> None:
        self._accept_batch()

    def _accept_batch(self) -> bool:
        """Accept up to a batch; tell whether there may be more."""
        for _ in range(BATCH_SIZE):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                self._short = False
                return False
            except ConnectionAbortedError:
                continue
            except OSError as exc:
                if exc.errno not in _EXHAUSTED:
                    self._logger.error("accepting a connection failed: %s", exc)
                    return False
                self._wait_for_descriptors(exc)
                return False
            sock.setblocking(False)  # TCP_NODELAY is what every transport sets by itself
            self._make_transport(self._loop, sock, self._make_protocol())
        return True

    def _wait_for_descriptors(self, exc: OSError) -> None:
        """Pause: the socket would stay readable and the loop would spin."""
        if not self._short:
            self._short = True
            self._logger.warning(
                "cannot accept connections for now: %s; raise the descriptor limit "
                "(ulimit -n) or lower max_connections",
                exc.strerror,
            )
        if self._open and self._pause is None:
            self._loop.remove_reader(self._listener.fileno())
            self._pause = self._loop.call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        self._pause = None
        if self._open:
            self._loop.add_reader(self._listener.fileno(), self._accept)
