"""`Exchange.receive`: the body, the end, and waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pagi.interface.errors import MessageError
from tests.unit.exchange.scene import LAST, MORE, START, Scene, manual, request, turns

POST = {"method": "POST", "end": False}


def post() -> Any:
    return request(**POST)


@pytest.mark.spec("HTTP-10")
async def test_no_body_is_one_empty_message() -> None:
    scene = await manual()

    assert await scene.receive() == {"type": "http.request", "body": b"", "more_body": False}
    assert scene.stream.calls == []
    await scene.close()


@pytest.mark.spec("HTTP-10")
async def test_body_in_one_piece() -> None:
    scene = await manual(post())
    scene.exchange.feed(b"hello")
    scene.exchange.feed_end([])

    assert await scene.receive() == {"type": "http.request", "body": b"hello", "more_body": False}
    assert scene.stream.calls == [("consumed", 5)]
    await scene.close()


@pytest.mark.spec("HTTP-10")
async def test_body_in_order_with_an_empty_last_message() -> None:
    scene = await manual(post())

    for data in (b"a", b"b"):
        scene.exchange.feed(data)
        message = await scene.receive()
        assert message == {"type": "http.request", "body": data, "more_body": True}
    scene.exchange.feed_end([])
    assert await scene.receive() == {"type": "http.request", "body": b"", "more_body": False}
    await scene.close()


async def test_what_waits_is_joined() -> None:
    scene = await manual(post())
    for data in (b"a", b"b", b"c"):
        scene.exchange.feed(data)

    assert (await scene.receive())["body"] == b"abc"
    assert ("consumed", 3) in scene.stream.calls
    await scene.close()


@pytest.mark.spec("HTTP-12")
async def test_the_first_receive_asks_for_the_body_and_later_ones_do_not() -> None:
    scene = await manual(post())
    assert not scene.exchange.wants_body

    waiting = asyncio.ensure_future(scene.receive())
    await turns()
    assert scene.exchange.wants_body
    assert scene.stream.names == ["want_body"]
    scene.exchange.feed(b"a")
    await waiting
    assert not scene.exchange.wants_body
    scene.exchange.feed(b"b")
    await scene.receive()

    assert scene.stream.names.count("want_body") == 1
    await scene.close()


@pytest.mark.spec("HTTP-12")
async def test_no_body_is_asked_for_after_the_response() -> None:
    scene = await manual(post())
    await scene.send(START)
    await scene.send(LAST)

    assert await scene.receive() == {"type": "http.disconnect"}

    assert "want_body" not in scene.stream.names
    await scene.close()


@pytest.mark.spec("HTTP-11")
async def test_trailers_come_with_the_last_message() -> None:
    scene = await manual(post())
    scene.exchange.feed(b"a")
    first = await scene.receive()
    scene.exchange.feed_end([(b"x-sum", b"1")])

    assert "trailers" not in first
    assert await scene.receive() == {
        "type": "http.request",
        "body": b"",
        "more_body": False,
        "trailers": [(b"x-sum", b"1")],
    }
    await scene.close()


@pytest.mark.spec("HTTP-11")
async def test_no_trailers_no_key() -> None:
    scene = await manual(post())
    scene.exchange.feed_end([])

    assert "trailers" not in await scene.receive()
    await scene.close()


@pytest.mark.spec("HTTP-17", "HTTP-37", "CORE-19", "CORE-21")
async def test_after_the_body_receive_waits_for_the_end_of_the_response() -> None:
    scene = await manual()
    await scene.receive()

    waiting = asyncio.ensure_future(scene.receive())
    await turns()
    assert not waiting.done()
    await scene.send(START)
    await scene.send(LAST)

    assert await waiting == {"type": "http.disconnect"}
    await scene.close()


@pytest.mark.spec("CORE-19", "CORE-21", "HTTP-42")
@pytest.mark.parametrize("before", [[], [START], [START, MORE]])
async def test_a_pending_receive_returns_the_reason(before: list[Any]) -> None:
    scene = await manual()
    await scene.receive()
    for message in before:
        await scene.send(message)

    waiting = asyncio.ensure_future(scene.receive())
    await turns()
    scene.exchange.disconnected("client_closed", "x")

    assert await waiting == {"type": "http.disconnect", "reason": "client_closed"}
    await scene.close()


@pytest.mark.spec("CORE-20")
async def test_disconnect_is_repeated_up_to_a_bound() -> None:
    scene = await manual(post())
    scene.exchange.disconnected("client_closed")

    for _ in range(100):
        assert (await scene.receive())["type"] == "http.disconnect"
    with pytest.raises(MessageError, match="100 times after the disconnect message; leave"):
        await scene.receive()
    await scene.close()


@pytest.mark.spec("HTTP-15")
async def test_what_came_before_the_end_is_given_first_and_does_not_look_complete() -> None:
    scene = await manual(post())
    scene.exchange.feed(b"part")
    scene.exchange.disconnected("protocol_error")

    assert await scene.receive() == {"type": "http.request", "body": b"part", "more_body": True}
    assert await scene.receive() == {"type": "http.disconnect", "reason": "protocol_error"}
    assert "consumed" not in scene.stream.names  # the stream is gone
    await scene.close()


async def test_a_body_that_was_whole_can_be_read_after_the_response() -> None:
    scene = await manual(post())
    scene.exchange.feed(b"late")
    scene.exchange.feed_end([])
    await scene.send(START)
    await scene.send(LAST)

    assert await scene.receive() == {"type": "http.request", "body": b"late", "more_body": False}
    assert await scene.receive() == {"type": "http.disconnect"}
    assert "consumed" not in scene.stream.names
    await scene.close()


@pytest.mark.spec("CORE-18")
async def test_a_cancelled_wait_loses_nothing() -> None:
    scene = await manual(post())

    for cancel_first in (True, False):
        waiting = asyncio.ensure_future(scene.receive())
        await turns()
        if cancel_first:
            waiting.cancel()
            scene.exchange.feed(b"x")
        else:  # the message is there before the cancelled task runs
            scene.exchange.feed(b"x")
            waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await scene.receive())["body"] == b"x"
    await scene.close()


@pytest.mark.spec("CORE-18")
async def test_receive_within_a_timeout_again_and_again() -> None:
    scene = await manual(post())

    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await scene.receive()
    scene.exchange.feed(b"x")
    scene.exchange.feed_end([])

    assert (await scene.receive())["body"] == b"x"
    await scene.close()


@pytest.mark.spec("CORE-26")
async def test_a_second_receive_is_refused_and_the_first_goes_on() -> None:
    scene = await manual(post())
    first = asyncio.ensure_future(scene.receive())
    await turns()

    with pytest.raises(MessageError, match="already waiting"):
        await scene.receive()
    scene.exchange.feed(b"x")

    assert (await first)["body"] == b"x"
    await scene.close()


async def test_two_feeds_before_the_waiter_runs() -> None:
    scene = await manual(post())
    waiting = asyncio.ensure_future(scene.receive())
    await turns()

    scene.exchange.feed(b"a")
    scene.exchange.feed(b"b")
    scene.exchange.feed_end([])
    scene.exchange.disconnected("client_closed")

    assert await waiting == {"type": "http.request", "body": b"ab", "more_body": False}
    await scene.close()


@pytest.mark.spec("CORE-6")
async def test_a_client_that_leaves_does_not_cancel_the_application() -> None:
    done = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()
        await asyncio.sleep(0)
        done.set()

    scene = Scene(app)
    await scene.run()
    scene.exchange.disconnected("client_closed")

    await done.wait()
    await turns()
    assert scene.log.records == []
    await scene.close()
