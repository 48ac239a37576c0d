"""What the application awaits: `DONE`, of a ``send`` that need not wait, and a `Waiter`.

One source, two builds: compiled as ``_awaitables_c`` (see ``_awaitables_c.pxd``).

Creating a coroutine only to finish it at once costs more than the rest of a small ``send``. `DONE`
is shared and stateless. It has the methods of a coroutine so that
``asyncio.create_task(send(message))`` works as it does with other servers.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError
from collections.abc import Callable, Generator, Iterator
from contextvars import Context
from types import TracebackType
from typing import Any, Final

__all__ = ["DONE", "Done", "Waiter"]

# An exhausted iterator stays exhausted: awaiting it ends at once, in C.
_EXHAUSTED: Final[Iterator[None]] = iter(())


class Done:
    """An awaitable whose result is ``None``, now."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        return _EXHAUSTED  # type: ignore[return-value]  # await needs only an iterator

    def send(self, value: object) -> Any:
        """Finish, as a coroutine does that has nothing to wait for."""
        raise StopIteration

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> Any:
        """Raise what is thrown: there is no frame that could catch it."""
        if isinstance(kind, BaseException):
            raise kind
        raise value if value is not None else kind()

    def close(self) -> None:
        """Do nothing: nothing is open."""


DONE: Final = Done()


class Waiter:
    """What the task of an application waits for, once: a future that can wake it in place.

    The callbacks of an `asyncio.Future` are called in the loop's next turn. For a WebSocket message
    that costs as much as all else we do for it, and its answer then misses the writing of the turn.
    `wake` lets the task take its next step before it returns.

    Args:
        loop: that of the task.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_awaited",
        "_callback",
        "_cancelled",
        "_context",
        "_done",
        "_loop",
        "_message",
    )

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._awaited = False
        self._loop = loop
        self._callback: Callable[[Any], Any] | None = None  # lets the task take a step
        self._context: Context | None = None  # which that step runs in
        self._done = False
        self._cancelled = False
        self._message: Any = None

    def wake(self) -> None:
        """Let the task go on: now, or in the next turn if this is called by another task.

        Only the first call of this, `wake_soon` and `cancel` counts.
        """
        if self._done:
            return
        self._done = True
        if self._callback is None or self._context is None:  # not waiting yet
            return
        try:
            self._context.run(self._callback, self)
        except RuntimeError:  # a task, or this context, is on its way already
            self._schedule()
        except BaseException as exc:  # SystemExit: it is for the loop, not for who brought news
            self._loop.call_soon(_raise, exc)

    def wake_soon(self) -> None:
        """Let the task go on in the next turn of the loop."""
        if not self._done:
            self._done = True
            self._schedule()

    def _schedule(self) -> None:
        if self._callback is not None:
            self._loop.call_soon(self._callback, self, context=self._context)

    # ------------------------------------------------------------- what a task does with it

    def __await__(self) -> Generator[Any, Any, None]:
        return self  # type: ignore[return-value]  # await needs only an iterator

    def __iter__(self) -> Waiter:
        return self

    def __next__(self) -> Waiter:
        if self._awaited:
            raise StopIteration
        self._awaited = self._asyncio_future_blocking = True
        return self

    def get_loop(self) -> AbstractEventLoop:
        """Return the loop of the task."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], Any], *, context: Any = None) -> None:
        """Take the callable that lets the task take a step."""
        self._callback = callback
        self._context = context
        if self._done:
            self._schedule()

    def result(self) -> None:
        """Return nothing, or raise `CancelledError` after `cancel`."""
        if self._cancelled:
            raise CancelledError() if self._message is None else CancelledError(self._message)

    def cancel(self, msg: object = None) -> bool:
        """Let the task go on with a `CancelledError`; false if it goes on anyway."""
        if self._done:
            return False
        self._done = self._cancelled = True
        self._message = msg
        self._schedule()
        return True


def _raise(error: BaseException) -> None:
    raise error
