"""Where log lines go: a descriptor that is written to without ever waiting for its reader.

A pipe or terminal whose reader is slow would stop the event loop. Setting ``O_NONBLOCK`` on an
inherited descriptor is no way out: the flag belongs to the open file, which other processes and
the shell share. So a pipe or terminal is opened anew through ``/proc``, a socket is written with
``MSG_DONTWAIT``, and where neither works each piece is preceded by a poll. Regular files are
written directly.

Pieces for a pipe end with a line and fit into ``PIPE_BUF``, within which a write is atomic: the
lines of several workers do not mix.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import stat
from time import monotonic
from typing import Final

from pagi.server.errors import EXIT_CONFIGURATION, StartError

__all__ = ["BACKLOG_LIMIT", "LogSink"]

#: Bytes kept for a reader that does not keep up; lines beyond them are dropped and counted.
BACKLOG_LIMIT: Final = 1 << 20
_PIECE: Final = 1 << 16
# A log names clients, so others on the machine have no business in it.
_FILE_MODE: Final = 0o640
_NO_WAIT: Final = os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_FILE_FLAGS: Final = _NO_WAIT | os.O_APPEND | os.O_CREAT
#: After these the destination never works again; after others (a full disk) it may.
_FINAL: Final = frozenset(
    {errno.EPIPE, errno.EBADF, errno.ECONNRESET, errno.ECONNREFUSED, errno.ENOTCONN}
)

_logger = logging.getLogger("pagi.server")


class LogSink:
    """A log destination.

    Writing never raises and never waits for a reader. A broken destination is given up with one
    warning; a slow or full one loses lines, which are counted and spoken of once per lapse.

    Attributes:
        dropped: number of lines lost so far.
    """

    def __init__(self, target: int | str) -> None:
        """Open ``target``: a path (appended to), a descriptor, or ``"-"`` for standard error.

        A descriptor is duplicated: the caller keeps its own.

        Raises:
            StartError: the file cannot be opened or the descriptor is not open.
        """
        self.dropped = 0
        self._path = target if isinstance(target, str) and target != "-" else None
        self._pending = bytearray()
        self._lapse = 0
        self._descriptor = -1
        self._socket: socket.socket | None = None
        try:
            if self._path is not None:
                self._adopt(os.open(self._path, _FILE_FLAGS, _FILE_MODE))
            else:
                self._adopt_shared(2 if isinstance(target, str) else target)
        except OSError as error:
            what = self._path or f"descriptor {2 if target == '-' else target}"
            raise StartError(
                f"cannot open the access log {what}: {error.strerror};"
                " name another file with --access-log, or turn it off with --no-access-log",
                EXIT_CONFIGURATION,
            ) from None

    @property
    def usable(self) -> bool:
        """False once the destination broke or was closed."""
        return self._descriptor >= 0

    @property
    def pending(self) -> int:
        """Bytes that wait for the reader."""
        return len(self._pending)

    def _adopt_shared(self, descriptor: int) -> None:
        """Use a duplicate of ``descriptor``, or its pipe or terminal opened anew."""
        mode = os.fstat(descriptor).st_mode
        own = -1
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            own = _open_anew(descriptor)
        self._adopt(own if own >= 0 else os.dup(descriptor))

    def _adopt(self, descriptor: int) -> None:
        mode = os.fstat(descriptor).st_mode
        self._descriptor = descriptor
        self._piece = _PIECE
        self._polled = False
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=descriptor)
        elif not stat.S_ISREG(mode):
            self._piece = select.PIPE_BUF
            self._polled = os.get_blocking(descriptor)

    def write(self, data: bytes) -> None:
        """Take whole lines; write what the destination can take now and keep the rest."""
        if self._descriptor < 0:
            return
        if self._pending:
            self.drain()
        if len(self._pending) + len(data) > BACKLOG_LIMIT:
            self._lose(data, "its reader does not keep up")
            return
        self._pending += data
        self.drain()

    def drain(self) -> None:
        """Write what is pending, as far as it goes."""
        pending = self._pending
        try:
            while pending and self._descriptor >= 0:
                if self._polled and not _wait_writable(self._descriptor, 0):
                    return
                del pending[: self._send(self._next_piece())]
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        if self._lapse and self._descriptor >= 0:
            _logger.warning("access log: %d lines were dropped", self._lapse)
            self._lapse = 0

    def _send(self, piece: bytes) -> int:
        if self._socket is not None:
            return self._socket.send(piece, socket.MSG_DONTWAIT)
        return os.write(self._descriptor, piece)

    def _next_piece(self) -> bytes:
        pending = self._pending
        if len(pending) <= self._piece:
            return bytes(pending)
        end = pending.rfind(b"\n", 0, self._piece) + 1
        return bytes(pending[: end or self._piece])

    def _lose(self, data: bytes | bytearray, why: str | None) -> None:
        lines = data.count(b"\n")
        self.dropped += lines
        if not self._lapse:
            _logger.warning("access log: lines are being dropped: %s", why)
        self._lapse += lines

    def _fail(self, error: OSError) -> None:
        if error.errno in _FINAL:
            self.dropped += self._pending.count(b"\n")
            _logger.warning("access log: %s: it is off from now on", error.strerror)
            self._close()
        else:
            self._lose(self._pending, error.strerror)
        self._pending.clear()

    def reopen(self) -> None:
        """Open the path again, for a rotated log; a descriptor stays as it is.

        If that fails the old file stays in use, with a log record. A file that was given up is
        tried again.
        """
        if self._path is None:
            return
        self.drain()
        try:
            descriptor = os.open(self._path, _FILE_FLAGS, _FILE_MODE)
        except OSError as error:
            _logger.error("access log: cannot reopen %s: %s", self._path, error.strerror)
            return
        self._close()
        self._adopt(descriptor)

    def close(self, timeout: float = 1.0) -> None:
        """Write what is pending, waiting ``timeout`` seconds at most, and close.

        What cannot be written in that time is lost and counted. Closing twice does nothing.
        """
        deadline = monotonic() + timeout
        self.drain()
        while self._pending and (left := deadline - monotonic()) > 0:
            _wait_writable(self._descriptor, left)
            self.drain()
        if self._pending:
            self._lose(self._pending, "its reader does not keep up")
            self._pending.clear()
        self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        elif self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def _open_anew(descriptor: int) -> int:
    """Open the pipe or terminal of ``descriptor`` again, for flags of our own; -1 if it cannot."""
    try:
        return os.open(f"/proc/self/fd/{descriptor}", _NO_WAIT)
    except OSError:
        return -1


def _wait_writable(descriptor: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(timeout * 1000))
