"""What a socket is ready for, and who tells.

The constants are the values of epoll's EPOLLIN, EPOLLOUT, and EPOLLERR with EPOLLHUP. Linux has
fixed them for ever; elsewhere they are ours. For the compiler they are in ``readiness.pxd``.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Any, Final, Protocol

__all__ = ["READABLE", "TROUBLE", "WRITABLE", "Watcher"]

READABLE: Final = 1
WRITABLE: Final = 4
TROUBLE: Final = 24


class Watcher(Protocol):
    """Calls ``ready(events)`` of transports, which have a ``descriptor`` and wanted ``events``."""

    loop: AbstractEventLoop

    def watch(self, transport: Any) -> None:
        """Begin to watch."""

    def change(self, transport: Any) -> None:
        """Watch for other events."""

    def forget(self, transport: Any) -> None:
        """Watch no more."""

    def call_later(self, callback: Callable[[Any], None], argument: Any) -> None:
        """Call ``callback(argument)`` when nothing else is under way."""

    def close(self) -> None:
        """Stop for good."""
