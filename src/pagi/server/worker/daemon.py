"""A server in the background: the process that was started waits until it is ready, or has failed.

    started ──fork──► leader of a new session ──fork──► the daemon
       │                        │ends                      │ told: warnings, errors, the outcome
       └────────── waits at the other end of a pipe ◄──────┘

The second fork is so that the daemon leads no session and can never get a terminal. Its standard
input, output and error are ``/dev/null``; its current directory stays as it is, so that relative
paths mean the same.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Final

from pagi.server.worker.logs import TextFormatter

__all__ = ["Relay", "detach", "end_relay"]

_FAILED: Final = 1
_TEXT: Final = "text"
_STATUS: Final = "status"


class Relay(logging.Handler):
    """Tells the process that waits what happens: warnings, errors, and at last the outcome.

    Args:
        descriptor: the end of the pipe to write to.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(TextFormatter())
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        self._tell({_TEXT: self.format(record)})

    def end(self, status: int, text: str = "") -> None:
        """Let the process that waits end with this status, after it has printed the text."""
        self._tell({_TEXT: text, _STATUS: status})
        end_relay()

    def _tell(self, message: dict[str, str | int]) -> None:
        try:
            os.write(self._descriptor, json.dumps(message).encode("ascii") + b"\n")
        except OSError:
            pass  # nobody waits any more

    def close(self) -> None:
        """Close the pipe."""
        super().close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def end_relay() -> None:
    """Have nothing to do any more with the process that waits; harmless if there is none."""
    tree = logging.getLogger("pagi")
    for handler in [each for each in tree.handlers if isinstance(each, Relay)]:
        tree.removeHandler(handler)
        handler.close()


def detach() -> Relay:
    """Go on in the background; only the daemon returns from this.

    Only for a process without other threads: they would be missing in the daemon.
    """
    outlet, inlet = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    leader = os.fork()
    if leader:
        os.close(inlet)
        os.waitpid(leader, 0)
        os._exit(_wait(outlet))
    os.setsid()
    if os.fork():
        os._exit(0)
    os.close(outlet)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)
    relay = Relay(inlet)
    logging.getLogger("pagi").addHandler(relay)
    return relay


def _wait(outlet: int) -> int:
    """Print what the daemon tells; return the exit status."""
    with os.fdopen(outlet, encoding="ascii") as lines:
        for line in lines:
            message = json.loads(line)
            if message[_TEXT]:
                print(message[_TEXT], file=sys.stderr, flush=True)
            if _STATUS in message:
                return int(message[_STATUS])
    print("pagi: the server ended before it was ready", file=sys.stderr, flush=True)
    return _FAILED
