"""`Notifier`: tells the service manager how the server is (sd_notify(3)).

systemd gives a service of ``Type=notify`` the address of a datagram socket in ``NOTIFY_SOCKET``.
Each datagram is some lines of ``NAME=value``. With ``WatchdogSec=`` it also says, in
``WATCHDOG_USEC``, how long the server may be silent; the server speaks at half that time.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping
from time import monotonic
from typing import Final

__all__ = ["Notifier"]

_ADDRESS: Final = "NOTIFY_SOCKET"
_WATCHDOG: Final = "WATCHDOG_USEC"
_WATCHDOG_PID: Final = "WATCHDOG_PID"

_logger = logging.getLogger("pagi.server")


class Notifier:
    """Speaks to the service manager, if there is one. Nothing here raises or waits.

    Args:
        address: of its socket; a leading ``@`` stands for the NUL of an abstract one. Empty: there
            is nobody to speak to.
        watchdog: seconds after which it takes silence for death; ``None``: never.
    """

    def __init__(self, address: str = "", watchdog: float | None = None) -> None:
        self._socket = _connect(address) if address else None
        self._address = address
        self._watchdog = watchdog if self._socket is not None else None
        self._next: float | None = None

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Notifier:
        """Make it of variables, and remove them, so that no child speaks in our name."""
        address = environ.pop(_ADDRESS, "")
        span = environ.pop(_WATCHDOG, "")
        pid = environ.pop(_WATCHDOG_PID, "")
        meant = pid in ("", str(os.getpid())) and span.isascii() and span.isdigit()
        return cls(address, int(span) / 1e6 if meant and int(span) else None)

    def variables(self) -> dict[str, str]:
        """Return the variables from which a program that takes our place can make its own."""
        if self._socket is None:
            return {}
        found = {_ADDRESS: self._address}
        if self._watchdog is not None:
            found[_WATCHDOG] = str(round(self._watchdog * 1e6))
        return found

    @property
    def interval(self) -> float | None:
        """Seconds between two signs of life; ``None``: none are wanted."""
        return None if self._watchdog is None else self._watchdog / 2

    # ------------------------------------------------------------- what happens

    def ready(self, status: str) -> None:
        """The server serves; also at the end of what `reloading` began."""
        self.send("READY=1", f"MAINPID={os.getpid()}", f"STATUS={status}")
        self.tick(monotonic())

    def reloading(self) -> None:
        """A restart of the workers begins."""
        # The manager compares the time, by the same clock, with that of its own signal.
        microseconds = int(monotonic() * 1e6)
        self.send("RELOADING=1", f"MONOTONIC_USEC={microseconds}", "STATUS=restarting the workers")

    def stopping(self) -> None:
        """A stop begins."""
        self.send("STOPPING=1", "STATUS=stopping; open requests are answered")

    def tick(self, now: float) -> None:
        """Give a sign of life if it is time; called whenever the loop turns."""
        interval = self.interval
        if interval is not None and (self._next is None or now >= self._next):
            self._next = now + interval
            self.send("WATCHDOG=1")

    def deadline(self) -> float | None:
        """When to call `tick` next, in monotonic seconds; ``None``: it is all the same."""
        return self._next

    def send(self, *lines: str) -> None:
        """Send one datagram."""
        if self._socket is None:
            return
        try:
            self._socket.send("\n".join(lines).encode("utf-8", "replace"))
        except BlockingIOError:
            return  # it does not keep up; there will be another sign of life
        except OSError as error:
            _logger.warning("the service manager cannot be told: %s", error.strerror)

    def close(self) -> None:
        """Speak no more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._watchdog = self._next = None


def _connect(address: str) -> socket.socket | None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
    except OSError as error:
        sock.close()
        _logger.warning("NOTIFY_SOCKET %r cannot be reached: %s", address, error.strerror)
        return None
    return sock
