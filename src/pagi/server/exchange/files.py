"""File bodies: ``file=`` (a path), ``fh=`` (an open binary file), pathsend, zerocopysend.

A regular file is sent by descriptor, so that the driver may use ``sendfile``. Anything else that
can be read (a pipe, a ``BytesIO``, an object with ``read``) is read in pieces, in a thread unless
it is known not to block.
"""

from __future__ import annotations

import io
import os
import stat
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator
from typing import Any, Final

from pagi.interface.errors import MessageError
from pagi.server.config.settings import Flow

__all__ = ["FileBody", "open_body"]

PIECE_SIZE: Final = 65_536


class FileBody:
    """An opened source of body bytes.

    Attributes:
        descriptor: of a regular file, or ``None`` if the source must be read in pieces.
        offset: where to begin, in bytes.
        size: bytes to send, or ``None`` if only reading will tell.
    """

    __slots__ = ("_handle", "_owned", "descriptor", "offset", "size")

    def __init__(
        self, descriptor: int | None, offset: int, size: int | None, handle: Any, owned: bool
    ) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.size = size
        self._handle = handle
        self._owned = owned

    def close(self) -> None:
        """Close what was opened here; a handle or descriptor of the application stays open."""
        if self._owned and self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    async def pieces(self, loop: AbstractEventLoop) -> AsyncIterator[bytes]:
        """Read the source to its end or to ``size`` bytes."""
        handle, left = self._handle, self.size
        inline = isinstance(handle, io.BytesIO)
        while left is None or left > 0:
            wanted = PIECE_SIZE if left is None else min(PIECE_SIZE, left)
            if inline:
                data = handle.read(wanted)
            else:
                data = await loop.run_in_executor(None, handle.read, wanted)
            if not data:
                if left:
                    raise OSError(f"the file ended {left} bytes early")
                return
            if left is not None:
                left -= len(data)
            yield bytes(data)


def open_body(source: Any, offset: Any, length: Any, flow: Flow) -> FileBody:
    """Open a file body.

    Args:
        source: a path, a file descriptor, or an object with ``read``.
        offset: bytes to skip; ``None`` is 0, or for a handle its current position.
        length: bytes to send at most; ``None`` is to the end.
        flow: bounds of the flow of bodies.

    Raises:
        MessageError: the arguments have the wrong shape.
        OSError: the file cannot be opened or sought.
    """
    for name, value in (("offset", offset), ("length", length)):
        if value is not None and (type(value) is not int or value < 0):
            raise MessageError(f"{name!r} must be a non-negative int; got {value!r}")
    if isinstance(source, (str, bytes, os.PathLike)):
        return _open_path(source, offset or 0, length)
    if isinstance(source, int) and not isinstance(source, bool):
        return _from_descriptor(source, source, offset, length)
    if hasattr(source, "read"):
        try:
            descriptor = source.fileno()
        except (AttributeError, OSError, ValueError):
            descriptor = None
        if descriptor is not None and stat.S_ISREG(os.fstat(descriptor).st_mode):
            position = offset if offset is not None else source.tell()
            return _from_descriptor(descriptor, source, position, length)
        return _from_handle(source, offset, length)
    raise MessageError(f"a file body needs a path or an open binary file; got {source!r}")


def _open_path(path: Any, offset: int, length: int | None) -> FileBody:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"not a regular file: {os.fspath(path)!r}")
    except BaseException:
        os.close(descriptor)
        raise
    return FileBody(descriptor, offset, _span(status.st_size, offset, length), None, True)


def _from_descriptor(
    descriptor: int, handle: Any, offset: int | None, length: int | None
) -> FileBody:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        reader = os.fdopen(descriptor, "rb", buffering=0, closefd=False)
        return _from_handle(reader, offset, length)
    if offset is None:
        offset = os.lseek(descriptor, 0, os.SEEK_CUR)
    return FileBody(descriptor, offset, _span(status.st_size, offset, length), handle, False)


def _from_handle(handle: Any, offset: int | None, length: int | None) -> FileBody:
    if offset is not None:
        handle.seek(offset)
    size = length
    if isinstance(handle, io.BytesIO):
        size = _span(handle.getbuffer().nbytes, handle.tell(), length)
    return FileBody(None, 0, size, handle, False)


def _span(size: int, offset: int, length: int | None) -> int:
    """Return how many bytes of a file of ``size`` are sent; none from beyond its end."""
    available = max(0, size - offset)
    return available if length is None else min(length, available)
