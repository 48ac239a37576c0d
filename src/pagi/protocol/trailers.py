"""Fields that must not stand in a trailer section."""

from __future__ import annotations

from typing import Final

__all__ = ["may_be_trailer"]

# Framing, routing, request modifiers, authentication, how to treat the connection.
_FORBIDDEN: Final = frozenset(
    b"authorization cache-control connection cookie expect forwarded host if-match"
    b" if-modified-since if-none-match if-range if-unmodified-since keep-alive max-forwards pragma"
    b" proxy-authenticate proxy-authorization proxy-connection range set-cookie te trailer"
    b" transfer-encoding upgrade www-authenticate x-forwarded-for x-forwarded-host"
    b" x-forwarded-proto".split()
)


def may_be_trailer(name: bytes) -> bool:
    """Tell whether a field of this lower-case name may follow the body (RFC 9110 §6.5.1)."""
    return name not in _FORBIDDEN and not name.startswith(b"content-")
