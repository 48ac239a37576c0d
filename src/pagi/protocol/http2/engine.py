"""The one module that reaches ngh2, the binding of libnghttp2.

It is a dependency where there are wheels of it; without it everything but HTTP/2 works.
"""

from __future__ import annotations

from typing import Any, Final

from pagi.protocol.http2.limits import HTTP2Limits

try:
    import ngh2
    from ngh2 import events
except ImportError:  # pragma: no cover - there are wheels for all that is tested
    ngh2 = events = None  # type: ignore[assignment]

__all__ = [
    "AVAILABLE",
    "INCREMENTAL",
    "TOO_LATE",
    "events",
    "is_flood",
    "make_engine",
    "settings_of",
]

AVAILABLE: Final[bool] = ngh2 is not None

#: What the engine raises when a stream or the connection has ended meanwhile. We learn of such an
#: end by an event; until then, what is said to the stream is said to nobody.
TOO_LATE: Final[tuple[type[Exception], ...]] = (
    (ngh2.ConnectionStateError, ngh2.ConnectionClosingError, ngh2.StreamUnavailableError)
    if AVAILABLE
    else ()
)

#: What is served in turns with others of its kind (RFC 9218 §4.2); the urgency is the usual one.
INCREMENTAL: Final[Any] = ngh2.Priority(urgency=3, incremental=True) if AVAILABLE else None

_MAX_CONCURRENT_STREAMS: Final = 0x3
_INITIAL_WINDOW_SIZE: Final = 0x4
_MAX_FRAME_SIZE: Final = 0x5
_MAX_HEADER_LIST_SIZE: Final = 0x6
_ENABLE_CONNECT_PROTOCOL: Final = 0x8
_NO_RFC7540_PRIORITIES: Final = 0x9

#: Beyond its limits a header section is answered by 431; beyond this many times, by the end of
#: the connection, so that decoding it cannot be made to take memory.
_INTOLERABLE: Final = 4


def is_flood(error: Exception) -> bool:
    """Tell whether the engine has given up because there was too much of something."""
    return isinstance(error, ngh2.DenialOfServiceError)


def make_engine(limits: HTTP2Limits) -> Any:
    """Return an engine that has not begun.

    Its own rate limits are left so wide that those of `FrameGuard` come first.
    """
    return ngh2.Connection(
        ngh2.Role.SERVER,
        ngh2.Configuration(
            auto_window_update=False,
            max_continuations=limits.max_continuations,
            max_inbound_header_list_size=_INTOLERABLE * limits.max_header_list_size,
            max_inbound_header_count=_INTOLERABLE * limits.max_header_count + 16,
            # An answer's fields are the application's affair.
            max_send_header_block_length=1_048_576,
        ),
    )


def settings_of(limits: HTTP2Limits) -> dict[int, int]:
    """Return what SETTINGS announces (RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1)."""
    return {
        _MAX_CONCURRENT_STREAMS: limits.max_concurrent_streams,
        _INITIAL_WINDOW_SIZE: limits.window_size,
        _MAX_FRAME_SIZE: limits.max_frame_size,
        _MAX_HEADER_LIST_SIZE: limits.max_header_list_size,
        _ENABLE_CONNECT_PROTOCOL: 1,
        _NO_RFC7540_PRIORITIES: 1,
    }
