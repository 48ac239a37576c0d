"""The slice `Proxies`: who is believed about the clients it speaks for, and how it tells."""

# The call that a dataclass must not have as a default is here one to `dataclasses.field`, inside
# `option`; ruff cannot see that.
# ruff: noqa: RUF009

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final, Literal, TypeAlias

from pagi.server.config.kinds import NOTHING, Choice, Kind, text_of
from pagi.server.config.option import option

__all__ = ["ANYBODY", "UNIX", "ForwardedFamily", "Proxies", "Trusted"]

#: Every peer.
ANYBODY: Final = "*"
#: The peers of Unix sockets, whom permissions keep apart.
UNIX: Final = "unix"

ForwardedFamily: TypeAlias = Literal["none", "x-forwarded", "forwarded"]

_FAMILY: Kind[ForwardedFamily] = Choice("none", "x-forwarded", "forwarded")


class Trusted(Kind["tuple[str, ...]"]):
    """Peers: addresses, networks, ``unix`` and ``*``."""

    unit = "list of peers"
    metavar = "PEER"
    expected = "write an address, a network such as 10.0.0.0/8, unix or *"
    repeatable = True

    def read(self, text: str) -> tuple[str, ...]:
        """Read peers separated by commas, or ``none``."""
        if text.lower() in NOTHING:
            return ()
        return tuple(self._one(part.strip()) for part in text.split(",") if part.strip())

    def accept(self, value: object) -> tuple[str, ...]:
        """Take text or a sequence of texts."""
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(self._one(text_of(self, item)) for item in value)
        return self.read(text_of(self, value))

    def _one(self, text: str) -> str:
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

    def show(self, value: tuple[str, ...]) -> str:
        """Return the peers, separated by commas, or ``none``."""
        return ",".join(value) or "none"

    def native(self, value: tuple[str, ...]) -> object:
        """Return a list."""
        return list(value)


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
