"""`PidFile`: the number of the serving process, for scripts that send it signals."""

from __future__ import annotations

import os

from pagi.server.errors import EXIT_CONFIGURATION, StartError

__all__ = ["PidFile", "holder"]


class PidFile:
    """The file; belongs to one process.

    Args:
        path: where it is.
    """

    def __init__(self, path: str) -> None:
        # Whoever serves may change the current directory.
        self._path = os.path.abspath(path)
        self._pid = 0

    def check(self, predecessor: int | None = None) -> None:
        """See whether nobody else has the file.

        Args:
            predecessor: a process whose place this one takes.

        Raises:
            StartError: it names another process that is alive.
        """
        other = holder(self._path)
        if other is not None and other != predecessor:
            raise _fault(
                f"pid_file: {self._path} says that process {other} serves already; stop it, or "
                "remove the file if that process is something else"
            )

    def write(self, predecessor: int | None = None) -> None:
        """Write the number of this process; nobody ever reads a half of it.

        A file whose process is gone, or that holds no number, is replaced.

        Args:
            predecessor: as for `check`.

        Raises:
            StartError: another process has the file, or it cannot be written.
        """
        self.check(predecessor)
        self._pid = os.getpid()
        draft = f"{self._path}.{self._pid}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            _unlink(draft)
            descriptor = os.open(draft, flags, 0o644)
            try:
                os.write(descriptor, b"%d\n" % self._pid)
            finally:
                os.close(descriptor)
            os.replace(draft, self._path)
        except OSError as error:
            _unlink(draft)
            if predecessor is not None and self._overwrite():
                return
            raise _fault(f"pid_file: cannot write {self._path}: {error.strerror}") from None

    def _overwrite(self) -> bool:
        """Write into the file of a predecessor, where the directory is not ours."""
        try:
            with open(self._path, "r+b", buffering=0) as file:
                file.write(b"%d\n" % self._pid)
                file.truncate()
        except OSError:
            return False
        return True

    def remove(self) -> bool:
        """Remove it, if it is still ours; return whether it is gone."""
        if self._pid == os.getpid() and _read(self._path) == self._pid:
            return _unlink(self._path)
        return True


def holder(path: str) -> int | None:
    """Return the process, other than this one, that a file names and that is alive."""
    pid = _read(path)
    if pid is None or pid == os.getpid():
        return None
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        return pid  # it lives, and belongs to somebody else
    return pid


def _read(path: str) -> int | None:
    try:
        with open(path, "rb") as file:
            text = file.read(32).strip()
    except OSError:
        return None
    return int(text) or None if text.isdigit() else None


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _fault(text: str) -> StartError:
    return StartError(text, EXIT_CONFIGURATION)
