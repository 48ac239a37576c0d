"""``Sec-WebSocket-Extensions`` (RFC 6455 §9.1) and the offers of permessage-deflate in it."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from pagi.protocol.websocket.deflate import DeflateParameters
from pagi.protocol.websocket.limits import WebSocketLimits

__all__ = ["Parameters", "accept_offer", "read_extensions"]

#: Parameters of one offered extension in wire order; ``None`` where one has no value.
Parameters: TypeAlias = list[tuple[bytes, bytes | None]]

_TCHAR: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# A quoted value must be a token too, once it is unquoted.
_QUOTED: Final = rb'"((?:' + _TCHAR + rb"|\\" + _TCHAR + rb')+)"'
_NAME: Final = re.compile(rb"[ \t]*(" + _TCHAR + rb"+)[ \t]*")
_PARAMETER: Final = re.compile(
    rb";[ \t]*(" + _TCHAR + rb"+)[ \t]*(?:=[ \t]*(?:(" + _TCHAR + rb"+)|" + _QUOTED + rb")[ \t]*)?"
)
_ESCAPE: Final = re.compile(rb"\\(.)")
_EMPTY: Final = re.compile(rb"[ \t]*(?:,|\Z)")

_PARAMETERS: Final = {
    b"client_max_window_bits",
    b"client_no_context_takeover",
    b"server_max_window_bits",
    b"server_no_context_takeover",
}
_WINDOW_BITS: Final = {str(bits).encode(): bits for bits in range(8, 16)}
# zlib makes no raw stream for a window of 256 bytes.
_LEAST_WINDOW_BITS: Final = 9


def read_extensions(value: bytes) -> list[tuple[bytes, Parameters]] | None:
    """Return the extensions that one field value offers, or ``None`` if it is malformed."""
    found: list[tuple[bytes, Parameters]] = []
    pos = 0
    while pos < len(value):
        empty = _EMPTY.match(value, pos)
        if empty is not None:  # RFC 9110 §5.6.1.2
            pos = empty.end()
            continue
        name = _NAME.match(value, pos)
        if name is None:
            return None
        pos = name.end()
        parameters: Parameters = []
        while (parameter := _PARAMETER.match(value, pos)) is not None:
            token, quoted = parameter[2], parameter[3]
            if quoted is not None:
                token = _ESCAPE.sub(rb"\1", quoted)
            parameters.append((parameter[1], token))
            pos = parameter.end()
        if value[pos : pos + 1] not in (b"", b","):
            return None
        pos += 1
        found.append((name[1], parameters))
    return found


def accept_offer(parameters: Parameters, limits: WebSocketLimits) -> DeflateParameters | None:
    """Return what becomes of one offer of permessage-deflate, ``None`` if it is declined.

    RFC 7692 §7.1: an offer is declined if a parameter is unknown, repeated or has a value that it
    cannot have, or if it asks for a window of 256 bytes.
    """
    offered = dict(parameters)
    if len(offered) < len(parameters) or not offered.keys() <= _PARAMETERS:
        return None
    answer = b"permessage-deflate"
    for name in (b"server_no_context_takeover", b"client_no_context_takeover"):
        if name in offered:
            if offered[name] is not None:
                return None
            answer += b"; " + name
    server_bits = client_bits = 15
    if b"server_max_window_bits" in offered:
        server_bits = _window_bits(offered[b"server_max_window_bits"])
        if server_bits < _LEAST_WINDOW_BITS:
            return None
        # The value that was asked for, since some clients take no other; less is always in it.
        answer += b"; server_max_window_bits=%d" % server_bits
    if b"client_max_window_bits" in offered:
        value = offered[b"client_max_window_bits"]
        client_bits = 15 if value is None else _window_bits(value)
        if not client_bits:
            return None
        client_bits = min(client_bits, limits.deflate_window_bits)
        answer += b"; client_max_window_bits=%d" % client_bits
    return DeflateParameters(
        server_no_context_takeover=b"server_no_context_takeover" in offered,
        client_no_context_takeover=b"client_no_context_takeover" in offered,
        server_max_window_bits=min(server_bits, limits.deflate_window_bits),
        client_max_window_bits=client_bits,
        answer=answer,
    )


def _window_bits(value: bytes | None) -> int:
    """Return the number that a parameter has: 8 to 15 in plain digits, or 0 if it is none."""
    return 0 if value is None else _WINDOW_BITS.get(value, 0)
