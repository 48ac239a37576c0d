"""``Sec-WebSocket-Extensions`` (RFC 6455 §9.1) and the offers in it (RFC 7692 §7.1)."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.protocol.websocket.deflate import DeflateParameters
from pagi.protocol.websocket.extensions import accept_offer, read_extensions
from pagi.protocol.websocket.limits import WebSocketLimits

NAME = b"permessage-deflate"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"", []),
        (b"a", [(b"a", [])]),
        (b" a\t", [(b"a", [])]),
        (b"a, b", [(b"a", []), (b"b", [])]),
        (b",a,, ,b,", [(b"a", []), (b"b", [])]),
        (b"a;x", [(b"a", [(b"x", None)])]),
        (
            b"a ; x ; y = 1 , b;z=\t2",
            [(b"a", [(b"x", None), (b"y", b"1")]), (b"b", [(b"z", b"2")])],
        ),
        (b'a;x="12"', [(b"a", [(b"x", b"12")])]),
        (b'a;x="1\\2"; y', [(b"a", [(b"x", b"12"), (b"y", None)])]),
        (b"a;x;x=1", [(b"a", [(b"x", None), (b"x", b"1")])]),
        (b"!#$%&'*+-.^_`|~", [(b"!#$%&'*+-.^_`|~", [])]),
    ],
)
def test_values(value: bytes, found: list[Any]) -> None:
    assert read_extensions(value) == found


@pytest.mark.parametrize(
    "value",
    [
        b";",
        b"a;",
        b"a;;x",
        b"a; =1",
        b"a;x=",
        b"a;x=,b",
        b"a b",
        b"a;x y",
        b"a=1",
        b'a;x=""',
        b'a;x="1',
        b'a;x="1 2"',
        b'a;x="1\\"',
        b'a;x="1,2"',
        b'a;x="1"2',
        b"a;x=1=2",
        b"a/b",
        b"a;x=(1)",
        b"\xe4",
        b'"a"',
        b", ;",
    ],
)
def test_malformed_values(value: bytes) -> None:
    assert read_extensions(value) is None


def _accept(offer: bytes, **limits: Any) -> DeflateParameters | None:
    extensions = read_extensions(NAME + offer)
    assert extensions is not None
    return accept_offer(extensions[0][1], WebSocketLimits(**limits))


@pytest.mark.parametrize(
    ("offer", "ours", "theirs", "answer"),
    [
        (b"", 12, 15, b""),
        (b"; client_max_window_bits", 12, 12, b"; client_max_window_bits=12"),
        (b"; client_max_window_bits=15", 12, 12, b"; client_max_window_bits=12"),
        (b"; client_max_window_bits=10", 12, 10, b"; client_max_window_bits=10"),
        (b"; client_max_window_bits=8", 12, 8, b"; client_max_window_bits=8"),
        (b'; client_max_window_bits="9"', 12, 9, b"; client_max_window_bits=9"),
        (b"; server_max_window_bits=15", 12, 15, b"; server_max_window_bits=15"),
        (b"; server_max_window_bits=12", 12, 15, b"; server_max_window_bits=12"),
        (b"; server_max_window_bits=9", 9, 15, b"; server_max_window_bits=9"),
        (
            b"; client_max_window_bits; server_max_window_bits=10",
            10,
            12,
            b"; server_max_window_bits=10; client_max_window_bits=12",
        ),
    ],
)
def test_windows(offer: bytes, ours: int, theirs: int, answer: bytes) -> None:
    assert _accept(offer) == DeflateParameters(
        server_max_window_bits=ours, client_max_window_bits=theirs, answer=NAME + answer
    )


@pytest.mark.parametrize("limit", range(9, 16))
def test_the_limit_holds_for_both_windows(limit: int) -> None:
    offer = b"; client_max_window_bits; server_max_window_bits=14"
    parameters = _accept(offer, deflate_window_bits=limit)

    assert parameters is not None
    assert parameters.server_max_window_bits == min(14, limit)
    assert parameters.client_max_window_bits == limit


@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("client", [False, True])
def test_contexts(server: bool, client: bool) -> None:
    offer = b""
    if client:
        offer += b"; client_no_context_takeover"
    if server:
        offer += b"; server_no_context_takeover"
    parameters = _accept(offer)

    assert parameters is not None
    assert parameters.server_no_context_takeover == server
    assert parameters.client_no_context_takeover == client
    answer = read_extensions(parameters.answer)
    offered = read_extensions(NAME + offer)
    assert answer is not None
    assert offered is not None
    assert sorted(answer[0][1]) == sorted(offered[0][1])


@pytest.mark.parametrize(
    "offer",
    [
        b"; unknown",
        b"; unknown=1",
        b"; client_no_context_takeover; client_no_context_takeover",
        b"; server_max_window_bits=10; server_max_window_bits=11",
        b"; client_max_window_bits; client_max_window_bits=10",
        b"; client_no_context_takeover=1",
        b"; server_no_context_takeover=true",
        b"; server_max_window_bits",
        b"; server_max_window_bits=8",  # zlib has none
        b"; server_max_window_bits=7",
        b"; server_max_window_bits=16",
        b"; server_max_window_bits=09",
        b"; server_max_window_bits=+9",
        b"; server_max_window_bits=1_0",
        b"; client_max_window_bits=7",
        b"; client_max_window_bits=16",
        b"; client_max_window_bits=012",
        b"; client_max_window_bits=x",
        b"; Client_Max_Window_Bits",
    ],
)
def test_offers_that_are_declined(offer: bytes) -> None:
    assert _accept(offer) is None
