"""`TrustedProxies`: which peers speak for clients, and what they state.

A connection asks once whether its peer is trusted. Where no proxy is configured, or the peer is
none, nothing more is done, for no request.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

from pagi.protocol.forwarded import (
    NOTHING,
    Address,
    read_forwarded,
    read_x_forwarded,
)
from pagi.server.config.proxies import ANYBODY, UNIX, ForwardedFamily

if TYPE_CHECKING:
    from pagi.protocol.events import Fields, RequestReceived
    from pagi.server.exchange.base import Exchange

__all__ = ["TrustedProxies"]

#: Addresses whose trust is remembered; proxies are few, but clients stand beside them in lists.
_REMEMBERED: Final = 4096


class TrustedProxies:
    """Networks of trusted proxies, and how they tell of their clients.

    Args:
        trusted: addresses, networks, ``unix`` and ``*``.
        family: the fields that are read.
        logger: told of what is not believed (debug).
    """

    __slots__ = ("_anybody", "_known", "_logger", "_networks", "_unix", "family")

    def __init__(
        self,
        trusted: Iterable[str],
        family: ForwardedFamily,
        logger: logging.Logger | None = None,
    ) -> None:
        words = set(trusted)
        self._logger = logger or logging.getLogger("pagi.connection")
        self._anybody = ANYBODY in words
        self._unix = UNIX in words
        self.family = family
        # By version and bits behind the prefix: as many look-ups as there are lengths of prefixes.
        self._networks: dict[tuple[int, int], set[int]] = {}
        for word in words - {ANYBODY, UNIX}:
            network = ip_network(word)
            behind = network.max_prefixlen - network.prefixlen
            prefix = int(network.network_address) >> behind
            self._networks.setdefault((network.version, behind), set()).add(prefix)
        self._known: dict[Address, bool] = {}

    def trusts_peer(self, host: str | None) -> bool:
        """Tell whether a peer is trusted; one without an address is that of a Unix socket."""
        if self._anybody:
            return True
        if host is None:
            return self._unix
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:  # no address: a transport of somebody else's
            return False
        if type(address) is IPv6Address:  # a listener for both versions shows IPv4 so
            address = address.ipv4_mapped or address
        return self.trusts(address)

    def trusts(self, address: Address) -> bool:
        """Tell whether a proxy that another one names is trusted.

        ``*`` trusts whoever is the peer, but not whomever the peer names: then the client could
        name itself.
        """
        known = self._known.get(address)
        if known is None:
            number = int(address)
            known = any(
                version == address.version and number >> behind in prefixes
                for (version, behind), prefixes in self._networks.items()
            )
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[address] = known
        return known

    def heeds(self, host: str | None) -> bool:
        """Tell whether the requests of a peer are looked at for what it states in fields."""
        return self.family != "none" and self.trusts_peer(host)

    def heed(self, request: RequestReceived, exchange: Exchange, template: dict[str, Any]) -> None:
        """Read what a trusted peer states in the fields of a request, and make it so.

        Args:
            request: its scheme and its host may change.
            exchange: its client may change, as the access log shows it.
            template: what its scope begins as; its client may change.
        """
        if self.family == "forwarded":
            said = read_forwarded(request.fields, self.trusts)
        else:
            said = read_x_forwarded(request.fields, self.trusts)
        if said is NOTHING:
            return
        if said.fault is not None:
            self._logger.debug("%s: not believed: %s", exchange.client, said.fault)
            return
        if said.client is not None:
            name, port, address = said.client
            template["client"] = None if address is None else (name, port)
            exchange.client = name
        if said.scheme is not None:
            request.scheme = said.scheme
        if said.host is not None:
            _set_host(request.fields, said.host)


def _set_host(fields: Fields, host: bytes) -> None:
    """Put another host into the fields of a request."""
    for index, (name, _) in enumerate(fields):
        if name == b"host":
            fields[index] = (b"host", host)
            return
    fields.insert(0, (b"host", host))
