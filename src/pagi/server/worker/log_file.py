"""`LogFile`: the server log in a file, which may be renamed meanwhile."""

from __future__ import annotations

import logging
import os
from typing import Final

from pagi.server.errors import EXIT_CONFIGURATION, StartError

__all__ = ["LogFile", "reopen_log_file"]

#: A log names clients, so others on the machine have no business in it.
_MODE: Final = 0o640
_FLAGS: Final = (
    os.O_WRONLY
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
)


class LogFile(logging.Handler):
    """Appends records to a file; those of several processes do not mix.

    Args:
        path: of the file.

    Raises:
        StartError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = os.path.abspath(path)
        try:
            self._descriptor = os.open(self._path, _FLAGS, _MODE)
        except OSError as error:
            raise StartError(
                f"log_file: cannot open {path}: {error.strerror}; "
                "name another file with --log-file",
                EXIT_CONFIGURATION,
            ) from None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, at once and in one piece."""
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        try:
            os.write(self._descriptor, text.encode("utf-8", "backslashreplace") + b"\n")
        except OSError:
            pass  # the disk is full: there is nobody to tell

    def reopen(self) -> None:
        """Open the path again; if that fails the old file stays in use, with a record."""
        try:
            descriptor = os.open(self._path, _FLAGS, _MODE)
        except OSError as error:
            logging.getLogger("pagi.server").error(
                "the server log: cannot reopen %s: %s", self._path, error.strerror
            )
            return
        before, self._descriptor = self._descriptor, descriptor
        os.close(before)

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        super().close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def reopen_log_file() -> None:
    """Open the file of the server log again, if it is in one, after it was renamed."""
    for handler in logging.getLogger("pagi").handlers:
        if isinstance(handler, LogFile):
            handler.reopen()
