"""What the network of this machine can do."""

from __future__ import annotations

import socket

__all__ = ["has_ipv6"]


def has_ipv6() -> bool:
    """Tell whether a socket can be bound to IPv6's own address."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True
