"""What the system is asked for each request: Python twin."""

from __future__ import annotations

import os
import socket as _socket
from socket import socket
from typing import Any, Final

__all__ = [
    "MAX_PIECES",
    "is_cached",
    "move_file",
    "receive",
    "take_bytes",
    "transmit",
    "transmit_pieces",
]

#: Pieces given to the system in one call; IOV_MAX is 1024 on Linux, and 16 at least anywhere.
MAX_PIECES: Final = 16

#: A peer that has gone is an error of the call, whatever SIGPIPE does.
_NO_SIGNAL: Final[int] = getattr(_socket, "MSG_NOSIGNAL", 0)
_MORE: Final[int] = getattr(_socket, "MSG_MORE", 0)
_NOWAIT: Final[int] = getattr(os, "RWF_NOWAIT", 0)
_NEAR: Final = 131_072
_sendfile: Final[Any] = getattr(os, "sendfile", None)


def take_bytes(buffer: bytearray, size: int) -> bytes:
    """Return the first ``size`` bytes of ``buffer``, copied once."""
    return bytes(memoryview(buffer)[:size])


def receive(sock: socket, descriptor: int, buffer: bytearray) -> bytes | None:
    """Return what a non-blocking socket has, at most as much as ``buffer`` holds.

    ``None`` if it has nothing now, empty at the end of the peer's bytes. Raises `OSError`.
    """
    try:
        return sock.recv(len(buffer))
    except BlockingIOError:
        return None


def transmit(sock: socket, descriptor: int, data: bytes, more: bool) -> int:
    """Give a non-blocking socket bytes; return how many it took. Raises `OSError`.

    ``more`` says that more follows at once: they may wait for it, to share a segment (Linux).
    """
    try:
        return sock.send(data, _NO_SIGNAL | _MORE if more else _NO_SIGNAL)
    except BlockingIOError:
        return 0


def transmit_pieces(sock: socket, descriptor: int, pieces: list[Any]) -> int:
    """Give a non-blocking socket up to `MAX_PIECES` bytes-like pieces in one call.

    Returns how many bytes it took. Raises `OSError`.
    """
    try:
        return sock.sendmsg(pieces[:MAX_PIECES], (), _NO_SIGNAL)
    except BlockingIOError:
        return 0


def is_cached(descriptor: int, offset: int, count: int) -> bool:
    """Tell whether a stretch of a file can be read without waiting for a disk.

    Its last page speaks for all; of a long one the first must be there too. Where the system
    cannot tell it is taken to be.
    """
    return _is_cached_at(descriptor, offset + count - 1) and (
        count <= _NEAR or _is_cached_at(descriptor, offset)
    )


def _is_cached_at(descriptor: int, offset: int) -> bool:
    if not _NOWAIT:
        return True
    try:
        os.preadv(descriptor, [bytearray(1)], offset, _NOWAIT)
    except BlockingIOError:
        return False
    except OSError:  # a file system that does not know the flag
        return True
    return True


def move_file(out: int, descriptor: int, offset: int, count: int) -> int:
    """Give a non-blocking socket bytes of a file.

    Returns:
        how many it took, 0 at the end of the file; -1 if it takes nothing now, if it is lost,
        which the transport will notice, or if the system has no ``sendfile``.
    """
    if _sendfile is None:
        return -1
    try:
        return int(_sendfile(out, descriptor, offset, count))
    except OSError:
        return -1
