"""Moving the bytes of a regular file without blocking the loop on a disk.

``sendfile`` and ``pread`` of bytes that are in the page cache take microseconds; of bytes that
are not, they block until the disk answers. ``preadv`` with ``RWF_NOWAIT`` tells which it is, so
cached bytes are moved in place and others are first brought in by a thread.
"""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop
from typing import Any, Final

__all__ = ["PIECE_SIZE", "read_cached", "read_piece", "send_cached", "send_window"]

#: Bytes read at a time where ``sendfile`` cannot be used.
PIECE_SIZE: Final = 131_072
#: Bytes handed to one ``sendfile``: what one connection may move before others have a turn.
WINDOW_SIZE: Final = 1_048_576

_NOWAIT: Final[int] = getattr(os, "RWF_NOWAIT", 0)
_sendfile: Final[Any] = getattr(os, "sendfile", None)


def _cached(descriptor: int, offset: int) -> bool:
    """Tell whether the byte at ``offset`` can be read without waiting for a disk."""
    if not _NOWAIT:
        return True
    try:
        os.preadv(descriptor, [bytearray(1)], offset, _NOWAIT)
    except BlockingIOError:
        return False
    except OSError:  # a file system that does not know the flag
        return True
    return True


def _window_cached(descriptor: int, offset: int, count: int) -> bool:
    """Tell whether a stretch can be read without waiting: its last page, and its first if far."""
    return _cached(descriptor, offset + count - 1) and (
        count <= PIECE_SIZE or _cached(descriptor, offset)
    )


def send_cached(out: int, descriptor: int, offset: int, count: int) -> int:
    """Move up to a window of a file to a socket if no disk and no peer must be waited for.

    Returns:
        bytes moved; -1 if there is something to wait for or ``sendfile`` cannot be used here.
    """
    count = min(count, WINDOW_SIZE)
    if _sendfile is None or not _window_cached(descriptor, offset, count):
        return -1
    try:
        return int(_sendfile(out, descriptor, offset, count))
    except OSError:  # it takes nothing now; or it is lost, which the transport will notice
        return -1


def read_cached(descriptor: int, offset: int, size: int) -> bytes:
    """Read up to ``size`` bytes of a regular file if no disk must be waited for; else nothing."""
    return os.pread(descriptor, size, offset) if _window_cached(descriptor, offset, size) else b""


async def send_window(
    loop: AbstractEventLoop, out: int, descriptor: int, offset: int, count: int
) -> int:
    """Move up to a window of a file to a socket; a thread brings in what is not cached.

    Returns:
        bytes moved; 0 at the end of the file; -1 if the socket takes nothing now or ``sendfile``
        cannot be used here.
    """
    if _sendfile is None:
        return -1
    count = min(count, WINDOW_SIZE)
    if not _window_cached(descriptor, offset, count):
        await loop.run_in_executor(None, os.pread, descriptor, count, offset)
    try:
        return int(_sendfile(out, descriptor, offset, count))
    except OSError:
        return -1


async def read_piece(loop: AbstractEventLoop, descriptor: int, offset: int, size: int) -> bytes:
    """Read up to ``size`` bytes of a regular file; empty at its end."""
    if _window_cached(descriptor, offset, size):
        return os.pread(descriptor, size, offset)
    return await loop.run_in_executor(None, os.pread, descriptor, size, offset)
