"""Events: values that are compared, shown and not hashed, the same in both implementations."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from pagi.protocol import events
from tests.unit.protocol.http1.driving import compiled_is_built

_ABSENT = pytest.mark.skip(reason="the compiled events are not built, or not wanted")


@pytest.fixture(params=["py", pytest.param("c", marks=() if compiled_is_built() else _ABSENT)])
def kinds(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(f"pagi.protocol._events_{request.param}")


def _one_of_each(kinds: Any) -> list[Any]:
    return [
        kinds.RequestReceived(1, "GET", b"/", b"", [(b"a", b"b")]),
        kinds.BodyReceived(1, b"x"),
        kinds.MessageComplete(1, []),
        kinds.BytesReceived(1, b"x"),
        kinds.StreamReset(1, "client_closed"),
        kinds.ConnectionFailed(1, "protocol_error", 400, "bad"),
        kinds.ConnectionEnded(1),
    ]


def test_equality_is_by_kind_and_value(kinds: Any) -> None:
    for index, one in enumerate(_one_of_each(kinds)):
        for other_index, other in enumerate(_one_of_each(kinds)):
            assert (one == other) == (index == other_index)
        assert one != 1
        other = _one_of_each(kinds)[index]
        other.stream_id = 2
        assert one != other


def test_events_are_not_hashable(kinds: Any) -> None:
    for event in _one_of_each(kinds):
        with pytest.raises(TypeError, match="unhashable"):
            hash(event)


def test_events_show_what_they_hold(kinds: Any) -> None:
    assert repr(kinds.BodyReceived(1, b"x")) == "BodyReceived(data=b'x', stream_id=1)"
    assert repr(kinds.ConnectionEnded(3)) == "ConnectionEnded(stream_id=3)"
    shown = repr(_one_of_each(kinds)[0])
    assert "method='GET'" in shown
    assert "upgrade=None" in shown


def test_defaults_of_a_request(kinds: Any) -> None:
    event = kinds.RequestReceived(1, "GET", b"/", b"", [])
    assert (event.http_version, event.end, event.expect_continue) == ("1.1", True, False)
    assert event.content_length is event.upgrade is event.scheme is event.authority is None


def test_the_facade_offers_all() -> None:
    assert all(hasattr(events, name) for name in events.__all__)
