"""`HTTP2Limits`: what one HTTP/2 peer may make us hold or do."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HTTP2Limits"]


@dataclass(frozen=True, slots=True)
class HTTP2Limits:
    """Bounds of the HTTP/2 machine. All sizes are in bytes.

    Attributes:
        max_concurrent_streams: requests at a time on one connection (RFC 9113 §5.1.2).
        window_size: of a request body, what may be on its way before the application reads; it is
            what each upload can make us hold.
        connection_window_size: the same for all streams of a connection together.
        max_frame_size: largest frame that the peer may send; 16,384 to 16,777,215.
        max_header_list_size: fields of a request, with 32 bytes added for each; beyond it 431.
        max_header_count: fields in a request; beyond it 431.
        max_target_size: longest ``:path``; beyond it 414.
        max_body_size: request body; beyond it 413. ``None``: no limit.
        max_resets: streams that the peer may reset, or make us reset, before the connection is
            closed: this many at once, and a tenth of it more in each second.
        max_idle_frames: frames that ask for nothing (PING, SETTINGS, PRIORITY, empty DATA,
            WINDOW_UPDATE beyond what was sent …) before the connection is closed: this many at
            once, and a tenth of it more in each second.
        max_continuations: CONTINUATION frames that one header section may take.
    """

    max_concurrent_streams: int = 100
    window_size: int = 262_144
    connection_window_size: int = 1_048_576
    max_frame_size: int = 16_384
    max_header_list_size: int = 65_536
    max_header_count: int = 100
    max_target_size: int = 16_384
    max_body_size: int | None = 104_857_600
    max_resets: int = 200
    max_idle_frames: int = 2_000
    max_continuations: int = 8
