"""Events and comments to bytes: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.protocol.sse._encoder_c"):
    from pagi.protocol.sse._encoder_py import CONTENT_TYPE, encode_comment, encode_event
else:
    from pagi.protocol.sse._encoder_c import CONTENT_TYPE, encode_comment, encode_event

__all__ = ["CONTENT_TYPE", "encode_comment", "encode_event"]
