"""Errors of the command line; each is one line for the person at the terminal.

Exception
└── StartError           (pagi.server.errors) a message and an exit status
    ├── LoadError        the application could not be loaded (4)
    └── UsageError       the command line was wrong (2)
"""

from __future__ import annotations

from types import TracebackType

from pagi.server.errors import EXIT_APPLICATION, EXIT_USAGE, StartError

__all__ = ["LoadError", "UsageError", "location", "one_line", "own_frames", "show_traceback"]


class LoadError(StartError):
    """The application could not be loaded. ``__cause__`` is what its code raised, if it did."""

    def __init__(self, message: str, exit_status: int = EXIT_APPLICATION) -> None:
        super().__init__(message, exit_status)


class UsageError(StartError):
    """The command line asks for something that does not go together."""

    def __init__(self, message: str, exit_status: int = EXIT_USAGE) -> None:
        super().__init__(message, exit_status)


def one_line(error: BaseException) -> str:
    """Return type and text of ``error`` as one line."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def location(error: BaseException) -> str:
    """Return ``file:line`` of the innermost frame that is not the import machinery, or ""."""
    found = ""
    traceback = own_frames(error)
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if not name.startswith("<frozen "):
            found = f"{name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def own_frames(error: BaseException) -> TracebackType | None:
    """Return the traceback of ``error`` from the first frame that is neither ours nor Python's."""
    traceback = error.__traceback__
    while traceback is not None and _is_machinery(traceback):
        traceback = traceback.tb_next
    return traceback


def show_traceback(error: BaseException) -> None:
    """Write to standard error, in full, what made ``error`` happen; nothing if nothing did."""
    cause = error.__cause__
    if cause is not None:
        import traceback

        traceback.print_exception(type(cause), cause, own_frames(cause))


def _is_machinery(traceback: TracebackType) -> bool:
    module = str(traceback.tb_frame.f_globals.get("__name__"))
    return module.startswith(("pagi.cli.", "importlib"))
