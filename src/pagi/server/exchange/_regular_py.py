"""`RegularFile`: Python twin."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Final

__all__ = ["RegularFile"]

#: Opening a pipe must not wait for who writes to it.
_FLAGS: Final[int] = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class RegularFile:
    """A regular file, opened for reading.

    Args:
        path: absolute, or relative to the working directory.

    Raises:
        OSError: it cannot be opened, or is not a regular file.

    Attributes:
        descriptor: -1 after `close`.
        size: in bytes, when it was opened.
        users: how many use it now; counted by who shares it.
        kept: it is not closed when nobody uses it.
        wanted: somebody asked for it lately.
    """

    __slots__ = ("_identity", "descriptor", "kept", "size", "users", "wanted")

    def __init__(self, path: str | bytes) -> None:
        self.users = 0
        self.kept = self.wanted = False
        self.descriptor = os.open(path, _FLAGS)
        try:
            status = os.fstat(self.descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(f"not a regular file: {path!r}")
        except BaseException:
            self.close()
            raise
        self.size = status.st_size
        self._identity = _identity(status)

    def is_at(self, path: str | bytes) -> bool:
        """Tell whether opening ``path`` would give this file, unchanged since it was opened."""
        try:
            return _identity(os.stat(path)) == self._identity
        except OSError:
            return False

    def close(self) -> None:
        """Close the descriptor. What fails has no remedy."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes when the file, its content or who may read it does."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
