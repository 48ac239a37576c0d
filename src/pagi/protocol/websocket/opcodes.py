"""Opcodes and bits of a frame head (RFC 6455 §5.2).

Plain integers beside no enum: the machines compare them for every frame, and the compiled one
keeps them in C.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "CONTINUATION",
    "FIN",
    "OP_BINARY",
    "OP_CLOSE",
    "OP_CONTROL",
    "OP_PING",
    "OP_PONG",
    "OP_TEXT",
    "RSV1",
    "RSV2_RSV3",
]

CONTINUATION: Final = 0
OP_TEXT: Final = 1
OP_BINARY: Final = 2
#: The bit that all control frames have.
OP_CONTROL: Final = 8
OP_CLOSE: Final = 8
OP_PING: Final = 9
OP_PONG: Final = 10

FIN: Final = 0x80
#: "Per-message compressed" (RFC 7692 §6).
RSV1: Final = 0x40
RSV2_RSV3: Final = 0x30
