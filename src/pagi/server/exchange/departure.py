"""Whether an error that ended an application says no more than that its client has gone.

Frameworks seldom let `Disconnected` through as it is: Starlette and Quart raise an error of their
own in its place, Litestar one that was raised from a group that holds it. And what they raise when
``websocket.disconnect`` arrives comes of no error at all; it is known by its name. That is nobody's
fault, and a traceback for each client that leaves would bury those that matter.
"""

from __future__ import annotations

from asyncio import CancelledError
from typing import Final

from pagi.interface.errors import Disconnected

__all__ = ["is_departure"]

#: What the errors for ``websocket.disconnect`` are called: Starlette's and FastAPI's, Litestar's,
#: BlackSheep's ``WebSocketDisconnect…``, Falcon's ``WebSocketDisconnected``.
NAME: Final = "WebSocketDisconnect"

#: How far an error is traced back; a chain can be as long as the application likes.
MAX_LINKS: Final = 32


def is_departure(error: BaseException, links: int = MAX_LINKS) -> bool:
    """Tell whether an error, raised after the client had gone, is only the news of that.

    It is if it is an ``OSError`` or a cancellation, if it or what it was raised because of, or
    while that was handled, is a `Disconnected` or a framework's word for it, or if it is a group
    of nothing else. A ``TypeError``, ``KeyError``
    or other error of Python itself that happened meanwhile is a mistake and stays one.
    """
    return isinstance(error, (OSError, CancelledError)) or _came_of_one(error, links)


def _came_of_one(error: BaseException | None, links: int) -> bool:
    while error is not None and links > 0:
        links -= 1
        if isinstance(error, Disconnected) or type(error).__name__.startswith(NAME):
            return True
        if isinstance(error, BaseExceptionGroup):
            return all(is_departure(member, links) for member in error.exceptions)
        if type(error).__module__ == "builtins" and not isinstance(error, RuntimeError):
            return False
        error = error.__cause__ or error.__context__
    return False
