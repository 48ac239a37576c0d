"""`Inherited`: listening sockets that the program which started us has opened.

systemd passes the sockets of a ``.socket`` unit as the descriptors from 3 on; ``LISTEN_FDS`` says
how many, ``LISTEN_PID`` for which process they are, ``LISTEN_FDNAMES`` what they are called
(sd_listen_fds(3)). They stay open while the service is restarted, so no client is refused.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from pagi.server.config import Config, Listen, Listening
from pagi.server.worker.predecessor import Handed
from pagi.server.worker.sockets import BoundSocket, adopt_fd

__all__ = ["Claim", "Inherited"]

_FIRST: Final = 3
_PLACES: Final = ("host", "port", "socket", "fd", "listen")
_Address: TypeAlias = tuple[str, int] | str

_logger = logging.getLogger("pagi.server")


class _Passed(NamedTuple):
    """One descriptor.

    Attributes:
        descriptor: its number.
        name: what the other program calls it.
        addresses: what it accepts connections at; more than one for ``::`` that takes IPv4 too.
            Empty for something else than a listening socket.
        place: of a predecessor's socket, the specification that it was opened for; else empty.
        path: of a predecessor's socket, the file that is ours to remove.
    """

    descriptor: int
    name: str
    addresses: tuple[_Address, ...]
    place: str = ""
    path: str | None = None

    def __str__(self) -> str:
        where = "no listening socket"
        if self.addresses:
            first = self.addresses[0]
            where = first if isinstance(first, str) else "{}:{}".format(*first)
        name = f"{self.name}, " if self.name else ""
        return f"{self.descriptor} ({name}{where})"


class Claim(NamedTuple):
    """Where to listen.

    Attributes:
        places: all of them.
        sockets: those of places that were passed; the others are still to be opened.
    """

    places: list[Listen]
    sockets: dict[Listen, list[BoundSocket]]

    def close(self) -> None:
        """Close the sockets that nobody has taken out."""
        for sockets in self.sockets.values():
            for bound in sockets:
                bound.close()


class Inherited:
    """Sockets that were passed and wait to be taken.

    Args:
        descriptors: their numbers, and what they are called.
        handed: those of a predecessor, each for the place that it was opened for.
    """

    def __init__(
        self, descriptors: dict[int, str] | None = None, handed: Sequence[Handed] = ()
    ) -> None:
        self._passed = [
            _Passed(number, name, tuple(_addresses(number)))
            for number, name in (descriptors or {}).items()
        ]
        self._passed += [
            _Passed(each.descriptor, "", tuple(_addresses(each.descriptor)), each.place, each.path)
            for each in handed
            if each.number == 1
        ]
        self._more = [each for each in handed if each.number > 1]

    @classmethod
    def take(cls, environ: MutableMapping[str, str], descriptors: int = _FIRST) -> Inherited:
        """Make it of variables, and remove them: what we start must not take them for its own.

        Args:
            environ: the variables.
            descriptors: number of the first.
        """
        count = environ.pop("LISTEN_FDS", "")
        pid = environ.pop("LISTEN_PID", "")
        names = environ.pop("LISTEN_FDNAMES", "").split(":")
        if pid != str(os.getpid()) or not (count.isascii() and count.isdigit()):
            return cls()
        numbers = range(descriptors, descriptors + int(count))
        return cls(dict(zip(numbers, names + [""] * int(count), strict=False)))

    def claim(self, config: Config) -> Claim:
        """Take the sockets of the places to listen at; close those of none, with a warning.

        If the configuration names no place, the server listens at all of them.

        Raises:
            StartError: a socket that is wanted is none that connections can be accepted from.
        """
        places = list(config.listening.addresses())
        claim = Claim(places, {})
        try:
            unplaced = [each for each in self._passed if not each.place]
            if unplaced and _names_no_place(config):
                places[:1] = [Listen.inherited(each.descriptor) for each in unplaced]
            for place in places:
                matching = [each for each in self._passed if _is_at(place, each)]
                if matching:
                    claim.sockets[place] = [
                        adopt_fd(each.descriptor, each.path) for each in matching
                    ]
                    self._passed = [each for each in self._passed if each not in matching]
        except BaseException:
            claim.close()
            raise
        self._close_rest()
        return claim

    def claim_for(self, number: int, place: str) -> BoundSocket | None:
        """Take the socket that a predecessor's worker of this number had of its own, if any."""
        for each in self._more:
            if (each.number, each.place) == (number, place):
                self._more.remove(each)
                return adopt_fd(each.descriptor)
        return None

    def close(self) -> None:
        """Close what a predecessor's workers had and nobody has taken."""
        for each in self._more:
            os.close(each.descriptor)
        self._more = []

    def _close_rest(self) -> None:
        for each in self._passed:
            _logger.warning(
                "the inherited descriptor %s is none of the listeners and is closed", each
            )
            try:
                os.close(each.descriptor)
            except OSError:
                pass  # it was never open
        self._passed = []


def _names_no_place(config: Config) -> bool:
    untold = Listening()
    return all(
        config.sources.get(name, "default") == "default"
        and getattr(config.listening, name) == getattr(untold, name)
        for name in _PLACES
    )


def _addresses(descriptor: int) -> Iterator[_Address]:
    try:
        sock = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return
    with sock:
        if sock.family == socket.AF_UNIX:
            name = sock.getsockname()
            yield name if isinstance(name, str) else os.fsdecode(name)
        elif sock.family in (socket.AF_INET, socket.AF_INET6):
            host, port = sock.getsockname()[:2]
            yield host, port
            if host == "::" and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
                yield "0.0.0.0", port


def _is_at(place: Listen, passed: _Passed) -> bool:
    if passed.place:
        return passed.place == str(place)
    if place.kind == "fd":
        return place.fd == passed.descriptor
    if place.kind == "unix":
        path = os.path.realpath(place.path)
        return any(isinstance(a, str) and os.path.realpath(a) == path for a in passed.addresses)
    return bool(_resolve(place.host, place.port) & set(passed.addresses))


def _resolve(host: str, port: int) -> set[_Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:  # said when it is opened
        return set()
    return {(str(address[0]), int(address[1])) for *_, address in found}
