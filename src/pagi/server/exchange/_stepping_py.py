"""The first step of an application's coroutine, in a context and as a task: Python twin."""

from __future__ import annotations

from asyncio.tasks import _enter_task, _leave_task
from contextvars import Context
from inspect import isawaitable
from typing import Any

__all__ = ["as_coroutine", "first_step"]


async def as_coroutine(awaitable: Any) -> Any:
    """Give an awaitable that is no coroutine (a future, say) the methods of one."""
    if not isawaitable(awaitable):
        raise TypeError(f"the application must return an awaitable; it returned {awaitable!r:.80}")
    return await awaitable


def _begin(app: Any, exchange: Any, scope: Any) -> tuple[Any, Any]:
    running = app(scope, exchange.receive, exchange.send)
    if not hasattr(running, "send"):
        running = as_coroutine(running)
    return running, running.send(None)


def first_step(
    loop: Any, task: Any, base: Context, app: Any, exchange: Any, scope: Any
) -> tuple[Any, ...] | None:
    """Call the application and run it to its first wait, in a copy of ``base``, as ``task``.

    Returns:
        the coroutine, what it waits for and its context; ``None`` if it ended; ``()`` if another
        task is current, so that nothing was called.

    Raises:
        BaseException: whatever the application raises.
    """
    try:
        _enter_task(loop, task)
    except RuntimeError:
        return ()
    context = base.copy()
    try:
        return (*context.run(_begin, app, exchange, scope), context)
    except StopIteration:
        return None
    finally:
        _leave_task(loop, task)
