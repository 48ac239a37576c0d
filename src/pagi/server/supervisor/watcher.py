"""The process that watches files for the supervisor, and tells it what has changed.

It is a process of its own because whoever watches has threads, which the supervisor must not have:
it forks. It says lines of JSON over its channel:

    {"watching": 12, "polling": true, "limited": false}      once, at first
    {"changed": ["/app/main.py"], "count": 1}

Here alone is known that there is a package ``watchfiles``.
"""

from __future__ import annotations

import json
import logging
import select
import socket
from collections.abc import Iterable
from time import monotonic
from typing import Any, Final

from pagi.server.supervisor.polling import MAX_FILES, Gathering, Poller, pause_after
from pagi.server.supervisor.watched import Watched
from pagi.server.worker.link import Link

__all__ = ["MAX_NAMED", "run_watcher"]

#: Files that are named of one change.
MAX_NAMED: Final = 20
#: How often a watcher that is told by the system looks whether its supervisor lives, in ms.
LOOK: Final = 500
#: How long changes are held back for others, in ms: without any, and at most.
_STEP: Final = 50
_DEBOUNCE: Final = 1000


def run_watcher(watched: Watched, since: float, link: Link) -> int:
    """Watch until the supervisor has gone; return the exit status.

    Args:
        watched: which files.
        since: changes after this time of the clock on the wall are told at once.
        link: to the supervisor.
    """
    said = _Talk(link.channel)
    poller = Poller(watched)
    library = _library()
    try:
        said.changed(poller.newer(since))
        if library is not None:
            try:
                _follow(library, watched, poller, said)
                return 0
            except ConnectionError:
                raise
            except OSError as error:  # the system has a limit of directories
                logging.getLogger("pagi.server").warning(
                    "the system does not tell of changed files (%s); looking for them",
                    error.strerror or error,
                )
        _poll(poller, said)
    except ConnectionError:  # the supervisor has gone
        pass
    return 0


def _library() -> Any:
    try:
        import watchfiles
    except ImportError:
        return None
    return watchfiles


class _Talk:
    """The channel to the supervisor."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        channel.setblocking(True)

    def begin(self, count: int, *, polling: bool) -> None:
        """Say what is watched."""
        self._say({"watching": count, "polling": polling, "limited": count >= MAX_FILES})

    def changed(self, paths: Iterable[str]) -> None:
        """Say what has changed, if anything has."""
        names = sorted(paths)
        if names:
            self._say({"changed": names[:MAX_NAMED], "count": len(names)})

    def _say(self, words: dict[str, Any]) -> None:
        self._channel.sendall(json.dumps(words).encode() + b"\n")

    def ends_within(self, seconds: float) -> bool:
        """Wait; tell whether the supervisor has gone meanwhile."""
        ready, _, _ = select.select([self._channel], [], [], seconds)
        return bool(ready) and not self._channel.recv(64)


def _poll(poller: Poller, said: _Talk) -> None:
    said.begin(poller.count, polling=True)
    gathering = Gathering()
    pause = pause_after(0.0)
    while not said.ends_within(pause):
        begin = monotonic()
        gathering.add(poller.changed(), begin)
        now = monotonic()
        said.changed(gathering.take(now))
        due = gathering.wait(now)
        pause = pause_after(now - begin) if due is None else due


def _follow(library: Any, watched: Watched, poller: Poller, said: _Talk) -> None:
    batches = library.watch(
        *watched.directories,
        watch_filter=lambda _, path: watched.takes(path),
        debounce=_DEBOUNCE,
        step=_STEP,
        rust_timeout=LOOK,
        yield_on_timeout=True,
        raise_interrupt=False,
    )
    begun = False
    for changes in batches:
        paths = {path for _, path in changes}
        if not begun:
            said.begin(poller.count, polling=False)
            paths |= poller.changed()  # before the system began to tell
            begun = True
        said.changed(paths)
        if said.ends_within(0.0):
            return
