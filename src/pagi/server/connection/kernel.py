"""What the system knows of a connection and no event tells. For ticks, not for requests."""

from __future__ import annotations

import select
import sys
from typing import Any, Final

try:
    from fcntl import ioctl
    from termios import FIONREAD, TIOCOUTQ
except ImportError:  # Windows
    ioctl = None  # type: ignore[assignment]  # told apart where it is used

__all__ = ["is_reset", "unacknowledged", "unread"]

_poll: Final[Any] = getattr(select, "poll", None)


def is_reset(descriptor: int) -> bool:
    """Tell whether the peer has reset the connection.

    uvloop reports a reset once, together with the bytes that came before it, and then no more: a
    transport that reads once for each report takes the bytes and never learns of it.
    """
    if _poll is None or descriptor < 0:
        return False
    poller = _poll()
    poller.register(descriptor, 0)
    return any(found & select.POLLERR for _, found in poller.poll(0))


def unread(descriptor: int) -> int:
    """Return how many bytes of the peer wait in the system; 0 if that cannot be told."""
    return 0 if ioctl is None else _ask(descriptor, FIONREAD)


def unacknowledged(descriptor: int) -> int:
    """Return how many bytes the system holds that the peer has not taken; 0 if unknown.

    It may be megabytes, and the transport can write on only after a third or so were taken.
    """
    return 0 if ioctl is None else _ask(descriptor, TIOCOUTQ)


def _ask(descriptor: int, request: int) -> int:
    if descriptor < 0:
        return 0
    try:
        return int.from_bytes(ioctl(descriptor, request, bytes(4)), sys.byteorder)
    except OSError:
        return 0
