"""`AppRunner`: applications run in place, in seats and in tasks, and nobody can tell which."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pagi.server.exchange.tasks import AppRunner
from tests.conftest import new_loop
from tests.unit.exchange.scene import turns

EAGER = sys.version_info >= (3, 12)
VARIABLE: ContextVar[int] = ContextVar("VARIABLE", default=-1)


class Exchange:
    """Stands for an exchange: the application needs its two methods, the runner its third."""

    def __init__(self, runner: AppRunner) -> None:
        self.runner = runner
        self.done = asyncio.get_running_loop().create_future()
        self.error: BaseException | None = None
        self.at_once = False

    async def receive(self) -> Any:
        await asyncio.sleep(0)
        return {"type": "http.request"}

    async def send(self, message: Any) -> None:
        return None

    def app_finished(self, error: BaseException | None) -> None:
        self.error = error
        self.done.set_result(None)

    def start(self, app: Any) -> None:
        """What a driver's callback does."""
        if self.runner.start(app, self, {}):
            self.at_once = True
            error, self.runner.error = self.runner.error, None
            self.app_finished(error)


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[Callable[[Any], Exchange]]:
    """Yield a function that runs an application from a callback of the loop, with a seat ready."""
    loop = asyncio.get_running_loop()
    runner = AppRunner(loop, copy_context(), **options)

    def start(app: Any) -> Exchange:
        exchange = Exchange(runner)
        loop.call_soon(exchange.start, app)
        return exchange

    async def warm_up(*_: Any) -> None:
        return None

    for _ in range(3):
        await start(warm_up).done
        await turns()
    try:
        yield start
    finally:
        runner.close()
        await turns()
    assert not runner.tasks
    assert [task for task in asyncio.all_tasks() if "_sit" in repr(task)] == []


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """Answer without waiting for anything."""


# --- in place --------------------------------------------------------------------------------


async def test_an_application_that_waits_for_nothing_ends_in_place_and_its_task_is_used_again() -> (
    None
):
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(id(asyncio.current_task()))
        await send({})

    async with running() as start:
        for _ in range(5):
            exchange = start(app)
            await exchange.done
            assert exchange.at_once
            assert exchange.error is None

    assert len(seen) == 5
    assert len(set(seen)) == 1


def keep_it(seen: list[Any]) -> None:
    seen.append(asyncio.current_task())


def refer_weakly(seen: list[Any]) -> None:
    seen.append(weakref.ref(current()))


def refer_weakly_with_callback(seen: list[Any]) -> None:
    seen.append(weakref.ref(current(), seen.append))


def use_as_weak_key(seen: list[Any]) -> None:
    dictionary: Any = weakref.WeakKeyDictionary()
    dictionary[current()] = 1
    seen.append(dictionary)


def cancel_it(seen: list[Any]) -> None:
    current().cancel()


def cancel_and_uncancel(seen: list[Any]) -> None:
    current().cancel()
    current().uncancel()


def rename_it(seen: list[Any]) -> None:
    current().set_name("mine")


def rename_it_alike(seen: list[Any]) -> None:
    current().set_name("".join(list(current().get_name())))


def wait_for_its_end(seen: list[Any]) -> None:
    current().add_done_callback(seen.append)


def current() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


@pytest.mark.parametrize(
    "trace",
    [
        keep_it,
        refer_weakly,
        refer_weakly_with_callback,
        use_as_weak_key,
        cancel_it,
        cancel_and_uncancel,
        rename_it,
        rename_it_alike,
        wait_for_its_end,
    ],
)
async def test_a_task_with_traces_of_a_request_is_never_used_again(
    trace: Callable[[list[Any]], None],
) -> None:
    seen: list[Any] = []
    tasks: list[str] = []
    clean: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        task = current()
        clean.append(not task.cancelling() and task.get_name() not in ("mine", *tasks))
        tasks.append(task.get_name())
        del task
        trace(seen)

    async with running() as start:
        for _ in range(4):
            await start(app).done
            await turns()

    assert clean == [True] * 4


async def test_a_done_callback_is_called_when_the_application_has_ended() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        wait_for_its_end(seen)

    async with running() as start:
        await start(app).done
        await turns()
        assert len(seen) == 1


async def test_an_exception_in_place() -> None:
    error = ZeroDivisionError()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    async with running() as start:
        for _ in range(3):
            exchange = start(app)
            await exchange.done
            assert exchange.error is error
        exchange = start(nothing)
        await exchange.done
        assert exchange.error is None


async def test_more_seats_than_are_kept() -> None:
    waiting = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.shield(waiting)

    async with running(max_seats=2) as start:
        exchanges = [start(app) for _ in range(20)]
        await turns()
        waiting.set_result(None)
        for exchange in exchanges:
            await exchange.done
            assert exchange.error is None


async def test_no_seats_at_all() -> None:
    async with running(max_seats=0) as start:
        for app in (nothing, sleeps):
            exchange = start(app)
            await exchange.done
            assert exchange.error is None
            await turns()


async def sleeps(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0)
    await receive()


# --- waiting ---------------------------------------------------------------------------------


async def test_an_application_that_waits_goes_on_in_the_same_task() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        await asyncio.sleep(0.001)
        seen.append(asyncio.current_task())
        await receive()
        seen.append(asyncio.current_task())

    async with running() as start:
        exchange = start(app)
        await exchange.done

        assert not exchange.at_once
        assert len(set(seen)) == 1
        assert isinstance(seen[0], asyncio.Task)
        await turns()
        assert seen[0].done()
        assert seen[0].exception() is None


async def test_the_tasks_of_those_that_wait_are_known() -> None:
    waiting = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await waiting

    async with running() as start:
        exchanges = [start(app) for _ in range(3)]
        await turns()
        assert len(exchanges[0].runner.tasks) == 3
        waiting.set_result(None)
        for exchange in exchanges:
            await exchange.done
        await turns()
        assert exchanges[0].runner.tasks == set()


async def test_an_exception_after_waiting() -> None:
    error = ZeroDivisionError()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        raise error

    async with running() as start:
        exchange = start(app)
        await exchange.done
        assert exchange.error is error


async def test_what_it_waits_for_fails() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, ValueError("x"))
        with pytest.raises(ValueError, match="x"):
            await future
        with pytest.raises(ValueError, match="y"):
            await fails()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("y")

    async with running() as start:
        exchange = start(app)
        await exchange.done
        assert exchange.error is None


async def test_a_waiting_application_is_cancelled_like_any_task() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            await asyncio.sleep(0)
            seen.append("cleaned up")
            raise

    async with running() as start:
        exchange = start(app)
        await turns()
        for task in exchange.runner.tasks:
            task.cancel()
        await exchange.done

    assert seen == ["cancelled", "cleaned up"]
    assert isinstance(exchange.error, asyncio.CancelledError)


# --- cancellation that begins in the first step ----------------------------------------------


async def test_cancelled_in_the_first_step_it_is_told_at_its_first_wait() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        current().cancel("why")
        seen.append("first step")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as exc:
            seen.append(exc.args)
            assert current().cancelling() == 1
            current().uncancel()
        await asyncio.sleep(0)
        seen.append("went on")

    async with running() as start:
        exchange = start(app)
        await exchange.done

    assert seen == ["first step", ("why",), "went on"]
    assert exchange.error is None


async def test_what_a_cancelled_application_waits_for_is_cancelled_too() -> None:
    """As `asyncio.Task` does: the future that it waits for, not only the wait."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        inner = asyncio.ensure_future(asyncio.sleep(60))
        seen.append(inner)
        current().cancel()
        await inner

    async with running() as start:
        exchange = start(app)
        await exchange.done
        await turns()

    assert isinstance(exchange.error, asyncio.CancelledError)
    assert seen[0].cancelled()


async def test_cancelled_in_the_first_step_while_it_waits_for_another_turn() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        current().cancel()
        await asyncio.sleep(0)

    async with running() as start:
        exchange = start(app)
        await exchange.done

    assert isinstance(exchange.error, asyncio.CancelledError)


async def test_a_timeout_around_everything() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)
        assert not current().cancelling()
        async with asyncio.timeout(60):
            await send({})

    async with running() as start:
        for _ in range(3):
            exchange = start(app)
            await exchange.done
            assert exchange.error is None


async def test_a_timeout_that_ends_in_the_first_step_leaves_the_task_as_it_was() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with asyncio.timeout(60):
            await send({})
        assert not current().cancelling()

    async with running() as start:
        for _ in range(5):
            exchange = start(app)
            await exchange.done
            assert exchange.error is None
            assert exchange.at_once


async def test_a_timeout_that_is_over_before_it_begins() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(-1):
                await asyncio.sleep(60)

    async with running() as start:
        exchange = start(app)
        await exchange.done
        assert exchange.error is None


async def test_wait_for() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await asyncio.wait_for(asyncio.sleep(0, 5), 1) == 5
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(60), 0.001)

    async with running() as start:
        exchange = start(app)
        await exchange.done
        assert exchange.error is None


async def test_task_groups() -> None:
    seen = []

    async def child(value: int) -> None:
        await asyncio.sleep(0)
        seen.append(value)

    async def fails() -> None:
        raise KeyError

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child(1))
            group.create_task(child(2))
        with pytest.raises(BaseExceptionGroup) as raised:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                group.create_task(child(3))
                await asyncio.sleep(60)
        assert raised.group_contains(KeyError)
        async with asyncio.TaskGroup():
            pass

    async with running() as start:
        exchange = start(app)
        await exchange.done
        assert exchange.error is None
    assert sorted(seen) in ([1, 2], [1, 2, 3])


# --- anyio -----------------------------------------------------------------------------------


async def test_anyio_cancel_scopes() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with anyio.move_on_after(0.001) as cancel_scope:
            await anyio.sleep(60)
        assert cancel_scope.cancelled_caught
        with anyio.fail_after(60):
            await send({})
            await anyio.lowlevel.checkpoint()

    async with running() as start:
        for _ in range(3):
            exchange = start(app)
            await exchange.done
            assert exchange.error is None


async def test_anyio_scopes_that_end_in_the_first_step() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with anyio.CancelScope() as outer:
            with anyio.CancelScope():
                await send({})
            outer.cancel()
        assert not current().cancelling()

    async with running() as start:
        for _ in range(5):
            exchange = start(app)
            await exchange.done
            assert exchange.error is None


async def test_anyio_task_groups() -> None:
    seen: list[int] = []

    async def child(value: int) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(value)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(child, 1)
            group.start_soon(child, 2)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)
            group.cancel_scope.cancel()
        assert await anyio.to_thread.run_sync(lambda: 7) == 7

    async with running() as start:
        for _ in range(3):
            exchange = start(app)
            await exchange.done
            assert exchange.error is None
    assert sorted(seen) == [1, 1, 1, 2, 2, 2]


# --- contexts --------------------------------------------------------------------------------


@pytest.mark.spec("CORE-5")
async def test_a_thousand_interleaved_requests_see_only_their_own_context() -> None:
    token = VARIABLE.set(7)
    wrong = []

    async def app(number: int) -> None:
        if VARIABLE.get() != 7:
            wrong.append(number)
        VARIABLE.set(number)
        for pause in range(number % 4):
            await asyncio.sleep(0 if pause else 0.001)
            if VARIABLE.get() != number:
                wrong.append(number)

    async with running() as start:
        exchanges = [start(lambda *_, number=number: app(number)) for number in range(1000)]
        for exchange in exchanges:
            await exchange.done
            assert exchange.error is None

    assert wrong == []
    assert VARIABLE.get() == 7
    VARIABLE.reset(token)


@pytest.mark.spec("CORE-5")
async def test_tasks_and_callbacks_of_an_application_inherit_its_context() -> None:
    seen = []

    async def child() -> None:
        seen.append(VARIABLE.get())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        VARIABLE.set(3)
        asyncio.get_running_loop().call_soon(lambda: seen.append(VARIABLE.get()))
        await asyncio.ensure_future(child())
        VARIABLE.set(4)
        await asyncio.ensure_future(child())

    async with running() as start:
        await start(app).done

    assert seen == [3, 3, 4]
    assert VARIABLE.get() == -1


# --- what an application may be --------------------------------------------------------------


class Awaitable:
    """An awaitable that is no coroutine."""

    def __await__(self) -> Iterator[Any]:
        return asyncio.sleep(0.001).__await__()


class Instance:
    """An application as an object."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)


def returns_future(scope: Any, receive: Any, send: Any) -> Any:
    future = asyncio.get_running_loop().create_future()
    future.get_loop().call_soon(future.set_result, None)
    return future


def returns_done_future(scope: Any, receive: Any, send: Any) -> Any:
    future = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


@pytest.mark.spec("CORE-1")
@pytest.mark.parametrize(
    "app",
    [
        Instance(),
        returns_future,
        returns_done_future,
        lambda scope, receive, send: Awaitable(),
        lambda scope, receive, send: asyncio.ensure_future(asyncio.sleep(0)),
        lambda scope, receive, send: sleeps(scope, receive, send),
    ],
)
async def test_whatever_returns_an_awaitable(app: Any) -> None:
    async with running() as start:
        for _ in range(2):
            exchange = start(app)
            await exchange.done
            assert exchange.error is None


@pytest.mark.parametrize("from_task", [False, True])
async def test_a_function_that_returns_nothing_is_told_so(from_task: bool) -> None:
    async with running() as start:
        exchange = start(nothing)
        await exchange.done
        for value in (None, 5, [b"body"]):
            other = Exchange(exchange.runner)
            if from_task:
                other.start(lambda *_, value=value: value)
            else:
                asyncio.get_running_loop().call_soon(other.start, lambda *_, value=value: value)
            await other.done
            assert isinstance(other.error, TypeError)
            assert "must return an awaitable" in str(other.error)
            assert repr(value) in str(other.error)


async def test_a_call_that_fails() -> None:
    def app(scope: Any) -> None:
        """Take too few arguments."""

    async with running() as start:
        exchange = start(app)
        await exchange.done
        assert isinstance(exchange.error, TypeError)


async def test_started_from_inside_a_task_it_has_a_task_of_its_own() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(asyncio.current_task())

    async with running() as start:
        exchange = start(nothing)
        await exchange.done
        for _ in range(3):
            inner = Exchange(exchange.runner)
            inner.start(app)
            assert seen == []
            await inner.done
            assert inner.error is None
            assert seen.pop() is not asyncio.current_task()


async def test_errors_in_a_task_of_its_own() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    async with running() as start:
        exchange = start(nothing)
        await exchange.done
        inner = Exchange(exchange.runner)
        inner.start(app)
        await inner.done
        assert isinstance(inner.error, ZeroDivisionError)


# --- the end of everything -------------------------------------------------------------------


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("waits", [False, True])
def test_an_exit_is_told_and_goes_on(kind: type[BaseException], waits: bool) -> None:
    told = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if waits:
            await asyncio.sleep(0)
        raise kind

    class Watched(Exchange):
        def app_finished(self, error: BaseException | None) -> None:
            told.append(error)

    async def main() -> None:
        runner = AppRunner(asyncio.get_running_loop(), copy_context())
        warm = Exchange(runner)
        asyncio.get_running_loop().call_soon(warm.start, nothing)
        await warm.done
        await turns()
        exchange = Watched(runner)
        asyncio.get_running_loop().call_soon(exchange.start, app)
        await turns()

    loop = new_loop()
    try:
        if waits:
            with pytest.raises(kind):
                loop.run_until_complete(main())
        else:
            loop.run_until_complete(main())
        assert isinstance(told[0], kind)
        finish(loop)
    finally:
        loop.close()


def finish(loop: asyncio.AbstractEventLoop) -> None:
    """End a loop as `asyncio.run` does."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


@pytest.mark.parametrize("close", [False, True])
def test_at_the_end_of_the_loop_parked_tasks_end_without_a_word(
    close: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ended = []

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        runner = AppRunner(loop, copy_context())
        for app in (nothing, nothing, nothing, waits, waits):
            loop.call_soon(Exchange(runner).start, app)
            await turns()
        if close:
            runner.close()

    loop = new_loop()
    loop.set_exception_handler(lambda loop, context: ended.append(context))
    try:
        loop.run_until_complete(main())
        finish(loop)
        assert asyncio.all_tasks(loop) == set()
    finally:
        loop.close()
    assert ended == [1, 1]
    assert caplog.records == []


async def test_after_close_requests_still_run_and_leave_nothing() -> None:
    async with running() as start:
        exchange = start(nothing)
        await exchange.done
        exchange.runner.close()
        for app in (nothing, sleeps, nothing):
            late = start(app)
            await late.done
            assert late.error is None
            await turns()
        assert [task for task in asyncio.all_tasks() if "_sit" in repr(task)] == []
