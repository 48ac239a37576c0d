"""Why a server could not start, and the exit status that says so.

    Exception
    └── StartError      the server cannot start; its text is one line for the operator

A status tells a supervisor or a script what kind of fault it was: none of the kinds goes away by
starting again unchanged, except perhaps `EXIT_LISTENING` and `EXIT_STARTUP`.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "EXIT_APPLICATION",
    "EXIT_CONFIGURATION",
    "EXIT_LISTENING",
    "EXIT_STARTUP",
    "EXIT_USAGE",
    "StartError",
]

#: The command line was wrong: unknown option, missing argument.
EXIT_USAGE: Final = 2
#: A value of the configuration is impossible, wherever it came from.
EXIT_CONFIGURATION: Final = 3
#: The application could not be loaded: no such module or attribute, or its import failed.
EXIT_APPLICATION: Final = 4
#: A listener could not be opened: address in use, permission denied, unknown host.
EXIT_LISTENING: Final = 5
#: The application refused to start, failed while starting, or took too long.
EXIT_STARTUP: Final = 6


class StartError(Exception):
    """The server cannot start.

    Attributes:
        message: one line that says what is wrong and what to do, without a traceback.
        exit_status: status for the process to exit with, one of the ``EXIT_`` constants.
        detail: more lines, such as a traceback that is text, or empty.
    """

    detail: str = ""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.message = message
        self.exit_status = exit_status

    def __reduce__(self) -> tuple[type[StartError], tuple[str, int]]:
        # A worker hands its error to the supervisor pickled; the default would lose the status.
        return type(self), (self.message, self.exit_status)
