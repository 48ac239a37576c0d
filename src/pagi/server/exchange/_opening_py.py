"""`OpenFiles`: regular files that are sent often are opened once.

One source, two builds: compiled as ``_opening_c`` (see ``_opening_c.pxd``).

To open a file and to close it takes a third as long as to send 100 KiB of it. So a file stays
open for a second or two after it was last asked for. Each time it is asked for, the system is
asked whether the path still leads to it, unchanged: who replaces a file, or forbids reading it,
sees the effect with the next request.
"""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop
from typing import Any, Final

from pagi.server.exchange.regular import RegularFile

__all__ = ["OpenFiles"]

#: Files kept open at most; others are closed when they are sent.
MAX_KEPT: Final = 64
#: How long a file stays open after it was asked for: this, or twice this (seconds).
KEPT_TIME: Final = 1.0


class OpenFiles:
    """The files that responses are being sent from, and were lately. For one thread."""

    __slots__ = ("_closed", "_kept", "_loop", "_timer")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._kept: dict[Any, RegularFile] = {}
        self._timer: Any = None
        self._closed = False

    def take(self, path: Any) -> RegularFile:
        """Return a regular file for reading; `give_back` must follow.

        Raises `OSError` if it cannot be opened or is not a regular file.
        """
        if type(path) is not str:
            path = os.fspath(path)
        file = self._kept.get(path)
        if file is not None:
            if file.is_at(path):
                file.wanted = True
                file.users += 1
                return file
            self._forget(path)
        file = RegularFile(path)
        file.users = 1
        if len(self._kept) < MAX_KEPT and not self._closed:
            file.kept = file.wanted = True
            self._kept[path] = file
            if self._timer is None:
                self._timer = self._loop.call_later(KEPT_TIME, self._close_unwanted)
        return file

    def give_back(self, file: RegularFile) -> None:
        """Use a file no more."""
        file.users -= 1
        if not file.users and not file.kept:
            file.close()

    def close(self) -> None:
        """Keep nothing open from now on; files in use are closed when they are given back."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for path in list(self._kept):
            self._forget(path)

    def _close_unwanted(self) -> None:
        for path, file in list(self._kept.items()):
            if file.wanted:
                file.wanted = False
            else:
                self._forget(path)
        self._timer = None
        if self._kept:
            self._timer = self._loop.call_later(KEPT_TIME, self._close_unwanted)

    def _forget(self, path: Any) -> None:
        file = self._kept.pop(path)
        file.kept = False
        if not file.users:
            file.close()
