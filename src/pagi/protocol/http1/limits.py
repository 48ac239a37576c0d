"""`HTTP1Limits`: what one HTTP/1 peer may make us hold or do."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HTTP1Limits"]


@dataclass(frozen=True, slots=True)
class HTTP1Limits:
    """Bounds of the HTTP/1 machine. All sizes are in bytes.

    Attributes:
        max_target_size: longest request target; beyond it 414.
        max_head_size: request line, fields and blank line together; beyond it 431. It is what a
            slow client can make the server hold.
        max_header_count: fields in a head; beyond it 431.
        max_body_size: request body, coding removed; beyond it 413. ``None``: no limit.
        max_chunk_line_size: chunk size line with its extensions; beyond it 400. Extensions carry
            nothing for us, so there is no reason for long ones.
        max_trailer_size: trailer section; beyond it 431.
        max_pipelined_size: bytes of following requests kept while a response is not complete;
            beyond it the driver stops reading.
        max_discarded_body: unread request body that is thrown away to save the connection;
            beyond it the connection is closed after the response.
    """

    max_target_size: int = 16_384
    max_head_size: int = 65_536
    max_header_count: int = 100
    max_body_size: int | None = 104_857_600
    max_chunk_line_size: int = 256
    max_trailer_size: int = 16_384
    max_pipelined_size: int = 65_536
    max_discarded_body: int = 65_536
