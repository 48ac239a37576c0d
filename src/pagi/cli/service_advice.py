"""What ``pagi check`` has to say about user, group, pid file, log files and a daemon."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pagi.server.config import Config
from pagi.server.errors import StartError
from pagi.server.worker.pid_file import holder
from pagi.server.worker.privileges import wanted_identity

__all__ = ["file_remarks", "service_advice"]


def service_advice(config: Config) -> Iterator[str]:
    """Yield remarks of one line."""
    process, logging = config.process, config.logging
    try:
        identity = wanted_identity(process)
    except StartError as error:
        yield error.message
    else:
        if identity is not None and identity.uid == 0:
            yield "user: the application would run as root"
    if process.pid_file is not None:
        yield from _pid_file(process.pid_file)
    if logging.log_file is not None:
        yield from file_remarks("log_file", logging.log_file)
    if process.daemon and logging.access_log == "-":
        yield "access_log: a daemon has no standard error; name a file, or use --no-access-log"
    if process.daemon and process.pid_file is None:
        yield "daemon: without pid_file it is hard to find out which process to stop"


def _pid_file(path: str) -> Iterator[str]:
    if os.path.isdir(path):
        yield f"pid_file: {path} is a directory; name a file in it"
        return
    yield from _directory("pid_file", path)
    pid = holder(path)
    if pid is not None:
        yield f"pid_file: {path} says that process {pid} serves now; stop it first"


def file_remarks(name: str, path: str) -> Iterator[str]:
    """Yield what keeps a log file from being written."""
    if os.path.isdir(path):
        yield f"{name}: {path} is a directory; name a file in it"
    elif os.path.exists(path):
        if not os.access(path, os.W_OK):
            yield f"{name}: {path} is not writable for this user"
    else:
        yield from _directory(name, path)


def _directory(name: str, path: str) -> Iterator[str]:
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        yield f"{name}: there is no directory {directory}; make it"
    elif not os.access(directory, os.W_OK | os.X_OK):
        yield f"{name}: this user cannot create {path}"
