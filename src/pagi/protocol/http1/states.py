"""The states of the two directions of an HTTP/1 connection.

The module-level names are plain integers: comparing a member through its class costs six times
as much, and the compiled machine keeps them in C.
"""

from __future__ import annotations

import enum
from typing import Final

__all__ = [
    "CHUNKED",
    "READ_BODY",
    "READ_CLOSED",
    "READ_DONE",
    "READ_HEAD",
    "READ_TUNNEL",
    "WRITE_BODY",
    "WRITE_CLOSED",
    "WRITE_DONE",
    "WRITE_HEAD",
    "WRITE_IDLE",
    "WRITE_TRAILERS",
    "WRITE_TUNNEL",
    "ReadState",
    "WriteState",
]


class ReadState(enum.IntEnum):
    """Where the peer is in its message (RFC 9112 §2.1, §6, §9.3)."""

    HEAD = 0
    BODY = 1
    DONE = 2
    TUNNEL = 3
    CLOSED = 4


class WriteState(enum.IntEnum):
    """Where we are in our answer."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    TRAILERS = 3
    DONE = 4
    TUNNEL = 5
    CLOSED = 6


READ_HEAD: Final = 0
READ_BODY: Final = 1
READ_DONE: Final = 2
READ_TUNNEL: Final = 3
READ_CLOSED: Final = 4

WRITE_IDLE: Final = 0
WRITE_HEAD: Final = 1
WRITE_BODY: Final = 2
WRITE_TRAILERS: Final = 3
WRITE_DONE: Final = 4
WRITE_TUNNEL: Final = 5
WRITE_CLOSED: Final = 6

#: Body length of a request that is not known before its end (RFC 9112 §6.3 rule 4).
CHUNKED: Final = -1
