"""What the system is asked for each request: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.connection._syscalls_c"):
    from pagi.server.connection._syscalls_py import (
        MAX_PIECES,
        is_cached,
        move_file,
        receive,
        take_bytes,
        transmit,
        transmit_pieces,
    )
else:
    from pagi.server.connection._syscalls_c import (
        MAX_PIECES,
        is_cached,
        move_file,
        receive,
        take_bytes,
        transmit,
        transmit_pieces,
    )

__all__ = [
    "MAX_PIECES",
    "is_cached",
    "move_file",
    "receive",
    "take_bytes",
    "transmit",
    "transmit_pieces",
]
