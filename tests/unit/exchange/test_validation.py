"""`check_message`: the types of all fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pagi.interface.errors import MessageError
from pagi.server.exchange.validation import check_message

GOOD: list[dict[str, Any]] = [
    {"type": "http.response.start", "status": 200},
    {"type": "http.response.start", "status": 999, "headers": [(b"a", b"b")], "trailers": True},
    {"type": "http.response.start", "status": 200, "headers": ([b"a", b"b"],), "trailers": 0},
    {"type": "http.response.body"},
    {"type": "http.response.body", "body": bytearray(b"x"), "more_body": False},
    {"type": "http.response.body", "body": memoryview(b"x")},
    {"type": "http.response.body", "file": "/x", "offset": 0, "length": None},
    {"type": "http.response.body", "fh": open},
    {"type": "http.response.trailers", "headers": [], "more_trailers": True},
    {"type": "http.response.pathsend", "path": "/x"},
    {"type": "http.response.zerocopysend", "file": 3, "count": 5, "more_body": True},
    {"type": "http.response.early_hint", "links": (b"a",)},
    {"type": "http.fullflush"},
    {"type": "x.y", "status": "anything"},
]
GOOD[7]["fh"] = type("Readable", (), {"read": None})()

BAD: list[tuple[dict[str, Any], str]] = [
    ({"type": "http.response.start"}, "requires 'status' (an int from 200 to 999)"),
    ({"type": "http.response.start", "status": "200"}, "'status' must be an int from 200 to 999"),
    ({"type": "http.response.start", "status": True}, "'status' must be an int"),
    ({"type": "http.response.start", "status": 199}, "got 199"),
    ({"type": "http.response.start", "status": 200, "headers": {}}, "'headers' must be a list"),
    ({"type": "http.response.start", "status": 200, "headers": [("a", b"b")]}, "of bytes"),
    ({"type": "http.response.start", "status": 200, "headers": [(b"a", "b")]}, "of bytes"),
    ({"type": "http.response.start", "status": 200, "headers": [(b"a",)]}, "pairs"),
    ({"type": "http.response.start", "status": 200, "headers": [b"ab"]}, "pairs"),
    (
        {"type": "http.response.start", "status": 200, "trailers": "yes"},
        "'trailers' must be a bool",
    ),
    ({"type": "http.response.body", "body": "text"}, "'body' must be bytes; got 'text'"),
    ({"type": "http.response.body", "body": None}, "'body' must be bytes"),
    ({"type": "http.response.body", "more_body": 2}, "'more_body' must be a bool"),
    ({"type": "http.response.body", "more_body": None}, "'more_body' must be a bool"),
    ({"type": "http.response.body", "file": 3}, "'file' must be a path"),
    ({"type": "http.response.body", "fh": "/x"}, "'fh' must be an object with read()"),
    ({"type": "http.response.body", "file": "/x", "offset": -1}, "'offset' must be a non-neg"),
    ({"type": "http.response.body", "file": "/x", "length": 1.5}, "'length' must be a non-neg"),
    ({"type": "http.response.body", "file": "/x", "body": b""}, "exactly one of body/file/fh"),
    ({"type": "http.response.trailers", "headers": None}, "'headers' must be a list"),
    ({"type": "http.response.pathsend"}, "requires 'path' (a path)"),
    ({"type": "http.response.pathsend", "path": b"/x"}, "'path' must be a path"),
    ({"type": "http.response.zerocopysend"}, "requires 'file'"),
    ({"type": "http.response.zerocopysend", "file": "/x"}, "'file' must be a file descriptor"),
    ({"type": "http.response.zerocopysend", "file": 3, "count": -1}, "'count' must be"),
    ({"type": "http.response.early_hint"}, "requires 'links'"),
    ({"type": "http.response.early_hint", "links": ["a"]}, "'links' must be a list of bytes"),
    ({"type": "http.response.early_hint", "links": b"ab"}, "'links' must be a list of bytes"),
]


@pytest.mark.spec("CORE-12", "CORE-14")
@pytest.mark.parametrize("message", GOOD)
def test_good(message: Mapping[str, Any]) -> None:
    assert check_message(message["type"], message) is None
    assert check_message(message["type"], {**message, "x.unknown": object()}) is None


@pytest.mark.spec("CORE-14")
@pytest.mark.parametrize(("message", "text"), BAD)
def test_bad(message: Mapping[str, Any], text: str) -> None:
    with pytest.raises(MessageError) as raised:
        check_message(message["type"], message)

    assert text in str(raised.value)
    assert str(raised.value).startswith(message["type"])


@pytest.mark.parametrize("kind", [None, [], {}, 5])
def test_types_that_are_none_are_left_to_the_exchange(kind: Any) -> None:
    assert check_message(kind, {"type": kind}) is None
