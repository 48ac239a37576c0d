"""What a serving process does to itself: umask, pid file, user and group, the file of its log.

prepare       before anything is opened; finds out what can not be done
settled       with the listeners open, which may take root, and before the application is loaded
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from pagi.server.config import Config
from pagi.server.errors import StartError
from pagi.server.worker.logs import configure
from pagi.server.worker.pid_file import PidFile
from pagi.server.worker.privileges import wanted_identity
from pagi.server.worker.starter import Starter

__all__ = ["prepare", "settled"]


def prepare(config: Config, starter: Starter) -> None:
    """Set the umask and see whether the rest will be possible.

    Args:
        config: the whole configuration.
        starter: knows whether this process takes the place of another.

    Raises:
        StartError: there is no such user, or another process has the pid file.
    """
    log = config.logging
    configure(log.log_level, log.log_format, log.quiet)
    process = config.process
    wanted_identity(process)
    if process.pid_file is not None:
        PidFile(process.pid_file).check(_predecessor(starter))
    if process.umask is not None:
        os.umask(process.umask)


@contextmanager
def settled(config: Config, starter: Starter) -> Iterator[None]:
    """Write the pid file, become the user, open the log; at the end remove the pid file.

    Args:
        config: the whole configuration.
        starter: knows whether this process takes the place of another; then the pid file is that
            one's until it does.

    Raises:
        StartError: one of them is not possible.
    """
    process, log = config.process, config.logging
    identity = wanted_identity(process)
    pid_file = None if process.pid_file is None else PidFile(process.pid_file)
    predecessor = _predecessor(starter)
    if pid_file is not None and predecessor is None:
        pid_file.write()
    elif pid_file is not None:
        starter.at_relief(partial(_take_over, pid_file, predecessor))
    try:
        if identity is not None:
            identity.take_on()
        if log.log_file is not None:
            configure(log.log_level, log.log_format, log.quiet, path=log.log_file)
        yield
    finally:
        if pid_file is not None and not pid_file.remove():
            # The directory is root's, who we are no more.
            logging.getLogger("pagi.server").info(
                "the pid file %s stays; the next start replaces it", process.pid_file
            )


def _predecessor(starter: Starter) -> int | None:
    return None if starter.predecessor is None else starter.predecessor.pid


def _take_over(pid_file: PidFile, predecessor: int | None) -> None:
    try:
        pid_file.write(predecessor)
    except StartError as error:  # the server serves: this is no reason to end it
        logging.getLogger("pagi.server").error("%s", error.message)
