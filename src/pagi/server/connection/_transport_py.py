"""`SocketTransport`: asyncio's transport for a plain stream socket.

One source, two builds: compiled as ``_transport_c`` (see ``_transport_c.pxd``).

It has the methods of `asyncio.Transport` and calls a protocol's methods as asyncio does. It exists
because of what the loops' own transports, and aiofastnet's, cost: kilobytes of memory while the
connection is idle, and a callback of the loop for each thing that happens. Reading is up to a
`Poller`, which reads from many connections in one callback.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from pagi.server.connection.readiness import READABLE, TROUBLE, WRITABLE
from pagi.server.connection.syscalls import MAX_PIECES, receive, transmit, transmit_pieces

if TYPE_CHECKING:
    from pagi.server.connection.readiness import Watcher

__all__ = ["SocketTransport", "send_at_once"]

_HIGH: Final = 65_536
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)


def send_at_once(sock: socket.socket) -> None:
    """Do not hold small segments back until others are acknowledged.

    asyncio and aiofastnet do so only for sockets made with the number of TCP, not with 0.
    """
    if sock.family in _INTERNET:
        with suppress(OSError):  # BSD's fails when the peer has gone
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class SocketTransport:
    """One connected, non-blocking socket. `open` tells the protocol and begins to read.

    Args:
        poller: tells when the socket is ready.
        sock: the transport closes it.
        protocol: with asyncio's callbacks.
        buffer: what is read into; it may be shared by all transports of a loop.
    """

    __slots__ = (
        "_backlog",
        "_backlog_size",
        "_buffer",
        "_closing",
        "_ended",
        "_eof_sent",
        "_high",
        "_lost",
        "_low",
        "_paused",
        "_poller",
        "_protocol",
        "_reading",
        "_sealed",
        "_sock",
        "descriptor",
        "events",
        "more_follows",
    )

    def __init__(
        self,
        poller: Watcher,
        sock: socket.socket,
        protocol: Any,
        buffer: bytearray,
    ) -> None:
        self._poller = poller
        self._sock = sock
        self._protocol = protocol
        self._buffer = buffer
        self._backlog: Any = None  # what the system has not taken yet
        self._backlog_size = 0
        self._high = _HIGH
        self._low = _HIGH // 4
        self._paused = False  # the protocol was asked to pause writing
        self._reading = True
        self._ended = False  # the peer sends no more
        self._eof_sent = False
        self._sealed = False  # no more is taken to be sent
        self._closing = False  # also true of a lost one
        self._lost = False
        self.descriptor = sock.fileno()
        self.events = READABLE  # what the poller watches for
        self.more_follows = False  # what is written may wait a moment for more

    def open(self) -> None:
        """Tell the protocol and begin to read. Never raises an `Exception`."""
        try:
            send_at_once(self._sock)
            self._protocol.connection_made(self)
            if not self._lost:
                self._poller.watch(self)
        except Exception as exc:
            self.fail(exc)

    def get_protocol(self) -> Any:
        """Return the protocol; ``None`` after it learned of the end."""
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        """Call another protocol from now on."""
        self._protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return ``socket``, ``peername`` or ``sockname``; ``default`` for all else."""
        if name == "socket":
            return self._sock
        try:
            if name == "peername":
                return self._sock.getpeername()
            if name == "sockname":
                return self._sock.getsockname()
        except OSError:  # the peer has gone
            pass
        return default

    # ------------------------------------------------------------- reading

    def ready(self, events: int) -> None:
        """Do what the socket is ready for; called by the poller. Never raises an `Exception`."""
        try:
            if self._reading:
                if events != WRITABLE:
                    self._read()
            elif events & TROUBLE and self._backlog is None:
                self._look()
            # Last, because it may find the connection lost, with what could still be read.
            if self._backlog is not None and events & (WRITABLE | TROUBLE):
                self._write_backlog()
        except Exception as exc:
            self.fail(exc)

    def _read(self) -> None:
        try:
            data = receive(self._sock, self.descriptor, self._buffer)
        except OSError as exc:
            self._lose(exc)
            return
        if data:
            self._protocol.data_received(data)
        elif data is not None:
            self._ended = True
            self._reading = False
            if self._protocol.eof_received():
                self._watch()
            else:
                self.close()

    def _look(self) -> None:
        """Find out what happened while nobody reads.

        What the peer sent before it went is kept until somebody does. If nothing is left, the
        protocol learns at once that the peer has gone.
        """
        try:
            if self._lost or self._sock.recv(1, socket.MSG_PEEK):
                return
            code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code and not self._eof_sent:
                code = errno.ECONNRESET
            if code:
                self._lose(OSError(code, os.strerror(code)))
        except BlockingIOError:
            pass
        except OSError as exc:
            self._lose(exc)

    def fail(self, exc: Exception) -> None:
        """Give the connection up because a callback of the protocol failed."""
        self._report(exc)
        self._lose(exc)

    def _report(self, exc: Exception) -> None:
        self._poller.loop.call_exception_handler(
            {
                "message": "a protocol failed",
                "exception": exc,
                "transport": self,
                "protocol": self._protocol,
            }
        )

    def is_reading(self) -> bool:
        """Whether bytes of the peer are taken."""
        return self._reading

    def pause_reading(self) -> None:
        """Leave what the peer sends in the system, which makes the peer wait."""
        if self._reading:
            self._reading = False
            self._watch()

    def resume_reading(self) -> None:
        """Read again."""
        if not self._reading and not self._closing and not self._ended:
            self._reading = True
            self._watch()

    def _watch(self) -> None:
        """Tell the poller what to watch for."""
        events = (READABLE if self._reading else 0) | (WRITABLE if self._backlog is not None else 0)
        if events != self.events and not self._lost:
            self.events = events
            self._poller.change(self)

    # ------------------------------------------------------------- writing

    def write(self, data: bytes) -> None:
        """Send ``data``, now as much as the system takes and the rest when it can.

        A closed or lost transport ignores it. Raises `RuntimeError` after `write_eof`.
        """
        if self._sealed or not data:
            if self._sealed:
                self._refuse()
            return
        sent = 0
        if self._backlog is None:
            try:
                sent = transmit(self._sock, self.descriptor, data, self.more_follows)
            except OSError as exc:
                self._lose(exc)
                return
            if sent == len(data):
                return
        self._keep(data, sent)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Send several pieces, in as few calls of the system as it takes. As for `write`."""
        if self._sealed:
            self._refuse()
        elif self._backlog is not None:
            for data in pieces:
                self.write(data)
        else:
            kept = [data for data in pieces if data]
            self._backlog_size = sum(map(len, kept))
            self._backlog = deque(kept)
            if self._write_some() and self._backlog is not None:
                self._watch()
                self._crossed_high()

    def _refuse(self) -> None:
        if not self._closing:
            raise RuntimeError("a write after write_eof")

    def _keep(self, data: bytes, sent: int) -> None:
        """Keep ``data`` from ``sent`` on for later."""
        if self._backlog is None:
            self._backlog = deque()
        self._backlog.append(memoryview(data)[sent:] if sent else data)
        self._backlog_size += len(data) - sent
        self._watch()
        self._crossed_high()

    def _crossed_high(self) -> None:
        if self._backlog_size > self._high and not self._paused:
            self._paused = True
            try:
                self._protocol.pause_writing()
            except Exception as exc:  # the writer is not to blame
                self._report(exc)

    def _crossed_low(self) -> None:
        if self._paused and self._backlog_size <= self._low:
            self._paused = False
            try:
                self._protocol.resume_writing()
            except Exception as exc:
                self._report(exc)

    def _write_some(self) -> bool:
        """Give the system pieces of the backlog; tell whether the connection lives."""
        backlog = self._backlog
        while backlog:
            pieces = list(islice(backlog, MAX_PIECES))
            try:
                sent = transmit_pieces(self._sock, self.descriptor, pieces)
            except OSError as exc:
                self._lose(exc)
                return False
            self._backlog_size -= sent
            for data in pieces:
                if sent < len(data):
                    if sent:
                        backlog[0] = memoryview(data)[sent:]
                    return True
                sent -= len(data)
                backlog.popleft()
        self._backlog = None
        return True

    def _write_backlog(self) -> None:
        if not self._write_some():
            return
        self._crossed_low()
        if self._backlog is None and not self._lost:
            if self._closing:
                self._lose(None)
            elif self._sealed and not self._eof_sent:
                try:
                    self._shut_down_writing()
                except OSError as exc:  # the peer has gone
                    self._lose(exc)
        self._watch()

    def can_write_eof(self) -> bool:
        """A socket can be closed for sending alone."""
        return True

    def write_eof(self) -> None:
        """Close the sending side once everything is sent. Raises `OSError` if the peer has gone."""
        if not self._sealed:
            self._sealed = True
            if self._backlog is None:
                self._shut_down_writing()

    def _shut_down_writing(self) -> None:
        self._eof_sent = True
        self._sock.shutdown(socket.SHUT_WR)

    def get_write_buffer_size(self) -> int:
        """Bytes that the system has not taken yet."""
        return self._backlog_size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark in bytes."""
        return (self._low, self._high)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks: above ``high`` bytes the protocol pauses, at ``low`` it resumes.

        It is told at once if what is buffered demands it. By default ``low`` is a quarter of
        ``high``, and ``high`` is 64 KiB. Raises `ValueError` unless ``high`` >= ``low`` >= 0.
        """
        if high is None:
            high = _HIGH if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"water marks must be high >= low >= 0, not {high!r} and {low!r}")
        self._high = high
        self._low = low
        self._crossed_high()
        self._crossed_low()

    # ------------------------------------------------------------- the end

    def is_closing(self) -> bool:
        """Whether the transport was closed or lost."""
        return self._closing

    def close(self) -> None:
        """Read no more, and close when everything is sent."""
        if self._closing:
            return
        self._closing = self._sealed = True
        self._reading = False
        if self._backlog is None:
            self._lose(None)
        else:
            self._watch()

    def abort(self) -> None:
        """Close now and drop what is not sent."""
        self._lose(None)

    def _lose(self, exc: Exception | None) -> None:
        """Give the connection up; the protocol learns of it when nothing else is under way."""
        if not self._lost:
            self._lost = self._closing = self._sealed = True
            self._reading = self._paused = False
            self._backlog = None
            self._backlog_size = 0
            self._poller.forget(self)
            self._poller.call_later(self._end, exc)

    def _end(self, exc: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        try:
            protocol.connection_lost(exc)
        finally:
            self._sock.close()
