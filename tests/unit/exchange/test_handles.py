"""``pagi.connection`` and ``pagi.transport`` as an exchange fills them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pagi.interface.tokens import DISCONNECT_REASONS
from pagi.server.config.settings import Flow
from tests.unit.exchange.scene import LAST, MORE, START, Scene, manual, turns


def note(seen: list[Any], name: str) -> Any:
    return lambda *arguments: seen.append((name, *arguments))


def watched(scene: Scene) -> list[Any]:
    """Register one callback of each kind, several times over."""
    seen: list[Any] = []
    connection = scene.connection
    for number in (1, 2):
        connection.on_end(note(seen, f"end{number}"))
        connection.on_disconnect(note(seen, f"disconnect{number}"))
        connection.on_complete(note(seen, f"complete{number}"))
    return seen


# --- pagi.connection -------------------------------------------------------------------------


@pytest.mark.spec("CORE-27", "CORE-28", "CORE-29")
async def test_flags_from_begin_to_clean_end() -> None:
    scene = await manual()
    connection = scene.scope["pagi.connection"]

    def flags() -> tuple[Any, ...]:
        return (
            connection.is_connected,
            connection.response_started,
            connection.response_complete,
            connection.disconnect_reason,
            connection.disconnect_detail,
        )

    assert flags() == (True, False, False, None, None)
    await scene.send(START)
    assert flags() == (True, True, False, None, None)
    await scene.send(MORE)
    assert flags() == (True, True, False, None, None)
    await scene.send(LAST)
    assert flags() == (True, True, True, None, None)
    await scene.close()


@pytest.mark.spec("CORE-28", "CORE-29")
async def test_the_first_reason_stays() -> None:
    scene = await manual()

    scene.exchange.disconnected("client_timeout", "slow")
    scene.exchange.disconnected("client_closed", "other")

    assert not scene.connection.is_connected
    assert scene.connection.disconnect_reason == "client_timeout"
    assert scene.connection.disconnect_detail == "slow"
    assert not scene.connection.response_complete
    await scene.close()


@pytest.mark.spec("CORE-30", "CORE-32")
async def test_callbacks_of_a_clean_end_come_after_send_has_returned() -> None:
    scene = await manual()
    seen = watched(scene)

    await scene.send(START)
    sending = scene.send(LAST)
    seen.append("sent")
    await sending
    await turns()

    assert seen == [
        "sent",
        ("end1", None, None),
        ("complete1",),
        ("end2", None, None),
        ("complete2",),
    ]
    await scene.close()


@pytest.mark.spec("CORE-30")
async def test_callbacks_of_an_abnormal_end() -> None:
    scene = await manual()
    seen = watched(scene)

    scene.exchange.disconnected("client_closed", "ConnectionResetError")
    scene.exchange.disconnected("client_closed", "again")
    await turns()

    arguments = ("client_closed", "ConnectionResetError")
    assert seen == [(name, *arguments) for name in ("end1", "disconnect1", "end2", "disconnect2")]
    await scene.close()


@pytest.mark.spec("CORE-30")
async def test_registered_after_the_end_they_are_called_at_once() -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(LAST)
    assert watched(scene) == [
        ("end1", None, None),
        ("complete1",),
        ("end2", None, None),
        ("complete2",),
    ]
    await scene.close()

    scene = await manual()
    scene.exchange.disconnected("write_error", None)
    assert watched(scene) == [
        ("end1", "write_error", None),
        ("disconnect1", "write_error", None),
        ("end2", "write_error", None),
        ("disconnect2", "write_error", None),
    ]
    await scene.close()


@pytest.mark.spec("CORE-30")
async def test_an_exception_in_a_callback_is_logged_and_keeps_no_other() -> None:
    scene = await manual()
    seen: list[Any] = []
    error = ZeroDivisionError()

    def fail(*arguments: Any) -> None:
        raise error

    scene.connection.on_end(fail)
    scene.connection.on_end(note(seen, "end"))
    scene.exchange.disconnected("client_closed")
    scene.connection.on_end(fail)

    assert seen == [("end", "client_closed", None)]
    assert scene.log.errors == [error, error]
    assert scene.log.texts == ["a callback of pagi.connection raised"] * 2
    await scene.close()


@pytest.mark.spec("CORE-31")
async def test_futures_of_an_abnormal_end() -> None:
    scene = await manual()
    connection = scene.connection
    gone, end = connection.disconnect_future(), connection.end_future()
    other, cancelled = connection.disconnect_future(), connection.end_future()
    assert gone is not other
    cancelled.cancel()

    scene.exchange.disconnected("client_closed")

    assert await gone == await other == await end == "client_closed"
    assert await connection.disconnect_future() == "client_closed"
    assert await connection.end_future() == "client_closed"
    await scene.close()


@pytest.mark.spec("CORE-31")
async def test_futures_of_a_clean_end() -> None:
    scene = await manual()
    connection = scene.connection
    gone, end = connection.disconnect_future(), connection.end_future()

    await scene.send(START)
    await scene.send(LAST)

    assert await end is None
    assert await connection.end_future() is None
    await turns()
    assert not gone.done()
    assert not connection.disconnect_future().done()
    await scene.close()


@pytest.mark.spec("CORE-32")
async def test_order_at_an_abnormal_end() -> None:
    """Flags and reason, futures, callbacks, then the pending receive."""
    seen: list[str] = []
    scene = await manual()
    await scene.receive()

    async def receive() -> None:
        await scene.receive()
        seen.append("receive")

    future = scene.connection.end_future()
    future.add_done_callback(lambda _: seen.append("future resolved"))

    def callback(reason: str | None, detail: str | None) -> None:
        assert not scene.connection.is_connected
        assert future.done()
        seen.append("callback")

    scene.connection.on_end(callback)
    receiving = asyncio.ensure_future(receive())
    await turns()
    scene.exchange.disconnected("client_closed")
    await receiving

    assert seen == ["callback", "future resolved", "receive"]
    await scene.close()


@pytest.mark.spec("CORE-32")
async def test_order_at_a_clean_end() -> None:
    seen: list[str] = []
    scene = await manual()
    await scene.receive()

    async def receive() -> None:
        await scene.receive()
        seen.append("receive")

    future = scene.connection.end_future()
    scene.connection.on_complete(lambda: seen.append(f"callback, future {future.done()}"))
    receiving = asyncio.ensure_future(receive())
    await turns()
    await scene.send(START)
    await scene.send(LAST)
    assert seen == []
    await receiving

    assert seen == ["callback, future True", "receive"]
    await scene.close()


@pytest.mark.spec("CORE-33", "CORE-43")
async def test_abort() -> None:
    scene = await manual()
    seen = watched(scene)
    await scene.send(START)
    await scene.send(MORE)

    scene.connection.abort("enough")
    scene.connection.abort("again")

    assert scene.stream.calls[-1] == ("reset", "app_abort")
    assert scene.stream.names.count("reset") == 1
    assert scene.connection.disconnect_reason == "app_abort"
    assert scene.connection.disconnect_reason in DISCONNECT_REASONS
    assert scene.connection.disconnect_detail == "enough"
    assert ("disconnect1", "app_abort", "enough") in seen
    assert await scene.receive() == {
        "type": "http.request",
        "body": b"",
        "more_body": False,
    }
    assert await scene.receive() == {"type": "http.disconnect", "reason": "app_abort"}
    await scene.finish()
    assert scene.log.records == []


@pytest.mark.spec("CORE-33")
async def test_abort_after_the_end_does_nothing() -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(LAST)
    scene.connection.abort()
    assert scene.connection.disconnect_reason is None
    assert "reset" not in scene.stream.names
    await scene.close()

    scene = await manual()
    scene.exchange.disconnected("client_closed")
    scene.connection.abort()
    assert scene.connection.disconnect_reason == "client_closed"
    assert scene.stream.calls == []
    await scene.close()


@pytest.mark.spec("CORE-37")
async def test_draining() -> None:
    scene = await manual()
    connection = scene.connection
    assert not connection.draining
    first, second, cancelled = (connection.drain_future() for _ in range(3))
    cancelled.cancel()
    await turns()

    scene.service.begin_draining()

    assert connection.draining
    await first
    await second
    await connection.drain_future()
    await scene.close()


async def test_drain_futures_are_not_kept_once_they_are_done() -> None:
    scene = await manual()
    future = scene.connection.drain_future()
    future.set_result(None)
    await turns()

    scene.service.begin_draining()

    assert scene.log.records == []
    await scene.close()


async def test_a_drain_future_that_was_resolved_by_others_in_the_same_turn() -> None:
    scene = await manual()
    future = scene.connection.drain_future()
    future.cancel()

    scene.service.begin_draining()

    assert future.cancelled()
    await scene.close()


# --- pagi.transport --------------------------------------------------------------------------


@pytest.mark.spec("CORE-34", "CORE-35")
async def test_amount_and_marks() -> None:
    scene = await manual(flow=Flow(write_high_watermark=1000, write_low_watermark=100))
    transport = scene.scope["pagi.transport"]
    scene.stream.buffered = 77

    assert transport.buffered_amount() == 77
    assert transport.high_water_mark() == 1000
    assert transport.low_water_mark() == 100
    await scene.close()


@pytest.mark.spec("CORE-34")
@pytest.mark.parametrize("clean", [True, False])
async def test_nothing_is_buffered_and_nobody_called_after_the_end(clean: bool) -> None:
    scene = await manual()
    transport = scene.scope["pagi.transport"]
    seen: list[Any] = []
    transport.on_high_water(note(seen, "high"))
    transport.on_drain(note(seen, "drain"))
    if clean:
        await scene.send(START)
        await scene.send(LAST)
    else:
        scene.exchange.disconnected("client_closed")
    scene.stream.buffered = 77
    scene.stream.writable = False

    scene.exchange.above_high_water()
    scene.exchange.drained()
    transport.on_high_water(note(seen, "high"))

    assert transport.buffered_amount() == 0
    assert seen == []
    await scene.close()


@pytest.mark.spec("CORE-36")
async def test_edges_are_told_once_each() -> None:
    scene = await manual()
    transport = scene.scope["pagi.transport"]
    seen: list[Any] = []
    transport.on_high_water(note(seen, "high"))
    transport.on_drain(note(seen, "drain"))
    assert seen == []

    for _ in range(2):
        scene.exchange.above_high_water()
        scene.exchange.drained()

    assert seen == [("high",), ("drain",)] * 2
    await scene.close()


async def test_edges_that_nobody_asked_for() -> None:
    scene = await manual()

    scene.exchange.above_high_water()
    scene.exchange.drained()

    assert scene.log.records == []
    await scene.close()


@pytest.mark.spec("CORE-36")
async def test_registered_above_the_mark_it_is_called_at_once_and_then_at_each_edge() -> None:
    scene = await manual()
    transport = scene.scope["pagi.transport"]
    seen: list[Any] = []
    scene.stream.writable = False

    transport.on_high_water(note(seen, "first"))
    transport.on_high_water(note(seen, "second"))
    assert seen == [("first",), ("second",)]
    scene.stream.writable = True
    scene.exchange.drained()
    scene.exchange.above_high_water()

    assert seen == [("first",), ("second",)] * 2
    await scene.close()


async def test_an_exception_in_one_transport_callback_keeps_no_other() -> None:
    scene = await manual()
    transport = scene.scope["pagi.transport"]
    seen: list[Any] = []
    error = ZeroDivisionError()

    def fail() -> None:
        raise error

    for register in (transport.on_high_water, transport.on_drain):
        register(fail)
        register(note(seen, "called"))
    scene.exchange.above_high_water()
    scene.exchange.drained()

    assert seen == [("called",), ("called",)]
    assert scene.log.errors == [error, error]
    await scene.close()
