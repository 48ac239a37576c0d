"""`Waiter`: what a waiting application is woken by."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from pagi.server.exchange.awaitables import Waiter

place: ContextVar[str] = ContextVar("place")


async def wait(waiter: Any, log: list[str]) -> None:
    place.set("task")
    try:
        await waiter
    except asyncio.CancelledError as error:
        log.append(f"cancelled {error}")
        raise
    log.append(place.get())


async def parked(waiter: Any, log: list[str]) -> asyncio.Task[None]:
    """Return a task that waits for ``waiter``."""
    task = asyncio.create_task(wait(waiter, log))
    await asyncio.sleep(0)
    return task


async def test_wakes_in_place_and_in_its_own_context() -> None:
    loop = asyncio.get_running_loop()
    waiter, log = Waiter(loop), []  # type: ignore[var-annotated]
    task = await parked(waiter, log)
    seen = loop.create_future()
    loop.call_soon(lambda: (waiter.wake(), seen.set_result(list(log))))

    assert await seen == ["task"]
    await task


@pytest.mark.parametrize("wake", ["wake", "wake_soon"])
async def test_a_task_wakes_another_in_the_next_turn(wake: str) -> None:
    waiter, log = Waiter(asyncio.get_running_loop()), []  # type: ignore[var-annotated]
    task = await parked(waiter, log)
    getattr(waiter, wake)()
    getattr(waiter, wake)()

    assert log == []
    await task
    assert log == ["task"]


async def test_is_done_before_it_is_awaited() -> None:
    waiter, log = Waiter(asyncio.get_running_loop()), []  # type: ignore[var-annotated]
    waiter.wake()
    await asyncio.wait_for(wait(waiter, log), 5)

    assert log == ["task"]


async def test_cancel() -> None:
    waiter, log = Waiter(asyncio.get_running_loop()), []  # type: ignore[var-annotated]
    task = await parked(waiter, log)
    task.cancel("enough")
    waiter.wake()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert log == ["cancelled enough"]


async def test_cancel_after_it_was_woken() -> None:
    waiter, log = Waiter(asyncio.get_running_loop()), []  # type: ignore[var-annotated]
    task = await parked(waiter, log)
    waiter.wake_soon()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert log == ["cancelled "]
