"""The write direction: facade of the two implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

__all__ = ["ResponseSender"]

if TYPE_CHECKING or not compiled("pagi.protocol.http1._sender_c"):
    from pagi.protocol.http1._sender_py import ResponseSender
else:
    from pagi.protocol.http1._sender_c import ResponseSender
