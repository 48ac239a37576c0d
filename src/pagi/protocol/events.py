"""What a machine returns from ``receive_data``: facade of the two implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled
from pagi.protocol._events_py import Fields

__all__ = [
    "BodyReceived",
    "BytesReceived",
    "ConnectionEnded",
    "ConnectionFailed",
    "Event",
    "Fields",
    "MessageComplete",
    "RequestReceived",
    "StreamReset",
]

if TYPE_CHECKING or not compiled("pagi.protocol._events_c"):
    from pagi.protocol._events_py import (
        BodyReceived,
        BytesReceived,
        ConnectionEnded,
        ConnectionFailed,
        Event,
        MessageComplete,
        RequestReceived,
        StreamReset,
    )
else:
    from pagi.protocol._events_c import (
        BodyReceived,
        BytesReceived,
        ConnectionEnded,
        ConnectionFailed,
        Event,
        MessageComplete,
        RequestReceived,
        StreamReset,
    )
