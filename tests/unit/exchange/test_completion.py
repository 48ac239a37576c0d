"""What becomes of a scope whose application ends: the completion contract."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pagi.interface.errors import Disconnected
from pagi.protocol.errors import ShortBodyError
from tests.unit.exchange.scene import LAST, MORE, START, Scene, manual, start, turns

SERVER_ERROR = (
    "write_response",
    500,
    [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")],
    b"Internal Server Error",
)


@pytest.mark.spec("CORE-2", "HTTP-39")
@pytest.mark.parametrize("messages", [[], [START], [start(trailers=True)]])
async def test_no_response_is_answered_with_500(messages: list[Any]) -> None:
    scene = await manual()
    for message in messages:
        await scene.send(message)

    await scene.finish()

    names = [call[0] for call in scene.stream.calls]
    assert scene.stream.status == 500
    assert scene.stream.sent == b"Internal Server Error"
    assert names[-1] == "response_complete"
    assert scene.connection.response_started
    assert scene.connection.response_complete
    assert scene.log.texts == ["the application returned without a response; answered with 500"]


@pytest.mark.spec("CORE-3", "HTTP-40")
@pytest.mark.parametrize("messages", [[], [START]])
async def test_an_exception_before_the_first_body_message(messages: list[Any]) -> None:
    scene = await manual()
    for message in messages:
        await scene.send(message)
    error = ZeroDivisionError("oh")

    await scene.finish(error)

    assert scene.stream.calls == [SERVER_ERROR, ("response_complete",)]
    assert scene.log.texts == ["the application failed; answered with 500"]
    assert scene.log.errors == [error]


@pytest.mark.spec("HTTP-41")
async def test_an_exception_in_mid_response() -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(MORE)
    error = ZeroDivisionError("oh")

    await scene.finish(error)

    assert scene.stream.calls[-1] == ("reset", "server_error")
    assert ("write_body", b"", True) not in scene.stream.calls
    assert scene.connection.disconnect_reason == "server_error"
    assert scene.connection.disconnect_detail == "the response was not finished"
    assert not scene.connection.response_complete
    assert scene.log.texts == ["the application failed in mid-response; truncated"]
    assert scene.log.errors == [error]


@pytest.mark.spec("HTTP-41")
@pytest.mark.parametrize("messages", [[START, MORE], [start(trailers=True), LAST]])
async def test_a_return_in_mid_response(messages: list[Any]) -> None:
    scene = await manual()
    for message in messages:
        await scene.send(message)

    await scene.finish()

    assert scene.stream.calls[-1] == ("reset", "server_error")
    assert scene.connection.disconnect_reason == "server_error"
    assert scene.log.texts == ["the application returned in mid-response; truncated"]


@pytest.mark.spec("CORE-3", "HTTP-38")
async def test_an_exception_after_the_response_is_only_logged() -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(LAST)
    calls = list(scene.stream.calls)

    await scene.finish(ZeroDivisionError("oh"))

    assert scene.stream.calls == calls
    assert scene.connection.disconnect_reason is None
    assert scene.log.texts == ["the application failed after its response was complete"]


@pytest.mark.spec("CORE-2")
async def test_a_return_after_the_response_is_the_normal_end() -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(LAST)

    await scene.finish()

    assert scene.log.records == []


@pytest.mark.spec("CORE-3", "HTTP-39")
@pytest.mark.parametrize(
    "error", [None, OSError("gone"), Disconnected(), ConnectionResetError(), TimeoutError()]
)
async def test_after_the_client_has_gone_its_error_is_no_fault(error: Any) -> None:
    scene = await manual()
    scene.exchange.disconnected("client_closed")

    await scene.finish(error)

    assert scene.stream.calls == []
    assert scene.log.records == []


async def test_another_error_after_the_client_has_gone_is_told() -> None:
    scene = await manual()
    scene.exchange.disconnected("client_closed")

    await scene.finish(ZeroDivisionError())

    assert scene.stream.calls == []
    assert scene.log.texts == ["the application failed after the client had gone"]


async def test_cancelled_after_the_client_has_gone() -> None:
    scene = await manual()
    scene.exchange.disconnected("server_shutdown")

    for task in set(scene.service.runner.tasks):
        task.cancel()
    await turns()

    assert scene.log.records == []
    assert not scene.service.runner.tasks


@pytest.mark.spec("HTTP-40")
async def test_a_cancelled_application_is_answered_for() -> None:
    scene = await manual()

    for task in set(scene.service.runner.tasks):
        task.cancel()
    await turns()

    assert scene.stream.status == 500
    assert isinstance(scene.log.errors[0], asyncio.CancelledError)


async def test_500_that_cannot_be_written_is_a_reset() -> None:
    scene = await manual()
    scene.stream.refusals = {"write_response": "cannot be", "write_head": "cannot be"}

    await scene.finish()

    assert scene.stream.calls == [("reset", "server_error")]
    assert scene.connection.disconnect_reason == "server_error"


async def test_the_result_is_ignored() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> Any:
        await send(START)
        await send(LAST)
        return "result"

    scene = Scene(app)
    await scene.run()

    assert scene.log.records == []
    assert scene.connection.response_complete
    await scene.close()


@pytest.mark.spec("HTTP-22", "HTTP-41")
async def test_a_response_that_the_wire_gave_up_ends_at_once() -> None:
    """The last message left the body short of its declared length."""
    scene = await manual()
    await scene.send(START)
    await scene.send(MORE)
    scene.stream.refusals = {"write_body": ShortBodyError("short")}

    with pytest.raises(RuntimeError, match="short"):
        await scene.send(LAST)

    assert scene.stream.calls[-1] == ("reset", "server_error")
    assert scene.connection.disconnect_reason == "server_error"
    await scene.finish()
    assert scene.log.records == []


# --- what an error page adds -----------------------------------------------------------------


async def test_an_error_is_shown_where_that_is_wanted() -> None:
    asked: list[Any] = []

    def show_error(scope: Any, error: BaseException | None) -> Any:
        asked.append((scope["path"], error))
        return [(b"content-type", b"text/html")], b"<p>no hay"

    scene = await manual()
    scene.service.show_error = show_error
    error = LookupError("no hay")
    await scene.finish(error)
    assert asked == [("/", error)]
    assert scene.stream.calls[0] == (
        "write_response",
        500,
        [(b"content-type", b"text/html"), (b"connection", b"close")],
        b"<p>no hay",
    )


async def test_an_error_that_cannot_be_shown() -> None:
    scene = await manual()
    scene.service.show_error = lambda scope, error: None
    await scene.finish(LookupError("no hay"))
    assert scene.stream.calls[0] == SERVER_ERROR


@pytest.mark.parametrize("ends", [LAST, MORE])
async def test_after_the_response_began_nothing_is_shown(ends: Any) -> None:
    scene = await manual()
    scene.service.show_error = lambda scope, error: pytest.fail("it is too late")
    await scene.send(START)
    await scene.send(ends)
    await scene.finish(LookupError("no hay"))
