"""Moving the bytes of a regular file without blocking the loop on a disk.

``sendfile`` and ``pread`` of bytes that are in the page cache take microseconds; of bytes that
are not, they block until the disk answers. So cached bytes are moved in place and others are
first brought in by a thread.
"""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop
from typing import Final

from pagi.server.connection.syscalls import is_cached, move_file

__all__ = ["PIECE_SIZE", "WINDOW_SIZE", "read_cached", "read_piece", "send_window"]

#: Bytes read at a time where ``sendfile`` cannot be used.
PIECE_SIZE: Final = 131_072
#: Bytes handed to one ``sendfile``: what one connection may move before others have a turn.
WINDOW_SIZE: Final = 1_048_576


def read_cached(descriptor: int, offset: int, size: int) -> bytes:
    """Read up to ``size`` bytes of a regular file if no disk must be waited for; else nothing."""
    return os.pread(descriptor, size, offset) if is_cached(descriptor, offset, size) else b""


async def send_window(
    loop: AbstractEventLoop, out: int, descriptor: int, offset: int, count: int
) -> int:
    """Move up to a window of a file to a socket; a thread brings in what is not cached.

    Returns:
        bytes moved; 0 at the end of the file; -1 if the socket takes nothing now or ``sendfile``
        cannot be used here.
    """
    count = min(count, WINDOW_SIZE)
    if not is_cached(descriptor, offset, count):
        await loop.run_in_executor(None, os.pread, descriptor, count, offset)
    return move_file(out, descriptor, offset, count)


async def read_piece(loop: AbstractEventLoop, descriptor: int, offset: int, size: int) -> bytes:
    """Read up to ``size`` bytes of a regular file; empty at its end."""
    if is_cached(descriptor, offset, size):
        return os.pread(descriptor, size, offset)
    return await loop.run_in_executor(None, os.pread, descriptor, size, offset)
