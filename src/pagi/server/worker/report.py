"""`Report`: what a process is doing at the moment, told by a signal, also when its loop hangs.

Two parts. The stacks of all threads are written by the handler of `faulthandler`, which is C and
needs nothing of the interpreter: it also works when a call never returns. Then, if the main thread
takes its turn, Python code writes to the log where that is, and what every task waits for.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from types import FrameType
from typing import IO, Any, Final, TypeAlias

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # told apart where it is used

__all__ = [
    "REPORT_SIGNAL",
    "Activities",
    "Report",
    "awaited",
    "describe_tasks",
    "describe_threads",
    "is_application",
    "place",
]

#: Sent to a worker, it makes it tell what it is doing.
REPORT_SIGNAL: Final = getattr(signal, "SIGUSR2", None)

#: By task of the loop: its exchange and what it runs; both ``None`` if it is parked.
Activities: TypeAlias = Mapping["asyncio.Task[Any]", tuple[Any, Any]]

#: Tasks told of at most, and steps of each.
_MAX_TASKS: Final = 200
_MAX_STEPS: Final = 12
#: The function that starts the loop.
_START: Final = "run_worker"
_MAX_STACKS: Final = 1 << 20
#: Frames outside of these are the application's.
_LIBRARY: Final = os.path.dirname(os.__file__)
_OURS: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Report:
    """The stacks of one process, in a file without a name.

    Made before a fork, it can be read by the supervisor.

    Attributes:
        file: what is written goes to its end.
    """

    def __init__(self) -> None:
        self.file = _nameless_file()
        if fcntl is not None:  # what is written goes to the end, also after it was emptied
            flags = fcntl.fcntl(self.file, fcntl.F_GETFL)
            fcntl.fcntl(self.file, fcntl.F_SETFL, flags | os.O_APPEND)
        self._log: logging.Logger | None = None
        self._title = ""
        self._activities: Callable[[], Activities] = dict

    def install(
        self, log: logging.Logger, title: str, activities: Callable[[], Activities]
    ) -> None:
        """Heed the signal; only for the main thread.

        Args:
            log: gets the report.
            title: what it calls this process.
            activities: returns what the loop's tasks are there for.
        """
        self._log, self._title, self._activities = log, title, activities
        if REPORT_SIGNAL is None:
            return
        signal.signal(REPORT_SIGNAL, self._tell)
        # Chained: it calls the handler above after its own work.
        faulthandler.register(REPORT_SIGNAL, file=self.file, all_threads=True, chain=True)

    def uninstall(self) -> None:
        """Ignore the signal from now on."""
        if REPORT_SIGNAL is not None:
            faulthandler.unregister(REPORT_SIGNAL)
            signal.signal(REPORT_SIGNAL, signal.SIG_IGN)

    def stacks(self) -> str:
        """Return what the C handler wrote and nobody logged; empty if there was no signal."""
        return os.pread(self.file.fileno(), _MAX_STACKS, 0).decode("utf-8", "replace")

    def take_stacks(self) -> str:
        """Return the same, and forget it."""
        found = self.stacks()
        if found:
            self.file.truncate(0)
        return found

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _tell(self, number: int, frame: FrameType | None) -> None:
        try:
            self._log_it(frame)
        except Exception:
            # It came in the middle of something that cannot be entered twice, such as a write to
            # the log. The C handler has written what there is to say.
            return
        self.file.truncate(0)

    def _log_it(self, frame: FrameType | None) -> None:
        assert self._log is not None
        detail = describe_threads(frame)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # it has not begun, or has ended
            pass
        else:
            detail += "\n" + describe_tasks(asyncio.all_tasks(loop), self._activities())
        self._log.warning("%s is at %s", self._title, place(frame), extra={"detail": detail})


def _nameless_file() -> IO[bytes]:
    """Make a file of memory, or where the system has none in the folder for such things."""
    make = getattr(os, "memfd_create", None)
    if make is None:
        return tempfile.TemporaryFile(prefix="pagi-report-")
    return os.fdopen(make("pagi-report"), "w+b", buffering=0)


def is_application(path: str) -> bool:
    """Tell whether a file is neither of Python nor of this server; the text may go on behind it."""
    return "site-packages" in path or not path.startswith(("<", _LIBRARY, _OURS))


def place(frame: FrameType | None) -> str:
    """Return where a stack is: ``file:line in function: source``.

    That is the innermost frame of the application. Inside of it may be others, of the standard
    library for example: they are not what has to be changed.
    """
    inner = at = frame
    while at is not None and at.f_code.co_name != _START:
        if is_application(at.f_code.co_filename):
            inner = at
            break
        at = at.f_back
    if inner is None:
        return "an unknown place"
    code = inner.f_code
    summary = traceback.FrameSummary(code.co_filename, inner.f_lineno, code.co_name)
    source = f": {summary.line}" if summary.line else ""
    return f"{summary.filename}:{summary.lineno} in {summary.name}{source}"


def describe_threads(frame: FrameType | None) -> str:
    """Return the stacks of all threads, innermost last.

    Args:
        frame: of the main thread, where it is not that of the caller.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    main = threading.main_thread().ident
    lines = []
    for ident, top in sys._current_frames().items():
        lines.append(f"thread {names.get(ident, ident)}:")
        for step in _without_start(traceback.extract_stack(frame if ident == main else top)):
            source = f": {step.line}" if step.line else ""
            lines.append(f"  {step.filename}:{step.lineno} in {step.name}{source}")
    return "\n".join(lines)


def _without_start(steps: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """Leave out how the loop was started: it is the same each time."""
    starts = [
        index
        for index, step in enumerate(steps)
        if step.name == _START and step.filename.startswith(_OURS)
    ]
    return steps[starts[-1] + 1 :] if starts else list(steps)


def describe_tasks(tasks: set[asyncio.Task[Any]], activities: Activities) -> str:
    """Return what tasks wait for, those that serve requests first."""
    told = []
    for task in tasks:
        exchange, coroutine = activities.get(task, (None, task.get_coro()))
        if coroutine is not None:
            told.append((exchange is None, task.get_name(), exchange, coroutine))
    told.sort(key=lambda each: each[:2])
    lines = [f"{len(told)} tasks:"]
    for _, name, exchange, coroutine in told[:_MAX_TASKS]:
        what = name if exchange is None else f"{name}: {exchange.describe()}"
        lines.append(f"  {what}")
        lines += [f"    {step}" for step in awaited(coroutine)]
    if len(told) > _MAX_TASKS:
        lines.append(f"  and {len(told) - _MAX_TASKS} more")
    return "\n".join(lines)


def awaited(coroutine: Any) -> list[str]:
    """Return where a coroutine is, and those that it awaits, innermost last."""
    if isinstance(coroutine, str):
        return [coroutine]
    steps: list[str] = []
    at = coroutine
    while at is not None and len(steps) < _MAX_STEPS:
        frame = getattr(at, "cr_frame", None) or getattr(at, "gi_frame", None)
        if frame is None or frame.f_lineno is None:  # a future, or compiled
            steps.append(getattr(at, "__qualname__", type(at).__name__))
        else:
            name = getattr(at, "__qualname__", frame.f_code.co_name)
            steps.append(f"{frame.f_code.co_filename}:{frame.f_lineno} in {name}")
        at = getattr(at, "cr_await", None) or getattr(at, "gi_yieldfrom", None)
    return steps
