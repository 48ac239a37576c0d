"""The opening handshake (RFC 6455 §4, RFC 8441 §5)."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.protocol.errors import LocalProtocolError, RemoteProtocolError
from pagi.protocol.events import Fields, RequestReceived
from pagi.protocol.http1.connection import HTTP1Connection
from pagi.protocol.http1.limits import HTTP1Limits
from pagi.protocol.websocket.deflate import DeflateParameters
from pagi.protocol.websocket.handshake import (
    Handshake,
    HandshakeError,
    accept_fields,
    accept_value,
    negotiate_deflate,
    read_handshake,
    refusal_fields,
)
from pagi.protocol.websocket.limits import WebSocketLimits
from tests.unit.protocol.http1.driving import DEFAULTS

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
FIELDS = [
    (b"host", b"a"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", KEY),
    (b"sec-websocket-version", b"13"),
]


def _request(fields: Fields, **changes: Any) -> RequestReceived:
    request = RequestReceived(1, "GET", b"/", b"", fields, upgrade=b"websocket")
    for name, value in changes.items():
        setattr(request, name, value)
    return request


def _without(name: bytes) -> Fields:
    return [field for field in FIELDS if field[0] != name]


def _read(*more: tuple[bytes, bytes], **changes: Any) -> Handshake:
    return read_handshake(_request([*FIELDS, *more], **changes))


def _error(fields: Fields, **changes: Any) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        read_handshake(_request(fields, **changes))
    assert caught.value.reason == "protocol_error"
    return caught.value


def test_the_least_handshake() -> None:
    handshake = _read()

    assert handshake.key == KEY
    assert handshake.subprotocols == []
    assert handshake.deflate_offers == []
    assert handshake.origin is None


def test_the_example_of_the_rfc() -> None:
    assert accept_value(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_an_extended_connect_has_no_key() -> None:
    fields: Fields = [(b"sec-websocket-version", b"13"), (b"sec-websocket-protocol", b"a")]
    handshake = read_handshake(_request(fields, http_version="2", method="CONNECT", end=False))

    assert handshake.key is None
    assert handshake.subprotocols == ["a"]
    answer = accept_fields(handshake, subprotocol="a", fields=[], deflate=None)
    assert answer == [(b"sec-websocket-protocol", b"a")]


@pytest.mark.parametrize(
    "fields",
    [
        _without(b"sec-websocket-version"),
        [*_without(b"sec-websocket-version"), (b"sec-websocket-version", b"8")],
        [*_without(b"sec-websocket-version"), (b"sec-websocket-version", b"013")],
        [*_without(b"sec-websocket-version"), (b"sec-websocket-version", b"13, 8")],
        [*FIELDS, (b"sec-websocket-version", b"13")],
        [*FIELDS, (b"sec-websocket-version", b"8")],
    ],
)
def test_other_versions(fields: Fields) -> None:
    error = _error(fields)

    assert error.status == 426
    # RFC 6455 §4.4, RFC 9110 §15.5.22
    assert refusal_fields(error) == [(b"sec-websocket-version", b"13"), (b"upgrade", b"websocket")]


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b""],
        [KEY, KEY],
        [b"dGhlIHNhbXBsZSBub25jZQ"],
        [b"dGhlIHNhbXBsZSBub25jZ==="],
        [b"dGhlIHNhbXBsZSBub25j"],
        [b"dGhlIHNhbXBsZSBub25jZSEh"],
        [b"dGhlIHNhbXBsZSBub25jZQ==, x"],
        [b"dGhlIHNhbXBsZSBub25jZ_=="],
        [b"dGhlIHNhbXBsZSBub25jZQ==\n"],
        [b"x"],
    ],
)
def test_keys_that_are_none(values: list[bytes]) -> None:
    fields = _without(b"sec-websocket-key") + [(b"sec-websocket-key", value) for value in values]
    error = _error(fields)

    assert error.status == 400
    assert refusal_fields(error) == []
    assert "Sec-WebSocket-Key" in error.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "POST"},
        {"method": "CONNECT"},
        {"http_version": "2"},
        {"end": False},
        {"upgrade": None},
        {"upgrade": b"h2c"},
    ],
)
def test_requests_that_are_none(changes: dict[str, Any]) -> None:
    assert _error(FIELDS, **changes).status == 400


def test_origin() -> None:
    assert _read((b"origin", b"https://a.example")).origin == b"https://a.example"
    assert _read((b"origin", b"null")).origin == b"null"
    assert _error([*FIELDS, (b"origin", b"a"), (b"origin", b"b")]).status == 400


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([b"a"], ["a"]),
        ([b"a, b ,\tc"], ["a", "b", "c"]),
        ([b"b", b"a"], ["b", "a"]),
        ([b"v1.chat, graphql-ws"], ["v1.chat", "graphql-ws"]),
        ([b"", b",a,,"], ["a"]),
        ([b"a, A"], ["a", "A"]),
    ],
)
def test_subprotocols(values: list[bytes], found: list[str]) -> None:
    assert _read(*((b"sec-websocket-protocol", value) for value in values)).subprotocols == found


@pytest.mark.parametrize("value", [b"a b", b"a;b", b'"a"', b"a/b", b"a, \xe4", b"a, a", b"a,b,a"])
def test_subprotocols_that_are_none(value: bytes) -> None:
    assert _error([*FIELDS, (b"sec-websocket-protocol", value)]).status == 400


def test_offers_of_deflate() -> None:
    handshake = _read(
        (
            b"sec-websocket-extensions",
            b"x-other; a=1, permessage-deflate; server_max_window_bits=8",
        ),
        (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"),
        (b"sec-websocket-extensions", b"permessage-deflate"),
    )

    assert handshake.deflate_offers == [
        [(b"server_max_window_bits", b"8")],
        [(b"client_max_window_bits", None)],
        [],
    ]
    # the first is declined, for zlib cannot do it; the second is the first that is acceptable
    agreed = negotiate_deflate(handshake, WebSocketLimits())
    assert agreed is not None
    assert agreed.answer == b"permessage-deflate; client_max_window_bits=12"
    assert negotiate_deflate(handshake, WebSocketLimits(deflate=False)) is None


def test_no_acceptable_offer() -> None:
    handshake = _read((b"sec-websocket-extensions", b"permessage-deflate; x, Permessage-Deflate"))

    assert len(handshake.deflate_offers) == 1
    assert negotiate_deflate(handshake, WebSocketLimits()) is None


def test_malformed_extensions_fail_the_handshake() -> None:
    assert _error([*FIELDS, (b"sec-websocket-extensions", b"a;;b")]).status == 400


def test_fields_of_other_errors() -> None:
    assert refusal_fields(RemoteProtocolError("the origin is not allowed", 403)) == []


# --- the answer ---


def test_answers() -> None:
    handshake = _read((b"sec-websocket-protocol", b"a, b"))
    answer = accept_fields(
        handshake,
        subprotocol="b",
        fields=[(b"X-Own", b"1"), (b"set-cookie", b"a=b")],
        deflate=DeflateParameters(answer=b"permessage-deflate; x"),
    )

    assert answer == [
        (b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        (b"sec-websocket-protocol", b"b"),
        (b"sec-websocket-extensions", b"permessage-deflate; x"),
        (b"X-Own", b"1"),
        (b"set-cookie", b"a=b"),
    ]


@pytest.mark.parametrize("subprotocol", ["c", "", "A", "a, b", "a\r\nx: y"])
def test_subprotocols_that_were_not_offered(subprotocol: str) -> None:
    handshake = _read((b"sec-websocket-protocol", b"a, b"))
    with pytest.raises(LocalProtocolError, match="was not offered"):
        accept_fields(handshake, subprotocol=subprotocol, fields=[], deflate=None)


@pytest.mark.parametrize(
    "name",
    [
        b"sec-websocket-accept",
        b"Sec-WebSocket-Extensions",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"sec-websocket-anything",
        b"upgrade",
        b"Connection",
        b"content-length",
        b"Transfer-Encoding",
        b"keep-alive",
    ],
)
def test_fields_of_the_handshake_are_not_the_applications(name: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="belongs to the handshake"):
        accept_fields(_read(), subprotocol=None, fields=[(name, b"x")], deflate=None)


def test_over_http1() -> None:
    http = HTTP1Connection(HTTP1Limits(), DEFAULTS)
    (request,) = http.receive_data(
        b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n"
        b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: %b\r\n\r\n" % KEY,
        0.0,
    )
    assert isinstance(request, RequestReceived)
    handshake = read_handshake(request)
    fields = accept_fields(handshake, subprotocol=None, fields=[], deflate=None)
    http.switch(1, fields)
    answer = b"".join(http.data_to_send())

    assert answer.startswith(b"HTTP/1.1 101 ")
    for line in (
        b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        b"upgrade: websocket",
        b"connection: upgrade",
    ):
        assert answer.count(b"\r\n%b\r\n" % line) == 1
