"""SETTINGS, ours and the peer's (RFC 9113 §6.5, RFC 8441 §3, RFC 9218 §2.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from pagi.protocol.http2.codes import FLOW_CONTROL_ERROR, NO_ERROR, PROTOCOL_ERROR
from pagi.protocol.http2.limits import HTTP2Limits

__all__ = ["DEFAULT_WINDOW", "PeerSettings", "own_settings", "read_settings"]

DEFAULT_WINDOW: Final = 65_535

_HEADER_TABLE_SIZE: Final = 0x1
_ENABLE_PUSH: Final = 0x2
_MAX_CONCURRENT_STREAMS: Final = 0x3
_INITIAL_WINDOW_SIZE: Final = 0x4
_MAX_FRAME_SIZE: Final = 0x5
_MAX_HEADER_LIST_SIZE: Final = 0x6
_ENABLE_CONNECT_PROTOCOL: Final = 0x8
_NO_RFC7540_PRIORITIES: Final = 0x9

_SWITCHES: Final = frozenset((_ENABLE_PUSH, _ENABLE_CONNECT_PROTOCOL, _NO_RFC7540_PRIORITIES))
_SMALLEST_FRAME: Final = 16_384
_LARGEST_FRAME: Final = 2**24 - 1
_LARGEST_WINDOW: Final = 2**31 - 1
_ENTRY: Final = struct.Struct(">HI")


@dataclass(slots=True)
class PeerSettings:
    """What a SETTINGS frame of the peer says of interest; ``None`` where it says nothing.

    Attributes:
        fault: code of the error of the connection that it is, or `NO_ERROR`.
        detail: what was wrong.
    """

    header_table_size: int | None = None
    initial_window_size: int | None = None
    max_frame_size: int | None = None
    fault: int = NO_ERROR
    detail: str = ""


def read_settings(payload: bytes) -> PeerSettings:
    """Read the entries of a frame, in their order (RFC 9113 §6.5.3)."""
    found = PeerSettings()
    for number, value in _ENTRY.iter_unpack(payload):
        if number == _HEADER_TABLE_SIZE:
            found.header_table_size = value
        elif number == _INITIAL_WINDOW_SIZE:
            found.initial_window_size = value
            if value > _LARGEST_WINDOW:
                found.fault, found.detail = FLOW_CONTROL_ERROR, "a window beyond all bounds"
        elif number == _MAX_FRAME_SIZE:
            found.max_frame_size = value
            if not _SMALLEST_FRAME <= value <= _LARGEST_FRAME:
                found.fault, found.detail = PROTOCOL_ERROR, "an impossible size of frames"
        elif number in _SWITCHES and value > 1:
            found.fault, found.detail = PROTOCOL_ERROR, "a switch that is neither on nor off"
    return found


def own_settings(limits: HTTP2Limits) -> bytes:
    """Return the payload of our SETTINGS."""
    return b"".join(
        _ENTRY.pack(number, value)
        for number, value in (
            (_MAX_CONCURRENT_STREAMS, limits.max_concurrent_streams),
            (_INITIAL_WINDOW_SIZE, limits.window_size),
            (_MAX_FRAME_SIZE, limits.max_frame_size),
            (_MAX_HEADER_LIST_SIZE, limits.max_header_list_size),
            (_ENABLE_CONNECT_PROTOCOL, 1),
            (_NO_RFC7540_PRIORITIES, 1),
        )
    )
