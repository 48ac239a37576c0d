"""How the application's coroutine runs: first step in place, in a task only if it waits.

One source, two builds: compiled as ``_tasks_c`` (see ``_tasks_c.pxd``).

Theory
------
Most requests are answered without waiting for anything. A task for each costs a microsecond and,
before Python 3.12, a turn of the event loop. But an application may ask for ``current_task()`` in
its very first step (``asyncio.timeout``, anyio's cancel scopes), so it must have a task.

A **seat** is a real `asyncio.Task` that is parked: it waits for a future-like object of ours. To
run a request we take a seat, make its task the current one, and send the first ``None`` into the
application's coroutine ourselves.

* The application finishes in that step: the seat never woke and goes back, *if nobody can tell
  that it was used*: no new reference or weak reference to the task, not cancelled, not renamed,
  nobody who waits for its end.
  Otherwise it is thrown away, so that state tied to a task never reaches another request.
* The application waits for a future: we wake the seat, it yields that same future to its task,
  and from then on the task runs the application like any other. When the application ends the
  task ends.

Where a seat cannot be had at once (before 3.12 a new task needs a turn of the loop to park), or
another task is already current, the request gets an ordinary task.

Each request runs in its own copy of the context of the lifespan, in both phases: what it sets
there is never seen by another request.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import Task
from collections.abc import Callable, Generator
from contextvars import Context
from types import coroutine
from typing import Any
from weakref import getweakrefcount

from pagi.server.exchange._stepping_py import as_coroutine
from pagi.server.exchange.stepping import first_step

__all__ = ["AppRunner", "Seat"]

#: Elsewhere (PyPy) it is not called: see ``_COUNTS``.
getrefcount: Callable[[object], int] = getattr(sys, "getrefcount", id)

_EAGER = sys.version_info >= (3, 12)
# Reference counts tell whether a task was kept only where they are exact and immediate.
_COUNTS = sys.implementation.name == "cpython" and bool(
    getattr(sys, "_is_gil_enabled", lambda: True)()
)


@coroutine
def _go_on(seat: Seat, error: BaseException | None) -> Generator[Any, Any, None]:
    """Run the coroutine that was begun on ``seat`` to its end, inside its context."""
    running, context, waiting_for = seat.running, seat.context, seat.waiting_for
    step: Callable[..., Any]
    value: Any
    while True:
        if error is None:
            try:
                value = yield waiting_for
                step = running.send
            except BaseException as exc:
                error = exc
        if error is not None:
            step, value, error = running.throw, error, None
        try:
            waiting_for = context.run(step, value)
        except StopIteration:
            return


class Seat:
    """A parked task. To the task it is the future that the task waits for."""

    __slots__ = (
        "_asyncio_future_blocking",
        "_loop",
        "cancelled",
        "context",
        "exchange",
        "name",
        "parked",
        "runner",
        "running",
        "task",
        "waiting_for",
        "wake",
        "weak_references",
    )

    def __init__(self, runner: AppRunner) -> None:
        self._asyncio_future_blocking = False
        self._loop = runner.loop
        self.runner = runner
        self.parked = False
        self.cancelled = False
        self.weak_references = 0
        self.wake: Any = None
        self.task: Any = None
        self.name = ""
        self.exchange: Any = None
        self.running: Any = None
        self.context: Any = None
        self.waiting_for: Any = None

    # What a task asks of a future it waits for.

    def __await__(self) -> Generator[Any, Any, None]:
        self._asyncio_future_blocking = True
        yield self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop of the task."""
        return self._loop

    def add_done_callback(self, callback: Any, *, context: Any = None) -> None:
        """Take the callable that wakes the task: the task is parked now."""
        self.wake = callback
        self.runner.park(self)

    def result(self) -> None:
        """Waking means nothing but to go on."""

    def cancel(self, msg: object = None) -> bool:
        """Leave cancelling to the task, which raises when it takes its next step.

        If the seat is parked that step must be made for it: somebody ends every task of the loop.
        """
        self.cancelled = True
        if self.parked:
            self.runner.forget(self)
            self._loop.call_soon(self.wake, self)
        return False


class AppRunner:
    """Runs application coroutines on one loop; see the theory above.

    Args:
        loop: the running loop.
        context: copied for every request.
        max_seats: parked tasks kept at most.
    """

    __slots__ = (
        "_max_seats",
        "_ready",
        "_spare",
        "_stepping",
        "_tasks",
        "_wanted",
        "context",
        "error",
        "loop",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: Context, max_seats: int = 128
    ) -> None:
        self.loop = loop
        self.context = context
        self._max_seats = max_seats
        self._wanted = 0  # parked tasks worth having; grows with each miss
        self._ready: Seat | None = None  # the first of the spare ones, without a list
        self._spare: list[Seat] = []
        self._stepping: Seat | None = None  # whose application takes its first step
        self.error: BaseException | None = None
        self._tasks: dict[Task[Any], Any] = {}  # with their seats, or exchanges without one

    @property
    def tasks(self) -> set[Task[Any]]:
        """The tasks of the requests that are waiting for something."""
        return set(self._tasks)

    def cancel_forsaken(self) -> None:
        """Cancel the applications of streams that have ended without their taking note of it."""
        for task, held in list(self._tasks.items()):
            exchange = held.exchange if type(held) is Seat else held
            if exchange.forsaken:
                task.cancel()

    def activities(self) -> dict[Task[Any], tuple[Any, Any]]:
        """Return what waits for something, by task: the exchange, and the coroutine that runs.

        Parked tasks are there, too, with ``None`` and ``None``: they are no activity. What takes
        its first step just now has a text in place of the coroutine.
        """
        found: dict[Task[Any], tuple[Any, Any]] = {}
        for task, held in self._tasks.items():
            if type(held) is Seat:
                found[task] = (held.exchange, held.running)
            else:
                found[task] = (held, task.get_coro())
        parked = self._spare if self._ready is None else [*self._spare, self._ready]
        found.update((seat.task, (None, None)) for seat in parked)
        if self._stepping is not None:
            found[self._stepping.task] = (self._stepping.exchange, "takes its first step")
        return found

    def start(self, app: Any, exchange: Any, scope: Any) -> bool:
        """Run ``app`` for ``exchange``.

        Returns:
            True if it ended at once; ``error`` then holds what it raised. Otherwise the runner
            calls ``exchange.app_finished(error)`` at its end.
        """
        seat = self._take_seat()
        if seat is None:
            self._start_task(app, exchange, scope)
            return False
        task = seat.task
        references = getrefcount(task) if _COUNTS else 0
        error: BaseException | None = None
        begun = None
        seat.exchange = exchange
        self._stepping = seat
        try:
            begun = first_step(self.loop, task, self.context, app, exchange, scope)
        except BaseException as exc:
            error = exc
        self._stepping = None
        if begun is not None:
            if begun:
                self._wake_for(seat, begun)
            else:  # called from inside another task
                seat.exchange = None
                self.park(seat)
                self._start_task(app, exchange, scope)
            return False
        seat.exchange = None
        if _COUNTS and getrefcount(task) == references and self._unchanged(seat, task):
            if self._ready is None:
                seat.parked = True
                self._ready = seat
            else:
                self.park(seat)
        else:
            self._dismiss(seat)
        self.error = error
        return True

    def prepare(self, count: int = 16) -> None:
        """Park ``count`` tasks, so that the first requests find one; takes a turn of the loop."""
        self._wanted = max(self._wanted, count)
        for _ in range(count - len(self._spare)):
            self._add_seat()

    def close(self) -> None:
        """Let the parked tasks end."""
        self._max_seats = 0
        if self._ready is not None:
            self._spare.append(self._ready)
            self._ready = None
        while self._spare:
            self._dismiss(self._spare.pop())

    def park(self, seat: Seat) -> None:
        """Take a seat whose task is parked."""
        if len(self._spare) < self._max_seats:
            seat.parked = True
            self._spare.append(seat)
        else:
            self.loop.call_soon(self._dismiss, seat)

    def forget(self, seat: Seat) -> None:
        """Use a parked seat no more."""
        seat.parked = False
        if seat is self._ready:
            self._ready = None
        if seat in self._spare:
            self._spare.remove(seat)

    def _take_seat(self) -> Seat | None:
        seat = self._ready
        if seat is not None:
            self._ready = None
            seat.parked = False
            return seat
        if not self._spare:
            self._wanted = min(self._wanted + 1, self._max_seats)
            self._add_seat()
            if not self._spare:  # it parks in the next turn of the loop
                return None
        seat = self._spare.pop()
        seat.parked = False
        return seat

    def _unchanged(self, seat: Seat, task: Any) -> bool:
        """Tell whether the task is as it was, but for its reference count."""
        return (
            not seat.cancelled
            and getweakrefcount(task) == seat.weak_references
            and task.get_name() is seat.name
            and not task._callbacks
        )

    def _wake_for(self, seat: Seat, begun: Any) -> None:
        """Let the task of ``seat`` go on with a coroutine that waits for something."""
        seat.running, seat.waiting_for, seat.context = begun
        self._tasks[seat.task] = seat
        seat.wake(seat)
        if not _EAGER and len(self._spare) < self._wanted:
            self._add_seat()

    def _dismiss(self, seat: Seat) -> None:
        """End a parked task: it wakes with nothing to run."""
        seat.parked = False
        try:
            seat.wake(seat)
        except RuntimeError:  # called from inside another task
            self.loop.call_soon(seat.wake, seat)

    def _add_seat(self) -> None:
        seat = Seat(self)
        if sys.version_info >= (3, 12):
            task = Task(self._sit(seat), loop=self.loop, eager_start=True)
        else:
            task = Task(self._sit(seat), loop=self.loop)
        seat.task = task
        seat.name = task.get_name()
        seat.weak_references = getweakrefcount(task)

    async def _sit(self, seat: Seat) -> None:
        error: BaseException | None = None
        try:
            await seat
        except asyncio.CancelledError as exc:
            error = exc
            # As a task does: what it waits for is cancelled, and it only if that cannot be.
            if seat.waiting_for is not None and seat.waiting_for.cancel(*exc.args):
                error = None
        exchange = seat.exchange
        if exchange is None:
            if error is not None:
                raise error
            return
        try:
            await _go_on(seat, error)
            error = None
        except BaseException as exc:
            error = exc
        self._tasks.pop(seat.task, None)
        seat.running = seat.context = seat.waiting_for = seat.exchange = None
        exchange.app_finished(error)
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error

    def _start_task(self, app: Any, exchange: Any, scope: Any) -> None:
        running = self._run(app, exchange, scope)
        task = self.loop.create_task(running, context=self.context.copy())
        self._tasks[task] = exchange
        task.add_done_callback(self._forget_task)

    def _forget_task(self, task: Task[Any]) -> None:
        self._tasks.pop(task, None)

    async def _run(self, app: Any, exchange: Any, scope: Any) -> None:
        error: BaseException | None = None
        try:
            await as_coroutine(app(scope, exchange.receive, exchange.send))
        except BaseException as exc:
            error = exc
        exchange.app_finished(error)
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error
