"""`DONE`: an awaitable that is done."""

from __future__ import annotations

import asyncio

import pytest

from pagi.server.exchange.awaitables import DONE


async def test_awaited_again_and_again() -> None:
    for _ in range(3):
        await DONE


async def test_as_a_task() -> None:
    task = asyncio.create_task(DONE)
    assert await task is None


async def test_waited_for_and_gathered() -> None:
    assert await asyncio.wait_for(DONE, 1) is None
    assert await asyncio.gather(DONE, DONE) == [None, None]


async def test_a_cancelled_task() -> None:
    task = asyncio.create_task(DONE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_what_is_thrown_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        DONE.throw(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        DONE.throw(ZeroDivisionError)
    error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError) as raised:
        DONE.throw(ZeroDivisionError, error)
    assert raised.value is error
    DONE.close()
