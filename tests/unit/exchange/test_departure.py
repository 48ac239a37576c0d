"""Which errors say no more than that the client has gone."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable

import pytest

from pagi import Disconnected
from pagi.server.exchange.departure import MAX_LINKS, is_departure


class FrameworkError(Exception):
    """What a framework makes of a `Disconnected`."""


def raised(function: Callable[[], None]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011  # of any kind
        function()
    return caught.value


def in_its_place() -> None:
    try:
        raise Disconnected
    except OSError:
        raise FrameworkError  # noqa: B904  # as Starlette does


def in_its_place_from_none() -> None:
    try:
        raise Disconnected
    except OSError:
        raise FrameworkError from None


def from_a_group() -> None:
    try:
        raise ExceptionGroup("tasks", [Disconnected()])
    except ExceptionGroup as group:
        raise FrameworkError from group


def no_response() -> None:
    try:
        raise Disconnected
    except OSError:
        raise RuntimeError("no response was returned")  # noqa: B904


def mistake_meanwhile() -> None:
    try:
        raise Disconnected
    finally:
        {}["missing"]


def database_lost() -> None:
    try:
        raise ConnectionResetError
    except OSError as error:
        raise FrameworkError from error


def endless() -> None:
    error: BaseException = Disconnected()
    for _ in range(MAX_LINKS):
        link = FrameworkError()
        link.__cause__ = error
        error = link
    raise error


# spec: CORE-3
@pytest.mark.parametrize(
    "error",
    [
        Disconnected(),
        BrokenPipeError(),
        CancelledError(),
        raised(in_its_place),
        raised(in_its_place_from_none),
        raised(from_a_group),
        raised(no_response),
        ExceptionGroup("tasks", [Disconnected(), raised(in_its_place)]),
        BaseExceptionGroup("tasks", [CancelledError(), Disconnected()]),
    ],
    ids=repr,
)
def test_news_of_the_departure(error: BaseException) -> None:
    assert is_departure(error)


# spec: CORE-3
@pytest.mark.parametrize(
    "error",
    [
        FrameworkError(),
        KeyError("missing"),
        raised(mistake_meanwhile),
        raised(database_lost),
        ExceptionGroup("tasks", [Disconnected(), KeyError("missing")]),
        raised(endless),
    ],
    ids=repr,
)
def test_mistakes_stay_mistakes(error: BaseException) -> None:
    assert not is_departure(error)


class WebSocketDisconnectError(Exception):
    """A framework's own."""


def test_what_frameworks_raise_for_websocket_disconnect() -> None:
    assert is_departure(WebSocketDisconnectError())
    error = RuntimeError()
    error.__cause__ = WebSocketDisconnectError()
    assert is_departure(error)
    assert not is_departure(ValueError("WebSocketDisconnect"))
