"""The slice `Proxies`: who is believed about the clients it speaks for, and how it tells."""

# The call that a dataclass must not have as a default is here one to `dataclasses.field`, inside
# `option`; ruff cannot see that.
# ruff: noqa: RUF009

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final, Literal, TypeAlias

from pagi.server.config.kinds import Choice, Kind, Texts
from pagi.server.config.option import option

__all__ = ["ANYBODY", "UNIX", "ForwardedFamily", "Proxies", "Trusted"]

#: Every peer.
ANYBODY: Final = "*"
#: The peers of Unix sockets, whom permissions keep apart.
UNIX: Final = "unix"

ForwardedFamily: TypeAlias = Literal["none", "x-forwarded", "forwarded"]

_FAMILY: Kind[ForwardedFamily] = Choice("none", "x-forwarded", "forwarded")


class Trusted(Texts):
    """Peers: addresses, networks, ``unix`` and ``*``."""

    unit = "list of peers"
    metavar = "PEER"
    expected = "write an address, a network such as 10.0.0.0/8, unix or *"

    def one(self, text: str) -> str:
        """Read an address or a network, of which no bits beyond its own are set."""
        if text == ANYBODY or text.lower() == UNIX:
            return text.lower()
        host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        try:
            network = ip_network(host, strict=False)
        except ValueError:
            raise ValueError(f"{text!r} is no peer; {self.expected}") from None
        if "/" not in host:
            return str(network.network_address)
        if ip_address(host.partition("/")[0]) != network.network_address:
            # Somebody meant the address or the network, and it matters which.
            raise ValueError(
                f"{text!r} is an address inside of a network; write {network} for the network, or "
                f"{host.partition('/')[0]} for the address"
            )
        return str(network)


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxies are believed, and about what."""

    trusted_proxies: tuple[str, ...] = option(
        (),
        Trusted(),
        "Proxies that are believed about their clients: addresses, networks, unix for the peers "
        "of Unix sockets, * for every peer. Repeatable.",
    )
    forwarded: ForwardedFamily = option(
        "x-forwarded",
        _FAMILY,
        "What trusted proxies state clients by: X-Forwarded-For, -Proto and -Host, or Forwarded "
        "(RFC 7239). The other is not read.",
    )
