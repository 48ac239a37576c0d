"""Awaitables that are already done: what ``send`` returns when it need not wait.

One source, two builds: compiled as ``_awaitables_c`` (see ``_awaitables_c.pxd``).

Creating a coroutine only to finish it at once costs more than the rest of a small ``send``. The
object is shared and stateless. It has the methods of a coroutine so that
``asyncio.create_task(send(message))`` works as it does with other servers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Any, Final

__all__ = ["DONE", "Done"]

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
