"""The HTTP/1 machine: facade of the two implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

__all__ = ["HTTP1Connection"]

if TYPE_CHECKING or not compiled("pagi.protocol.http1._connection_c"):
    from pagi.protocol.http1._connection_py import HTTP1Connection
else:
    from pagi.protocol.http1._connection_c import HTTP1Connection
