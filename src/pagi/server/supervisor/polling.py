"""`Poller`: finds changed files by looking at all of them again and again."""

from __future__ import annotations

import os
from typing import Final, TypeAlias

from pagi.server.supervisor.watched import Watched

__all__ = ["MAX_FILES", "Gathering", "Poller", "pause_after"]

#: More files than this are not looked at.
MAX_FILES: Final = 20_000
#: Seconds between two looks, at least.
INTERVAL: Final = 0.4
#: What part of the time may be spent looking.
SHARE: Final = 0.04
#: Seconds without a change after which all of it is told, and how long that may take at most.
QUIET: Final = 0.05
LATEST: Final = 1.0

_Sign: TypeAlias = tuple[int, int, int]


class Poller:
    """Remembers time, size and number of each file; a look costs one ``stat`` for each.

    Args:
        watched: which files.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._signs = self._look()

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._signs)

    def changed(self) -> set[str]:
        """Return the files that are different, new or gone since the last time."""
        before, self._signs = self._signs, self._look()
        now = self._signs
        return {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}

    def newer(self, since: float) -> set[str]:
        """Return the files that were changed after a time of the clock on the wall."""
        return {path for path, (time, _, _) in self._signs.items() if time > since * 1e9}

    def _look(self) -> dict[str, _Sign]:
        signs: dict[str, _Sign] = {}
        for entry in self._watched.files():
            if len(signs) >= MAX_FILES:
                break
            try:
                stat = os.stat(entry.path)
            except OSError:  # it has just gone
                continue
            signs[entry.path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return signs


def pause_after(duration: float) -> float:
    """Return how long to wait after a look that took ``duration`` seconds."""
    return max(INTERVAL, duration / SHARE)


class Gathering:
    """Holds changes back until nothing has changed for a moment: they mostly come together."""

    def __init__(self) -> None:
        self._paths: set[str] = set()
        self._first = self._last = 0.0

    def add(self, paths: set[str], now: float) -> None:
        """Take changes."""
        if paths:
            self._first = self._first if self._paths else now
            self._last = now
            self._paths |= paths

    def wait(self, now: float) -> float | None:
        """Return how long until they are due; ``None``: there are none."""
        if not self._paths:
            return None
        return max(0.0, min(self._last + QUIET, self._first + LATEST) - now)

    def take(self, now: float) -> set[str]:
        """Return what is due, and forget it."""
        if self.wait(now) != 0.0:
            return set()
        paths, self._paths = self._paths, set()
        return paths
