"""Error codes, frame types and settings by their names (RFC 9113 §6, §7, §11)."""

from __future__ import annotations

from typing import Final

__all__ = [
    "CANCEL",
    "COMPRESSION_ERROR",
    "ENHANCE_YOUR_CALM",
    "ERROR_NAMES",
    "FLOW_CONTROL_ERROR",
    "FRAME_SIZE_ERROR",
    "INTERNAL_ERROR",
    "NO_ERROR",
    "PREFACE",
    "PROTOCOL_ERROR",
    "REFUSED_STREAM",
    "RESET_CODES",
    "STREAM_CLOSED",
    "goaway_frame",
]

NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
INTERNAL_ERROR: Final = 2
FLOW_CONTROL_ERROR: Final = 3
STREAM_CLOSED: Final = 5
FRAME_SIZE_ERROR: Final = 6
REFUSED_STREAM: Final = 7
CANCEL: Final = 8
COMPRESSION_ERROR: Final = 9
ENHANCE_YOUR_CALM: Final = 11

#: The names of the codes, by their numbers.
ERROR_NAMES: Final = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)

#: With which code a stream is reset, by the reason; `INTERNAL_ERROR` where it is not here.
RESET_CODES: Final = {
    "app_abort": CANCEL,
    "client_closed": CANCEL,
    "client_timeout": CANCEL,
    "idle_timeout": CANCEL,
    "write_timeout": CANCEL,
    "protocol_error": PROTOCOL_ERROR,
    "server_shutdown": CANCEL,
    "body_too_large": CANCEL,
    "queue_overflow": ENHANCE_YOUR_CALM,
}

#: What a client sends first (RFC 9113 §3.4).
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

_GOAWAY: Final = 7


def goaway_frame(last_stream_id: int, code: int, detail: bytes = b"") -> bytes:
    """Return a GOAWAY frame (RFC 9113 §6.8); ``detail`` is for whoever looks at the wire."""
    size = 8 + len(detail)
    return b"%b%b%b%b%b" % (
        size.to_bytes(3, "big"),
        bytes((_GOAWAY, 0, 0, 0, 0, 0)),
        last_stream_id.to_bytes(4, "big"),
        code.to_bytes(4, "big"),
        detail,
    )
