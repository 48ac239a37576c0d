"""`run_developed`: a supervisor whose workers are replaced when files change.

    watcher ──"main.py changed"──► supervisor ──fork──► a newer worker ──ready──► the older stops

It is the same restart as any other, so the older worker serves until the newer one does. If more
changes meanwhile, the one that was coming is given up for one that is newer still. A worker whose
application cannot be loaded is ready, too: it serves the reason.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from functools import partial
from time import monotonic, time
from typing import Any, Final

from pagi.interface.callables import App
from pagi.server.config import Config
from pagi.server.supervisor.child import Child
from pagi.server.supervisor.crew import Crew
from pagi.server.supervisor.nursery import Nursery
from pagi.server.supervisor.supervisor import Supervisor, run_supervised
from pagi.server.supervisor.watched import Watched
from pagi.server.supervisor.watcher import run_watcher
from pagi.server.worker.broken import run_or_explain
from pagi.server.worker.link import Link
from pagi.server.worker.starter import Starter

__all__ = ["run_developed"]

#: Names of changed files that are logged.
_NAMED: Final = 3


def run_developed(
    load_app: Callable[[], App],
    config: Config,
    read_config: Callable[[], Config] | None = None,
    starter: Starter | None = None,
) -> int:
    """Run workers until a stop signal, and replace them when files change; see `run_supervised`."""
    Watched.of(config.development)  # or it raises, before anything is opened
    return run_supervised(load_app, config, read_config, starter, _Developing)


class _Developing(Supervisor):
    """The supervisor, with a crew of one more process: the watcher."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._log = logging.getLogger("pagi.dev")
        if not self._logger.isEnabledFor(logging.DEBUG):
            # What an operator wants to know of workers is of no interest here.
            self._logger.setLevel(max(logging.WARNING, self._logger.getEffectiveLevel()))
        now = monotonic()
        self._watching = _Watching(self._nursery, self._config, self.retire, self._log)
        self._watchers = Crew(1, self._watching, now, self._logger, "watcher")
        self._began = now
        self._told_generation = -1

    def run(self) -> int:
        """Serve until stopped; return the exit status."""
        self._log.info("serving on %s; stop with Ctrl-C", self._listeners.text)
        return super().run()

    # ------------------------------------------------------------- the loop

    def _turn(self) -> None:
        self._watchers.tick(monotonic())
        super()._turn()

    def _deadline(self, now: float) -> float:
        due = self._watchers.deadline()
        until = super()._deadline(now)
        return until if due is None else min(until, due)

    def _crew_of(self, child: Child) -> Crew:
        return self._watchers if self._is_watcher(child) else super()._crew_of(child)

    def _is_watcher(self, child: Child) -> bool:
        return any(each is child for each in self._watchers.children)

    def _hear(self, child: Child) -> None:
        if not self._is_watcher(child):
            super()._hear(child)
            return
        words = self._watching.hear(child)
        if words is None:
            self._nursery.unlisten(child)
            return
        for word in words:
            if "watching" in word:
                self._watchers.ready(child, monotonic())
            else:
                self._changed(word["changed"], word["count"])

    def _changed(self, paths: list[str], count: int) -> None:
        if not self._crew.stopping:
            self._log.info("%s changed; reloading", _named(paths, count))
            self._asked_to_restart()

    def _begin_stop(self) -> None:
        self._watchers.stop()
        super()._begin_stop()

    # ------------------------------------------------------------- workers

    def _work(self, link: Link) -> int:
        own = self._listeners.of(link.number)
        self._listeners.close(but=own)
        return run_or_explain(self._load_app, self._config, own, link)

    def _asked_to_restart(self) -> None:
        self._began = monotonic()
        super()._asked_to_restart()

    def _completed(self) -> None:
        """Say that what is there now is served, or why not."""
        super()._completed()
        serving = self._serving()
        generation = self._crew.generation
        if any(child.slot.generation != generation for child in serving):
            self._log.warning("what was there before goes on; waiting for the next change")
        elif any(child.broken for child in serving):
            self._log.warning("serving the error; waiting for the next change")
        elif generation != self._told_generation:
            word = "reloaded" if generation else "ready"
            self._log.info("%s in %.2f s", word, monotonic() - self._began)
        self._told_generation = generation


def _named(paths: list[str], count: int) -> str:
    names = ", ".join(os.path.relpath(path) for path in paths[:_NAMED])
    return names if count <= _NAMED else f"{names} and {count - _NAMED} more"


class _Watching:
    """Hands that make the watcher, and ears for what it says."""

    def __init__(
        self,
        nursery: Nursery,
        config: Config,
        retire: Callable[[Child], None],
        logger: logging.Logger,
    ) -> None:
        self._nursery = nursery
        self._watched = Watched.of(config.development)
        self._logger = logger
        self._since = time()
        self._told = False
        self._heard = b""
        self.retire = retire

    def fork(self, number: int, generation: int) -> Child | None:
        """Make it; what has changed since the one before spoke last is told by the new one."""
        self._heard = b""
        work = partial(run_watcher, self._watched, self._since)
        return self._nursery.fork(0, generation, work)

    def hear(self, child: Child) -> list[dict[str, Any]] | None:
        """Return what it has said; ``None``: it has ended."""
        try:
            said = child.channel.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            said = b""
        if not said:
            return None
        self._since = time()
        *lines, self._heard = (self._heard + said).split(b"\n")
        words = [json.loads(line) for line in lines]
        for word in words:
            if "watching" in word and not self._told:
                self._told = True
                self._tell(word)
        return words

    def _tell(self, word: dict[str, Any]) -> None:
        directories = ", ".join(os.path.relpath(path) for path in self._watched.directories)
        here = "this directory" if directories == "." else directories
        count = f"more than {word['watching']}" if word["limited"] else word["watching"]
        self._logger.info("watching %s files in %s", count, here)
        if word["limited"]:
            self._logger.warning("that is too many; name directories with --reload-dir")
        if word["polling"]:
            self._logger.info(
                "by looking at them again and again; to be told by the system: "
                "pip install 'pagi-web[dev]'"
            )
