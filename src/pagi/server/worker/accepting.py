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

from pagi.server.worker.transports import Transports

__all__ = ["Acceptor"]

#: Accepted in one turn of the loop at most, so that a flood leaves time for the connections.
BATCH_SIZE: Final = 64
#: How long accepting pauses when descriptors or memory run out, in seconds.
PAUSE: Final = 0.1

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
#: The fault of one connection, which is gone then: accept(2) hands on what the network said.
_ITS_OWN: Final = frozenset(
    {
        errno.ECONNABORTED,
        errno.EPROTO,
        errno.ENOPROTOOPT,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ETIMEDOUT,
    }
)


class Acceptor:
    """Accepts from one listening socket.

    Args:
        loop: the running loop.
        listener: a listening socket in non-blocking mode; it stays the caller's.
        make_protocol: makes the protocol of a connection.
        transports: makes the transport of an accepted socket.
        logger: told once per shortage of descriptors, and of any other fault that lasts.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        make_protocol: Callable[[], Any],
        transports: Transports,
        logger: logging.Logger,
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._make_protocol = make_protocol
        self._transports = transports
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
        self._open = False
        self._loop.remove_reader(self._listener.fileno())
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        else:
            while self._accept_batch():
                pass

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
            except OSError as exc:
                if exc.errno in _ITS_OWN:
                    continue
                self._wait(exc)
                return False
            sock.setblocking(False)
            try:
                self._transports.make(sock, self._make_protocol())
            except OSError:  # the peer left meanwhile
                sock.close()
        return True

    def _wait(self, exc: OSError) -> None:
        """Pause: the socket would stay readable and the loop would spin."""
        if not self._short:
            self._short = True
            if exc.errno in _EXHAUSTED:
                self._logger.warning(
                    "cannot accept connections for now: %s; raise the descriptor limit "
                    "(ulimit -n) or lower max_connections",
                    exc.strerror,
                )
            else:
                self._logger.error("accepting a connection failed: %s", exc)
        if self._open and self._pause is None:
            self._loop.remove_reader(self._listener.fileno())
            self._pause = self._loop.call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        self._pause = None
        if self._open:
            self._loop.add_reader(self._listener.fileno(), self._accept)
