"""File bodies: ``file=`` (a path), ``fh=`` (an open binary file), pathsend, zerocopysend.

One source, two builds: compiled as ``_files_c`` (see ``_files_c.pxd``).

A regular file is sent by descriptor, so that the driver may use ``sendfile``. Anything else that
can be read (a pipe, a ``BytesIO``, an object with ``read``) is read in pieces, in a thread unless
it is known not to block.
"""

from __future__ import annotations

import io
import os
import stat
from asyncio import AbstractEventLoop
from typing import Any, Final

from pagi.interface.errors import MessageError
from pagi.server.exchange.opening import OpenFiles
from pagi.server.exchange.regular import RegularFile

__all__ = ["PIECE_SIZE", "FileBody", "open_body"]

PIECE_SIZE: Final = 65_536


class FileBody:
    """An opened source of body bytes.

    Attributes:
        descriptor: of a regular file, or ``None`` if the source must be read in pieces.
        offset: where to begin, in bytes.
        size: bytes to send, or ``None`` if only reading will tell.
    """

    __slots__ = (
        "_files",
        "_handle",
        "_limit",
        "_opened",
        "_positioned",
        "descriptor",
        "offset",
        "size",
    )

    def __init__(
        self,
        descriptor: int | None,
        offset: int,
        size: int | None,
        handle: Any = None,
        limit: int | None = None,
    ) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.size = size
        self._handle = handle
        self._limit = limit  # of what is read
        self._positioned = False  # what is sent moves the position of the handle
        self._opened: RegularFile | None = None  # one of these:
        self._files: OpenFiles | None = None

    def advance(self, count: int) -> None:
        """Go past ``count`` bytes that were sent; a source that began at its position moves it."""
        self.offset += count
        if self.size is not None:
            self.size -= count
        if not self._positioned:
            return
        if isinstance(self._handle, int):
            os.lseek(self._handle, self.offset, os.SEEK_SET)
        else:
            self._handle.seek(self.offset)

    def close(self) -> None:
        """Close what was opened here; a handle or descriptor of the application stays open."""
        if self._opened is not None and self._files is not None:
            self._files.give_back(self._opened)
            self._opened = self.descriptor = None

    async def read(self, loop: AbstractEventLoop) -> bytes:
        """Read the next piece; empty at the end, or at the bound that the application gave."""
        wanted = PIECE_SIZE if self._limit is None else min(PIECE_SIZE, self._limit)
        if wanted <= 0:
            return b""
        if isinstance(self._handle, io.BytesIO):
            data = self._handle.read(wanted)
        else:
            data = await loop.run_in_executor(None, self._handle.read, wanted)
        if data is None:
            raise BlockingIOError("a file body needs a file in blocking mode")
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise MessageError(f"a file body needs read() to return bytes; got {data!r:.40}")
        if self._limit is not None:
            self._limit -= len(data)
        return bytes(data)


def open_body(files: OpenFiles, source: Any, offset: Any, length: Any) -> FileBody:
    """Open a file body.

    Args:
        files: opens what is given by its path.
        source: a path, a file descriptor, or an object with ``read``.
        offset: bytes to skip; ``None`` is 0, or for a handle its current position.
        length: bytes to send at most; ``None`` is to the end.

    Raises:
        MessageError: the arguments have the wrong shape.
        OSError: the file cannot be opened or sought.
    """
    if offset is not None:
        _check_count("offset", offset)
    if length is not None:
        _check_count("length", length)
    if isinstance(source, (str, bytes, os.PathLike)):
        return _open_path(files, source, offset, length)
    if isinstance(source, int) and not isinstance(source, bool):
        return _from_descriptor(source, offset, length)
    if hasattr(source, "read"):
        return _from_handle(source, offset, length)
    raise MessageError(f"a file body needs a path or an open binary file; got {source!r}")


def _check_count(name: str, value: Any) -> None:
    if type(value) is not int or value < 0:
        raise MessageError(f"{name!r} must be a non-negative int; got {value!r}")


def _open_path(files: OpenFiles, path: Any, offset: int | None, length: int | None) -> FileBody:
    file = files.take(path)
    start = offset or 0
    body = FileBody(file.descriptor, start, _span(file.size, start, length))
    body._opened = file
    body._files = files
    return body


def _from_descriptor(descriptor: int, offset: int | None, length: int | None) -> FileBody:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        reader = os.fdopen(descriptor, "rb", buffering=0, closefd=False)
        return _from_handle(reader, offset, length)
    start = os.lseek(descriptor, 0, os.SEEK_CUR) if offset is None else offset
    size = _span(status.st_size, start, length)
    body = FileBody(descriptor, start, size, descriptor)
    body._positioned = offset is None
    return body


def _from_handle(handle: Any, offset: int | None, length: int | None) -> FileBody:
    descriptor = _plain_descriptor(handle)
    if descriptor is not None:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            start = handle.tell() if offset is None else offset
            size = _span(status.st_size, start, length)
            body = FileBody(descriptor, start, size, handle)
            body._positioned = offset is None
            return body
    if offset is not None:
        if not hasattr(handle, "seek"):
            raise MessageError("'offset' needs a file that can be sought")
        handle.seek(offset)
    if isinstance(handle, io.BytesIO):
        size = _span(handle.getbuffer().nbytes, handle.tell(), length)
        return FileBody(None, 0, size, handle, size)
    return FileBody(None, 0, None, handle, length)


def _plain_descriptor(handle: Any) -> int | None:
    """Return the descriptor behind a file object, if reading it gives what ``read`` would.

    A `gzip.GzipFile` has a descriptor too, but what is behind it are other bytes.
    """
    file = getattr(handle, "file", handle)  # tempfile wraps its files
    raw = getattr(file, "raw", file)
    if not isinstance(raw, io.FileIO) or raw.closed:
        return None
    if isinstance(file, io.BufferedRandom):
        file.flush()
    return raw.fileno()


def _span(size: int, offset: int, length: int | None) -> int:
    """Return how many bytes of a file of ``size`` are sent; none from beyond its end."""
    available = max(0, size - offset)
    return available if length is None else min(length, available)
