"""`WebSocketLimits`: what one WebSocket peer may make us hold or do."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WebSocketLimits"]


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """Bounds of the WebSocket machine. All sizes are in bytes.

    Attributes:
        max_message_size: longest message, inflated and in UTF-8; beyond it 1009, at the head of
            the frame that goes beyond it, or while it is inflated. It is what a peer can make the
            machine hold, together with a frame head.
        max_fragments: frames that one message may come in; beyond it 1009. A fragment costs no
            memory of its own, but it costs time, and a message of many is hardly ever honest.
        max_control_frames: pings, pongs and empty fragments a second, on average; beyond it 1008.
            Ten seconds' worth may come at once: peers that were suspended catch up.
        deflate: accept permessage-deflate (RFC 7692) if the peer offers it.
        deflate_min_size: smaller messages are sent as they are: deflated they are hardly shorter.
        deflate_window_bits: 9 to 15; window of both directions as a power of two, unless the peer
            asks for less. With 12 a WebSocket that deflates holds 38 KiB for it and one that
            inflates 11 KiB; 15 with memory level 8 is 262 and 39 KiB, and messages of a few KiB
            become hardly shorter.
        deflate_memory_level: 1 to 9; memory of the compressor, as zlib counts it.
    """

    max_message_size: int = 16_777_216
    max_fragments: int = 131_072
    max_control_frames: int = 100
    deflate: bool = True
    deflate_min_size: int = 1024
    deflate_window_bits: int = 12
    deflate_memory_level: int = 5
