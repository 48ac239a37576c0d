"""Events: values that are compared, shown and not hashed, the same in both implementations."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from pagi.protocol.websocket import events
from tests.unit.protocol.websocket.driving import compiled_is_built, implementations


@pytest.fixture(params=implementations())
def kinds(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(f"pagi.protocol.websocket._events_{request.param}")


def _one_of_each(kinds: Any) -> list[Any]:
    return [
        kinds.MessageReceived("x", 1),
        kinds.MessageReceived(b"x", 1),
        kinds.PingReceived(b"x"),
        kinds.PongReceived(b"x"),
        kinds.CloseReceived(1000, "x"),
        kinds.Failed(1000, "x"),
    ]


def test_equality_is_by_kind_and_value(kinds: Any) -> None:
    for index, one in enumerate(_one_of_each(kinds)):
        for other_index, other in enumerate(_one_of_each(kinds)):
            assert (one == other) == (index == other_index)
        assert one != 1
        assert isinstance(one, kinds.WebSocketEvent)


def test_events_are_not_hashable(kinds: Any) -> None:
    for event in _one_of_each(kinds):
        with pytest.raises(TypeError, match="unhashable"):
            hash(event)


def test_events_show_what_they_hold(kinds: Any) -> None:
    assert [repr(event) for event in _one_of_each(kinds)] == [
        "MessageReceived(data='x', size=1)",
        "MessageReceived(data=b'x', size=1)",
        "PingReceived(payload=b'x')",
        "PongReceived(payload=b'x')",
        "CloseReceived(code=1000, reason='x')",
        "Failed(code=1000, detail='x')",
    ]


def test_the_facade_has_one_implementation() -> None:
    name = "c" if compiled_is_built() else "py"
    chosen = importlib.import_module(f"pagi.protocol.websocket._events_{name}")
    for public in events.__all__:
        assert getattr(events, public) is getattr(chosen, public)
