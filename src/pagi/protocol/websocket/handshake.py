"""The opening handshake (RFC 6455 §4.2, RFC 8441 §5), server side: functions without state.

ProtocolError
└── RemoteProtocolError
    └── HandshakeError          the request is no opening handshake; carries fields too
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1
from typing import Final

from pagi.protocol.errors import LocalProtocolError, RemoteProtocolError
from pagi.protocol.events import Fields, RequestReceived
from pagi.protocol.grammar import TOKEN
from pagi.protocol.websocket.deflate import DeflateParameters
from pagi.protocol.websocket.extensions import Parameters, accept_offer, read_extensions
from pagi.protocol.websocket.limits import WebSocketLimits

__all__ = [
    "Handshake",
    "HandshakeError",
    "accept_fields",
    "accept_value",
    "negotiate_deflate",
    "read_handshake",
    "refusal_fields",
]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# base64 of 16 bytes                                                            RFC 6455 §4.1
_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")
_DEFLATE: Final = b"permessage-deflate"
# Fields of the answer that are the handshake's, the hop's, or would frame a body.
_OURS: Final = frozenset(
    (b"connection", b"content-length", b"keep-alive", b"transfer-encoding", b"upgrade")
)


class HandshakeError(RemoteProtocolError):
    """The request asks for a WebSocket in a way that is not right.

    Attributes:
        fields: what the answer must have beside what every error has.
    """

    def __init__(self, detail: str, status: int = 400, fields: Fields | None = None) -> None:
        super().__init__(detail, status)
        self.fields: Fields = fields or []


class Handshake:
    """An opening handshake that is right.

    Attributes:
        key: value of ``Sec-WebSocket-Key``; ``None`` on HTTP/2, which needs none.
        subprotocols: what the client offers, its favourite first.
        deflate_offers: the offers of permessage-deflate, its favourite first.
        origin: value of ``Origin``; browsers always send it (RFC 6455 §10.2).
    """

    __slots__ = ("deflate_offers", "key", "origin", "subprotocols")

    def __init__(
        self,
        key: bytes | None,
        subprotocols: list[str],
        deflate_offers: list[Parameters],
        origin: bytes | None,
    ) -> None:
        self.key = key
        self.subprotocols = subprotocols
        self.deflate_offers = deflate_offers
        self.origin = origin


def read_handshake(request: RequestReceived) -> Handshake:
    """Check a request whose ``upgrade`` is ``websocket`` and return what it offers.

    On HTTP/2 that is an extended CONNECT with ``:protocol`` ``websocket``, on HTTP/1 a GET.

    Raises:
        HandshakeError: 426 for another version than 13 (RFC 6455 §4.4), 400 for all else.
    """
    values = _values(request.fields)
    multiplexed = request.http_version == "2"
    if request.upgrade != b"websocket":
        raise HandshakeError("the request does not ask for a WebSocket")
    if request.method != ("CONNECT" if multiplexed else "GET"):
        raise HandshakeError("a WebSocket is opened by another method")
    if values.get(b"sec-websocket-version") != [b"13"]:
        raise HandshakeError(
            "the version of WebSocket is not 13",
            426,
            [(b"sec-websocket-version", b"13"), (b"upgrade", b"websocket")],
        )
    if not multiplexed and not request.end:
        raise HandshakeError("the request for a WebSocket has a body")
    origins = values.get(b"origin", [None])
    if len(origins) > 1:
        raise HandshakeError("Origin is given twice")
    return Handshake(
        None if multiplexed else _read_key(values),
        _read_subprotocols(values.get(b"sec-websocket-protocol", [])),
        _read_deflate_offers(values.get(b"sec-websocket-extensions", [])),
        origins[0],
    )


def _values(fields: Fields) -> dict[bytes, list[bytes | None]]:
    """Return the values of each field that matters here."""
    found: dict[bytes, list[bytes | None]] = {}
    for name, value in fields:
        if name == b"origin" or name.startswith(b"sec-websocket-"):
            found.setdefault(name, []).append(value)
    return found


def _read_key(values: dict[bytes, list[bytes | None]]) -> bytes:
    keys = values.get(b"sec-websocket-key", [])
    if len(keys) != 1 or keys[0] is None or _KEY.fullmatch(keys[0]) is None:
        raise HandshakeError("Sec-WebSocket-Key is not one value of 16 bytes in base64")
    return keys[0]


def _read_subprotocols(values: list[bytes | None]) -> list[str]:
    """RFC 6455 §4.1: tokens, all different."""
    found: list[str] = []
    for value in values:
        for member in (value or b"").split(b","):
            name = member.strip(b" \t")
            if not name:  # RFC 9110 §5.6.1.2
                continue
            if TOKEN.fullmatch(name) is None:
                raise HandshakeError("a subprotocol is not a token")
            found.append(name.decode())
    if len(set(found)) < len(found):
        raise HandshakeError("a subprotocol is offered twice")
    return found


def _read_deflate_offers(values: list[bytes | None]) -> list[Parameters]:
    """RFC 6455 §9.1: what is malformed fails the handshake, what is unknown is passed over."""
    offers: list[Parameters] = []
    for value in values:
        extensions = read_extensions(value or b"")
        if extensions is None:
            raise HandshakeError("Sec-WebSocket-Extensions is malformed")
        offers += [parameters for name, parameters in extensions if name == _DEFLATE]
    return offers


def refusal_fields(error: RemoteProtocolError) -> Fields:
    """Return the fields that the answer to ``error`` must have beside what every error has."""
    return error.fields if isinstance(error, HandshakeError) else []


def negotiate_deflate(handshake: Handshake, limits: WebSocketLimits) -> DeflateParameters | None:
    """Return what the first offer that is acceptable comes to (RFC 7692 §7.1), if there is one."""
    if limits.deflate:
        for offer in handshake.deflate_offers:
            parameters = accept_offer(offer, limits)
            if parameters is not None:
                return parameters
    return None


def accept_value(key: bytes) -> bytes:
    """Return the ``Sec-WebSocket-Accept`` that belongs to a key (RFC 6455 §4.2.2)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def accept_fields(
    handshake: Handshake,
    *,
    subprotocol: str | None,
    fields: Fields,
    deflate: DeflateParameters | None,
) -> Fields:
    """Return the fields of the answer that accepts; ``switch`` of the HTTP machine adds its own.

    Args:
        handshake: what the client offered.
        subprotocol: the one that is chosen, or ``None``.
        fields: the application's fields. Whether they are fit for the wire is for the HTTP
            machine to say.
        deflate: what was agreed by `negotiate_deflate`.

    Raises:
        LocalProtocolError: the subprotocol was not offered, or a field is one of the handshake's.
    """
    answer: Fields = []
    if handshake.key is not None:
        answer.append((b"sec-websocket-accept", accept_value(handshake.key)))
    if subprotocol is not None:
        if subprotocol not in handshake.subprotocols:
            raise LocalProtocolError(f"subprotocol {subprotocol!r:.60} was not offered")
        answer.append((b"sec-websocket-protocol", subprotocol.encode()))
    if deflate is not None:
        answer.append((b"sec-websocket-extensions", deflate.answer))
    for field in fields:
        name = field[0] if isinstance(field, (tuple, list)) and field else None
        lower = name.lower() if isinstance(name, bytes) else b""
        if lower in _OURS or lower.startswith(b"sec-websocket-"):
            raise LocalProtocolError(f"field {name!r:.60} belongs to the handshake")
    return answer + fields
