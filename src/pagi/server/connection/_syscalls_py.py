"""Receiving and sending: Python twin."""

from __future__ import annotations

import socket as _socket
from socket import socket
from typing import Final

__all__ = ["receive", "take_bytes", "transmit"]

#: A peer that has gone is an error of the call, whatever SIGPIPE does.
_NO_SIGNAL: Final[int] = getattr(_socket, "MSG_NOSIGNAL", 0)


def take_bytes(buffer: bytearray, size: int) -> bytes:
    """Return the first ``size`` bytes of ``buffer``, copied once."""
    return bytes(memoryview(buffer)[:size])


def receive(sock: socket, descriptor: int, buffer: bytearray) -> bytes | None:
    """Return what a non-blocking socket has, at most as much as ``buffer`` holds.

    ``None`` if it has nothing now, empty at the end of the peer's bytes. Raises `OSError`.
    """
    try:
        return sock.recv(len(buffer))
    except BlockingIOError:
        return None


def transmit(sock: socket, descriptor: int, data: bytes) -> int:
    """Give a non-blocking socket bytes; return how many it took. Raises `OSError`."""
    try:
        return sock.send(data, _NO_SIGNAL)
    except BlockingIOError:
        return 0
