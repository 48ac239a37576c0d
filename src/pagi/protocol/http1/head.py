"""Request heads from bytes, response heads to bytes: facade of the two implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

__all__ = ["parse_head", "serialize_head"]

if TYPE_CHECKING or not compiled("pagi.protocol.http1._head_c"):
    from pagi.protocol.http1._fields_py import serialize_head
    from pagi.protocol.http1._head_py import parse_head
else:
    from pagi.protocol.http1._fields_c import serialize_head
    from pagi.protocol.http1._head_c import parse_head
