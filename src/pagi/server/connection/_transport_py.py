"""`SocketTransport`: asyncio's transport for a plain stream socket.

One source, two builds: compiled as ``_transport_c`` (see ``_transport_c.pxd``).

It has the methods of `asyncio.Transport` and calls a protocol's methods as asyncio does. It exists
because of what the loops' own transports, and aiofastnet's, cost: kilobytes of memory while the
connection is idle, and a callback of the loop for each thing that happens. Reading is up to a
`Poller`, which reads from many connections in one callback.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from pagi.server.connection.readiness import READABLE, TROUBLE, WRITABLE
from pagi.server.connection.syscalls import receive, transmit

if TYPE_CHECKING:
    from pagi.server.connection.readiness import Watcher

__all__ = ["SocketTransport"]

#: Pieces given to the system in one call; IOV_MAX is 1024 on Linux, and 16 at least anywhere.
_MAX_PIECES: Final = 16


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
        "_eof_due",
        "_high",
        "_lost",
        "_low",
        "_paused",
        "_poller",
        "_protocol",
        "_reading",
        "_sock",
        "descriptor",
        "events",
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
        self._high = 65_536
        self._low = 16_384
        self._paused = False  # the protocol was asked to pause writing
        self._reading = True
        self._ended = False  # the peer sends no more
        self._eof_due = False
        self._closing = False
        self._lost = False
        self.descriptor = sock.fileno()
        self.events = READABLE  # what the poller watches for

    def open(self) -> None:
        """Tell the protocol and begin to read."""
        self._protocol.connection_made(self)
        if not self._lost:
            self._poller.watch(self)

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
            if events & WRITABLE and self._backlog is not None:
                self._write_backlog()
            if self._lost:
                return
            if self._reading:
                if events != WRITABLE:
                    self._read()
            elif events & TROUBLE:
                # Nobody reads, so nothing else would tell: the peer has reset the connection.
                self._lose(ConnectionResetError("connection reset by peer"))
        except Exception as exc:
            self._poller.loop.call_exception_handler(
                {"message": "a protocol failed", "exception": exc, "transport": self}
            )
            self.abort()

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
            self._watch()
            if not self._protocol.eof_received():
                self.close()

    def is_reading(self) -> bool:
        """Whether bytes of the peer are taken."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Leave what the peer sends in the system, which makes the peer wait."""
        if self._reading and not self._closing:
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
        """Send ``data``, now as much as the system takes and the rest when it can."""
        if self._lost or not data:
            return
        sent = 0
        if self._backlog is None:
            try:
                sent = transmit(self._sock, self.descriptor, data)
            except OSError as exc:
                self._lose(exc)
                return
            if sent == len(data):
                return
        self._keep(data, sent)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Send several pieces, in as few calls of the system as it takes."""
        if self._lost:
            return
        if self._backlog is None:
            self._backlog = deque()
            for data in pieces:
                if data:
                    self._backlog.append(data)
                    self._backlog_size += len(data)
            if self._write_some() and self._backlog is not None:
                self._watch()
                self._crossed_high()
        else:
            for data in pieces:
                self.write(data)

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
            self._protocol.pause_writing()

    def _write_some(self) -> bool:
        """Give the system pieces of the backlog; tell whether the connection lives."""
        backlog = self._backlog
        try:
            while backlog:
                pieces = list(islice(backlog, _MAX_PIECES))
                offered = sum(map(len, pieces))
                sent = self._sock.sendmsg(pieces)
                self._backlog_size -= sent
                whole = sent == offered
                while pieces and sent >= len(pieces[0]):
                    sent -= len(pieces[0])
                    del pieces[0]
                    backlog.popleft()
                if sent:
                    backlog[0] = memoryview(pieces[0])[sent:]
                if not whole:
                    return True
        except BlockingIOError:
            return True
        except OSError as exc:
            self._lose(exc)
            return False
        self._backlog = None
        return True

    def _write_backlog(self) -> None:
        if not self._write_some():
            return
        if self._paused and self._backlog_size <= self._low:
            self._paused = False
            self._protocol.resume_writing()
        if self._backlog is None and not self._lost:
            if self._closing:
                self._lose(None)
            elif self._eof_due:
                self._shut_down_writing()
        self._watch()

    def can_write_eof(self) -> bool:
        """A socket can be closed for sending alone."""
        return True

    def write_eof(self) -> None:
        """Close the sending side once everything is sent. Raises `OSError` if the peer has gone."""
        if self._lost or self._eof_due:
            return
        self._eof_due = True
        if self._backlog is None:
            self._shut_down_writing()

    def _shut_down_writing(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def get_write_buffer_size(self) -> int:
        """Bytes that the system has not taken yet."""
        return self._backlog_size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark in bytes."""
        return (self._low, self._high)

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        """Set the water marks: above ``high`` bytes the protocol pauses, at ``low`` it resumes."""
        self._high = high
        self._low = low
        self._crossed_high()
        if self._paused and self._backlog_size <= low:
            self._paused = False
            self._protocol.resume_writing()

    # ------------------------------------------------------------- the end

    def is_closing(self) -> bool:
        """Whether the transport was closed or lost."""
        return self._closing or self._lost

    def close(self) -> None:
        """Read no more, and close when everything is sent."""
        if self._closing or self._lost:
            return
        self._closing = True
        self._reading = False
        if self._backlog is None:
            self._lose(None)
        else:
            self._watch()

    def abort(self) -> None:
        """Close now and drop what is not sent."""
        self._lose(None)

    def _lose(self, exc: Exception | None) -> None:
        """Give the connection up; the protocol learns of it in the next turn of the loop."""
        if not self._lost:
            self._lost = True
            self._backlog = None
            self._backlog_size = 0
            self._poller.forget(self)
            self._poller.loop.call_soon(self._end, exc)

    def _end(self, exc: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        try:
            protocol.connection_lost(exc)
        finally:
            self._sock.close()
