"""What an object must look like to be an application, and what to say when it does not."""

from __future__ import annotations

import inspect
from typing import Any, cast

from pagi.cli.errors import LoadError, location, one_line
from pagi.interface.callables import App

__all__ = ["as_application"]


def as_application(name: str, found: Any) -> App:
    """Return ``found`` if it is an application; for an object with ``to_app()`` what that makes.

    Raises:
        LoadError: it is something else; the text says what it seems to be.
    """
    if not isinstance(found, type) and callable(getattr(found, "to_app", None)):
        found = _converted(name, found)
        name = f"{name}.to_app()"
    if not callable(found):
        raise LoadError(
            f"{name} is not an application: {_article(found)} cannot be called; "
            "an application is async def app(scope, receive, send)"
        )
    reason = _objection(name, found)
    if reason:
        raise LoadError(reason)
    return cast(App, found)


def _converted(name: str, found: Any) -> Any:
    try:
        return found.to_app()
    except Exception as error:
        where = location(error)
        at = f" (at {where})" if where else ""
        raise LoadError(f"{name}.to_app() failed: {one_line(error)}{at}") from error


def _objection(name: str, found: Any) -> str:
    """Say why ``found`` cannot be called as an application, or return ""."""
    is_class = isinstance(found, type)
    if is_class and _takes(found, 1) and not _takes(found, 3) and _takes_call(found, 2):
        return _asgi2(name)
    if is_class and not hasattr(found, "__await__"):
        return (
            f"{name} is a class, not an application; make an instance of it "
            f"(app = {found.__name__}(…)) and name that, or add --factory"
        )
    if _takes(found, 3):
        return ""
    if _takes(found, 0):
        return f"{name} takes no arguments, so it seems to be a factory; add --factory"
    if _takes(found, 2):
        return (
            f"{name} takes two arguments, as WSGI applications do; wrap it with an adapter from "
            "WSGI to ASGI, such as a2wsgi.WSGIMiddleware"
        )
    if _takes(found, 1):
        return _asgi2(name)
    return f"{name} cannot be called with (scope, receive, send); an application takes these three"


def _asgi2(name: str) -> str:
    return (
        f"{name} is an ASGI 2 application (called twice, with the scope first); "
        "write it for ASGI 3, or wrap it with asgiref.compatibility.guarantee_single_callable"
    )


def _takes(found: Any, count: int) -> bool:
    """Tell whether ``found`` can be called with ``count`` positional arguments."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return count == 3  # a compiled callable may not tell; give it the benefit
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def _takes_call(found: type, count: int) -> bool:
    """Tell whether instances of ``found`` can be called with ``count`` arguments."""
    call = found.__dict__.get("__call__")
    return call is not None and _takes(call, count + 1)


def _article(found: Any) -> str:
    if found is None:
        return "None"
    name = type(found).__name__
    return f"an object of type {name}"
