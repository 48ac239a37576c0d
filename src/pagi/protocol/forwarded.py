"""What proxies say of a request in its fields: ``X-Forwarded-*``, and ``Forwarded`` (RFC 7239).

Both are lists to which every proxy adds its part at the right end. What stands there is as true as
who wrote it is honest, so they are read from the right, and only as far as trusted proxies wrote:

    X-Forwarded-For: made up, 203.0.113.7, 10.0.0.2        from the trusted peer 10.0.0.1
                     └ by the client ┘     └ by 10.0.0.1, of 10.0.0.2
                              └ by 10.0.0.2, of the client: not trusted, so this is it

What is left of the client was never looked at, whatever it is: the client wrote it. If it counted,
a client could choose with a little rubbish whether it is seen at all. What trusted proxies wrote
must be right altogether, or nothing of it is believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple, TypeAlias

from pagi.protocol.grammar import QUOTED, TCHAR, is_host

__all__ = [
    "MAX_STEPS",
    "NOTHING",
    "Address",
    "Node",
    "Statement",
    "read_forwarded",
    "read_x_forwarded",
]

#: Parts of a list that are looked at, from the right; more proxies in a row there are not.
MAX_STEPS: Final = 32

_Fields: TypeAlias = Iterable[tuple[bytes, bytes]]
Address: TypeAlias = IPv4Address | IPv6Address
#: Tells whether a proxy at this address is trusted.
Trusts: TypeAlias = Callable[[Address], bool]

#: Longest element of Forwarded that is read, in bytes.
_MAX_ELEMENT: Final = 1024
_MAX_PORT: Final = 65_535
_SCHEMES: Final = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}

# node = nodename [ ":" node-port ]                                              RFC 7239 §6
# nodename = IPv4address / "[" IPv6address "]" / "unknown" / obfnode
# obfnode = "_" 1*( ALPHA / DIGIT / "." / "_" / "-")
_NODE: Final = re.compile(
    rb"(?:([0-9]++(?:\.[0-9]++){3})|\[([0-9A-Fa-f:.]++)\]|(unknown|_[0-9A-Za-z._-]++))"
    rb"(?::(?:([0-9]{1,5})|_[0-9A-Za-z._-]++))?",
    re.IGNORECASE,
)
# forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )             RFC 7239 §4
# forwarded-pair = token "=" value, value = token / quoted-string
# White space around ";" is not in the grammar, but in what is sent.
_PAIRS: Final = re.compile(b"(" + TCHAR + b"++)=(?:(" + TCHAR + b"++)|(" + QUOTED + b"))")
_PAIR: Final = b"(?:" + TCHAR + b"++=(?:" + TCHAR + b"++|" + QUOTED + b"))?+"
_ELEMENT: Final = re.compile(_PAIR + b"(?:[ \t]*+;[ \t]*+" + _PAIR + b")*+")


class Node(NamedTuple):
    """One party on the way of a request.

    Attributes:
        name: the address as text, ``unknown``, or what the proxy calls it (``_hidden``).
        port: 0 if it is not said.
        address: ``None`` if it is not said.
    """

    name: str
    port: int
    address: Address | None


class Statement(NamedTuple):
    """What trusted proxies say of a request.

    Attributes:
        client: who made it; ``None`` if they do not say.
        scheme: ``http`` or ``https``; ``None`` if they do not say.
        host: host and port that the client asked for; ``None`` if they do not say.
        fault: why nothing of it is believed; ``None`` if it is.
    """

    client: Node | None = None
    scheme: str | None = None
    host: bytes | None = None
    fault: str | None = None


NOTHING: Final = Statement()


class _Malformed(Exception):
    """The text says what is wrong."""


# --- X-Forwarded-* ----------------------------------------------------------------------------


def read_x_forwarded(fields: _Fields, trusts: Trusts) -> Statement:
    """Read ``X-Forwarded-For``, ``-Proto`` and ``-Host`` of a request whose peer is trusted.

    ``X-Forwarded-Port`` is not read: the port is in the host, and most proxies let that of a
    client pass.
    """
    clients: list[bytes] = []
    schemes: list[bytes] = []
    hosts: list[bytes] = []
    for name, value in fields:
        if name == b"x-forwarded-for":
            clients.append(value)
        elif name == b"x-forwarded-proto":
            schemes.append(value)
        elif name == b"x-forwarded-host":
            hosts.append(value)
    if not clients and not schemes and not hosts:
        return NOTHING
    try:
        return Statement(
            _rightmost(clients, trusts) if clients else None,
            _scheme(_single(schemes)) if schemes else None,
            _host(_single(hosts)) if hosts else None,
        )
    except _Malformed as fault:
        return Statement(fault=str(fault))


def _rightmost(values: list[bytes], trusts: Trusts) -> Node | None:
    """Return the rightmost node that is not trusted; if all are, the leftmost."""
    node = None
    # Nearly always there is one field with one member.
    single = len(values) == 1 and b"," not in values[0]
    for steps, member in enumerate(values if single else _from_the_right(values)):
        if steps == MAX_STEPS:
            raise _Malformed("too many proxies in a row")
        text = member.strip(b" \t")
        if not text:  # RFC 9110 §5.6.1: empty members are ignored
            continue
        node = _read_node(text) or _read_bare(text)
        if node is None:
            raise _Malformed("X-Forwarded-For has a member that is no address")
        if node.address is None or not trusts(node.address):
            break
    return node


def _from_the_right(values: list[bytes]) -> Iterator[bytes]:
    """Yield the members of a list that may be spread over several fields, the last one first."""
    for value in reversed(values):
        yield from reversed(value.rsplit(b",", MAX_STEPS + 1))


def _single(values: list[bytes]) -> bytes:
    if len(values) > 1 or b"," in values[0]:
        raise _Malformed("X-Forwarded-Proto or -Host is there twice")
    return values[0]


def _scheme(value: bytes) -> str:
    scheme = _SCHEMES.get(value.lower())
    if scheme is None:
        raise _Malformed("the scheme is neither http nor https")
    return scheme


@lru_cache(maxsize=256)
def _host(value: bytes) -> bytes:
    """Check a host; a site has few."""
    if not value or not is_host(value):
        raise _Malformed("the host is none")
    return value


# --- Forwarded --------------------------------------------------------------------------------


def read_forwarded(fields: _Fields, trusts: Trusts) -> Statement:
    """Read ``Forwarded`` of a request whose peer is trusted.

    Scheme and host are those of the element that states the client: that proxy spoke with it.
    """
    values = [value for name, value in fields if name == b"forwarded"]
    if not values:
        return NOTHING
    found: dict[bytes, bytes] = {}
    client = None
    try:
        for pairs in _elements(values):
            found = pairs
            if b"for" not in pairs:  # it does not say who comes next
                break
            client = _read_node(pairs[b"for"])
            if client is None:
                raise _Malformed("Forwarded has a node that is none")
            if client.address is None or not trusts(client.address):
                break
        return Statement(
            client,
            _scheme(found[b"proto"]) if b"proto" in found else None,
            _host(found[b"host"]) if b"host" in found else None,
        )
    except _Malformed as fault:
        return Statement(fault=str(fault))


def _elements(values: list[bytes]) -> Iterator[dict[bytes, bytes]]:
    """Yield the pairs of the elements, the last one first.

    A comma may also stand in a quoted string. An element is what fits the grammar, the shortest
    first: so a quotation mark that the client left open to the left of it swallows nothing. Inside
    of a quoted string nothing fits, because all quotation marks there have a backslash.
    """
    steps = 0
    for value in reversed(values):
        rest = b""
        for piece in reversed(value.rsplit(b",", MAX_STEPS + 1)):
            steps += 1
            if steps > MAX_STEPS:
                raise _Malformed("too many proxies in a row")
            rest = piece + b"," + rest if rest else piece
            if len(rest) > _MAX_ELEMENT:
                raise _Malformed("an element of Forwarded is too long")
            text = rest.strip(b" \t")
            if _ELEMENT.fullmatch(text) is not None:
                rest = b""
                if text:
                    yield _pairs(text)
        if rest:
            raise _Malformed("Forwarded does not fit its grammar")


def _pairs(element: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, token, quoted in _PAIRS.findall(element):
        name = name.lower()
        if name in found:  # "MUST NOT occur more than once per 'forwarded-element'"
            raise _Malformed("Forwarded has a parameter twice")
        found[name] = re.sub(rb"\\(.)", rb"\1", quoted[1:-1]) if quoted else token
    return found


# --- nodes ------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _read_node(text: bytes) -> Node | None:
    """Read a node as RFC 7239 §6 writes it. Clients come again, so they are remembered."""
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    old, new, name, digits = match.groups()
    port = int(digits) if digits else 0
    if port > _MAX_PORT:
        return None
    if name is not None:
        return Node(name.decode("ascii"), port, None)
    try:
        address = _plain(IPv6Address(new.decode())) if new else IPv4Address(old.decode())
    except ValueError:
        return None
    return Node(str(address), port, address)


@lru_cache(maxsize=1024)
def _read_bare(text: bytes) -> Node | None:
    """Read an address of IPv6 without brackets, as ``X-Forwarded-For`` has it."""
    try:
        if b"%" in text:  # a zone means something on the proxy's machine only
            return None
        address = _plain(IPv6Address(text.decode("ascii")))
    except ValueError:
        return None
    return Node(str(address), 0, address)


def _plain(address: IPv6Address) -> Address:
    """Return the address of IPv4 where one stands for it."""
    return address.ipv4_mapped or address
