"""The typed messages: one class per type, each in one direction, every key documented."""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints, is_typeddict

import pytest

from pagi.interface import messages

RECEIVED = get_args(messages.ReceiveMessage)
SENT = get_args(messages.SendMessage)
ALL = sorted({*RECEIVED, *SENT}, key=lambda kind: kind.__name__)

EXPECTED_RECEIVED = {
    "http.request",
    "http.disconnect",
    "sse.request",
    "sse.disconnect",
    "websocket.connect",
    "websocket.receive",
    "websocket.disconnect",
    "lifespan.startup",
    "lifespan.shutdown.notice",
    "lifespan.shutdown",
}
EXPECTED_SENT = {
    "http.response.start",
    "http.response.body",
    "http.response.trailers",
    "http.response.pathsend",
    "http.response.zerocopysend",
    "http.response.early_hint",
    "http.fullflush",
    "sse.start",
    "sse.send",
    "sse.comment",
    "sse.keepalive",
    "sse.close",
    "websocket.accept",
    "websocket.send",
    "websocket.keepalive",
    "websocket.close",
    "websocket.http.response.start",
    "websocket.http.response.body",
    "lifespan.startup.complete",
    "lifespan.startup.failed",
    "lifespan.shutdown.complete",
    "lifespan.shutdown.failed",
}


def type_of(kind: Any) -> str:
    (name,) = get_args(get_type_hints(kind)["type"])
    assert isinstance(name, str)
    return name


def test_every_public_name_exists() -> None:
    assert [name for name in messages.__all__ if not hasattr(messages, name)] == []


def test_received_messages_are_complete() -> None:
    assert {type_of(kind) for kind in RECEIVED} == EXPECTED_RECEIVED


def test_sent_messages_are_complete() -> None:
    assert {type_of(kind) for kind in SENT} == EXPECTED_SENT


def test_every_typed_dict_of_the_module_is_in_a_union() -> None:
    declared = {
        value for value in vars(messages).values() if is_typeddict(value) and value is not None
    }

    assert {kind for kind in declared if kind.__module__ == messages.__name__} == set(ALL)


def test_one_class_per_type() -> None:
    names = [type_of(kind) for kind in ALL]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_key_is_documented(kind: Any) -> None:
    text = kind.__doc__ or ""
    keys = set(get_type_hints(kind)) - {"type"}
    described = set(re.findall(r"^ +([a-z_]+): ", text, re.MULTILINE))

    assert keys == described or re.search(r"keys as in `\w+`", text)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_optional_keys_of_sent_messages_name_their_default(kind: Any) -> None:
    if kind not in SENT:
        assert kind.__required_keys__  # received messages are made by the server, in full
        return
    text = kind.__doc__ or ""
    unnamed = [
        key
        for key in kind.__optional_keys__
        if (line := re.search(rf"^ +{key}: ((?:.|\n(?! +[a-z_]+: ))*)", text, re.MULTILINE))
        and "default" not in line[1]
    ]
    assert set(unnamed) <= {
        *("file", "fh"),
        *("text", "bytes"),
        *("event", "id", "retry", "reason"),
    }


def test_body_sources_are_all_optional() -> None:
    body = messages.HTTPResponseBody

    assert body.__required_keys__ == {"type"}
    assert {"body", "file", "fh"} <= body.__optional_keys__


def test_trailers_of_a_request_are_optional() -> None:
    assert messages.HTTPRequest.__optional_keys__ == {"trailers"}
