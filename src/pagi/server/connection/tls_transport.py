"""`TLSTransport`: facade over the compiled and the Python twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagi._build import compiled

if TYPE_CHECKING or not compiled("pagi.server.connection._tls_transport_c"):
    from pagi.server.connection._tls_transport_py import TLSTransport
else:
    from pagi.server.connection._tls_transport_c import TLSTransport

__all__ = ["TLSTransport"]
