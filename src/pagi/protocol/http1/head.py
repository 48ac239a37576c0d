"""Request heads from bytes, response heads to bytes: facade of the two implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

__all__ = [
    "Notes",
    "assemble_head",
    "check_prefix",
    "length_line",
    "parse_field",
    "parse_head",
    "serialize_head",
]

from pagi.protocol.http1._head_py import Notes, check_prefix, parse_field

if TYPE_CHECKING or not compiled("pagi.protocol.http1._head_c"):
    from pagi.protocol.http1._head_py import (
        assemble_head,
        length_line,
        parse_head,
        serialize_head,
    )
else:
    from pagi.protocol.http1._head_c import assemble_head, length_line, parse_head, serialize_head
