"""Events: values that are compared, shown and not hashed, the same in both implementations."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.protocol.websocket import events
from tests.unit.protocol.websocket.driving import Implementation, compiled_is_built


def _one_of_each(kinds: Implementation) -> list[Any]:
    return [
        kinds.MessageReceived("x", 1),
        kinds.MessageReceived(b"x", 1),
        kinds.PingReceived(b"x"),
        kinds.PongReceived(b"x"),
        kinds.CloseReceived(1000, "x"),
        kinds.Failed(1000, "x"),
    ]


def test_equality_is_by_kind_and_value(implementation: Implementation) -> None:
    for index, one in enumerate(_one_of_each(implementation)):
        for other_index, other in enumerate(_one_of_each(implementation)):
            assert (one == other) == (index == other_index)
        assert one != 1
        assert isinstance(one, implementation.WebSocketEvent)


def test_events_are_not_hashable(implementation: Implementation) -> None:
    for event in _one_of_each(implementation):
        with pytest.raises(TypeError, match="unhashable"):
            hash(event)


def test_events_show_what_they_hold(implementation: Implementation) -> None:
    assert [repr(event) for event in _one_of_each(implementation)] == [
        "MessageReceived(data='x', size=1)",
        "MessageReceived(data=b'x', size=1)",
        "PingReceived(payload=b'x')",
        "PongReceived(payload=b'x')",
        "CloseReceived(code=1000, reason='x')",
        "Failed(code=1000, detail='x')",
    ]


def test_the_facade_has_one_implementation() -> None:
    name = "c" if compiled_is_built() else "py"
    for public in events.__all__:
        assert getattr(events, public) is getattr(Implementation(name), public)
