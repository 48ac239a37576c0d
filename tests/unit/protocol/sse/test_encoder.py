"""The text/event-stream encoder, both twins, against a parser written from the standard."""

from __future__ import annotations

import importlib
import re
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.sse import _encoder_py

TWINS: list[ModuleType] = [_encoder_py]
try:
    TWINS.append(importlib.import_module("pagi.protocol.sse._encoder_c"))
except ImportError:
    """Not built."""


@pytest.fixture(params=TWINS, ids=lambda twin: twin.__name__[-2:].lstrip("_"))
def twin(request: pytest.FixtureRequest) -> Any:
    """Return one implementation after the other."""
    return request.param


def parsed(stream: bytes) -> list[dict[str, Any]]:
    """Read a stream as WHATWG HTML §9.2.6 tells a browser to; what has no data is dropped."""
    events: list[dict[str, Any]] = []
    current: dict[str, Any] = {"data": [], "event": "", "id": None, "retry": None}
    for line in re.split("\r\n|\n|\r", stream.decode()):
        if not line:
            if current["data"]:
                events.append({**current, "data": "\n".join(current["data"])})
            current = {"data": [], "event": "", "id": None, "retry": None}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            current["data"].append(value)
        elif name == "retry":
            current["retry"] = int(value)
        elif name in ("event", "id"):
            current[name] = value
    return events


LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))


@pytest.mark.parametrize("module", TWINS, ids=lambda module: module.__name__[-2:].lstrip("_"))
@given(
    data=st.text(st.characters(exclude_categories=["Cs"])),
    event=st.none() | LINE,
    id=st.none() | LINE,
    retry=st.none() | st.integers(0, 10**9),
)
def test_a_browser_reads_what_was_said(
    module: ModuleType, data: str, event: str | None, id: str | None, retry: int | None
) -> None:
    stream = module.encode_event(data, event, id, retry)
    assert parsed(stream) == [
        {
            "data": "\n".join(re.split("\r\n|\n|\r", data)),
            "event": event or "",
            "id": id,
            "retry": retry,
        }
    ]
    assert stream == _encoder_py.encode_event(data, event, id, retry)


@pytest.mark.parametrize("module", TWINS, ids=lambda module: module.__name__[-2:].lstrip("_"))
@given(comment=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_browser_ignores_comments(module: ModuleType, comment: str) -> None:
    stream = module.encode_comment(comment)
    assert all(line.startswith(b":") for line in re.split(b"\r\n|\n|\r", stream) if line)
    assert stream.endswith(b"\n\n")
    event = module.encode_event("x")
    assert parsed(stream + event) == parsed(event)


def test_an_event_without_data_only_tells_id_and_retry(twin: Any) -> None:
    assert twin.encode_event(id="7", retry=10) == b"id: 7\nretry: 10\n\n"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"data": "x", "event": "a\nb"}, "event of an event holds a line end"),
        ({"data": "x", "event": "a\rb"}, "line end"),
        ({"data": "x", "id": "a\r\nb"}, "id of an event holds a line end"),
        ({"data": "x", "id": "a\0"}, "NUL"),
        ({"data": b"x"}, "data must be text; got bytes"),
        ({"data": "x", "event": 1}, "event must be text"),
        ({"data": "x", "id": 1}, "id must be text"),
        ({"data": "\ud800"}, "surrogate"),
        ({"data": "x", "event": "\udc00"}, "surrogate"),
        ({"data": "x", "retry": -1}, "whole number"),
        ({"data": "x", "retry": True}, "whole number"),
        ({"data": "x", "retry": "1"}, "whole number"),
    ],
)
def test_what_is_refused(twin: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(LocalProtocolError, match=words):
        twin.encode_event(**fields)


def test_a_comment_is_text(twin: Any) -> None:
    with pytest.raises(LocalProtocolError, match="comment must be text"):
        twin.encode_comment(b"x")


class Said(str):
    """Text of a subclass."""

    __slots__ = ()


def test_subclasses_of_text(twin: Any) -> None:
    assert twin.encode_event(Said("x"), Said("e"), Said("i")) == b"event: e\ndata: x\nid: i\n\n"
