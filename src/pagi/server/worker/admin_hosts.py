"""`HostGuard`: which values of ``Host`` an admin listener answers to.

A web page that somebody visits on this machine may let its own name resolve to 127.0.0.1 (DNS
rebinding); the browser then takes what is read here for the page's own. Such a request carries the
page's name as its host. Probes, collectors and people ask by address.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from pagi.server.config import Listen

__all__ = ["HostGuard"]


class HostGuard:
    """Knows the names of admin listeners.

    Args:
        places: where they listen, as configured.
    """

    def __init__(self, places: Iterable[Listen]) -> None:
        self._names = {"localhost"}
        self._names.update(p.host.lower().rstrip(".") for p in places if p.kind == "tcp")

    def refuses(self, scope: Any) -> bool:
        """Tell whether a request came by TCP and under a strange name."""
        server = scope.get("server")
        if server is None or server[1] is None:  # a Unix socket, which no browser reaches
            return False
        return not all(
            self._is_own(value.decode("latin-1"))
            for name, value in scope["headers"]
            if name == b"host"
        )

    def _is_own(self, host: str) -> bool:
        if host.startswith("["):
            name = host[1:].partition("]")[0]
        else:
            name = host.rpartition(":")[0] if ":" in host else host
        name = name.lower().rstrip(".")
        return name in self._names or _is_address(name)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
