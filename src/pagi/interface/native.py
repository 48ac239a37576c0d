"""The mark of a native application: one that wants `sse` scopes and PAGI's stricter rules."""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = ["is_native", "native"]

_T = TypeVar("_T")
_MARK = "__pagi_native__"


def native(app: _T) -> _T:
    """Mark ``app`` (a function, class instance or class) as native to PAGI and return it.

    A native application receives scopes of type ``sse`` for requests whose best-matching media
    range is ``text/event-stream``; every other application receives plain ``http`` for them.
    """
    setattr(app, _MARK, True)
    return app


def is_native(app: Any) -> bool:
    """Tell whether ``app`` was marked by `native`."""
    return getattr(app, _MARK, False) is True
