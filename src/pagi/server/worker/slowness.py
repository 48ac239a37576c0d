"""What takes too long, told with the place in the source: requests, and turns of the loop."""

from __future__ import annotations

import faulthandler
import logging
import re
from time import perf_counter
from typing import Any, Final

from pagi.server.worker.report import Activities, Report, awaited, is_application

__all__ = ["SlowRequests", "SlowTurns"]

_START: Final = " in run_worker"
_FRAME: Final = re.compile(r'  File "(.*)", line (\d+) in (.*)')


class SlowRequests:
    """Tells of requests that are not answered in time: once while they wait, and at their end.

    Event streams, WebSockets and responses that have begun are none of them.

    Args:
        limit: seconds until a request is slow.
        observer: told of each exchange after this, or ``None``.
        logger: told.
    """

    def __init__(self, limit: float, observer: Any, logger: logging.Logger) -> None:
        self._limit = limit
        self._observer = observer
        self._logger = logger
        self._told: set[Any] = set()

    def log(
        self,
        client: str,
        scope: dict[str, Any],
        status: int,
        sent: int,
        seconds: float,
        reason: str | None,
    ) -> None:
        """Take the end of an exchange, as `AccessLog.log`."""
        if seconds >= self._limit and scope["type"] == "http":
            self._logger.warning(
                "%s %s of %s took %.1f s", scope["method"], scope["path"], client, seconds
            )
        if self._observer is not None:
            self._observer.log(client, scope, status, sent, seconds, reason)

    def log_rejected(
        self, client: str, status: int, detail: str, reason: str | None = None
    ) -> None:
        """Take a request that never reached the application."""
        if self._observer is not None:
            self._observer.log_rejected(client, status, detail, reason)

    def tick(self, activities: Activities) -> None:
        """Look at what is under way."""
        waiting = {
            exchange: coroutine
            for exchange, coroutine in activities.values()
            if exchange is not None and self._is_slow(exchange)
        }
        for exchange, coroutine in waiting.items():
            if exchange not in self._told:
                steps = awaited(coroutine)
                self._logger.warning(
                    "%s and still waits at %s",
                    exchange.describe(),
                    _inner(steps),
                    extra={"detail": "\n".join(steps)},
                )
        self._told = set(waiting)

    def _is_slow(self, exchange: Any) -> bool:
        begun = exchange.started_at
        return begun > 0.0 and not exchange.response_begun and perf_counter() - begun >= self._limit


class SlowTurns:
    """Tells of turns of the loop that took too long, with the stacks in the middle of them.

    A thread of `faulthandler`, which is C, writes the stacks when the next tick is late. Only for a
    process that does nothing but serve: there is one such thread in a process.

    Args:
        limit: seconds that a tick may be late.
        report: the file that the stacks are written to.
        logger: told.
    """

    def __init__(self, limit: float, report: Report, logger: logging.Logger) -> None:
        self._limit = limit
        self._report = report
        self._logger = logger

    def tick(self, lag: float, wait: float) -> None:
        """The loop turns.

        Args:
            lag: how late this tick is, in seconds.
            wait: when the next one is due, in seconds.
        """
        faulthandler.cancel_dump_traceback_later()
        stacks = self._report.take_stacks()
        if lag >= self._limit:
            where = _place(stacks)
            at = f"; it was at {where}" if where else ""
            self._logger.warning(
                "the loop did not turn for %.1f s%s",
                lag,
                at,
                extra={"detail": _without_start(stacks) or None},
            )
        # Half of the limit: what takes all of it is caught in the middle.
        faulthandler.dump_traceback_later(wait + self._limit / 2, file=self._report.file)

    def stop(self) -> None:
        """Look no more."""
        faulthandler.cancel_dump_traceback_later()


def _inner(steps: list[str]) -> str:
    """Return the innermost step of the application; others are a future, or of a library."""
    ours = (step for step in reversed(steps) if " in " in step and is_application(step))
    return next(ours, steps[-1])


def _place(stacks: str) -> str:
    """Return where the thread of the loop was: the innermost frame of the application."""
    for thread in stacks.split("\n\n"):
        frames = [f"{match[1]}:{match[2]} in {match[3]}" for match in _FRAME.finditer(thread)]
        starts = [number for number, frame in enumerate(frames) if frame.endswith(_START)]
        if starts:
            inside = frames[: starts[0]]
            return next(filter(is_application, inside), frames[0])
    return ""


def _without_start(stacks: str) -> str:
    """Leave out how the loop was started: it is the same each time."""
    lines, started = [], False
    for line in stacks.splitlines():
        started = (started or line.endswith(_START)) and line.startswith("  ")
        if not started:
            lines.append(line)
    return "\n".join(lines)
