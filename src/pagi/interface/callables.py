"""What an application is and what it is called with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

__all__ = ["App", "Message", "Middleware", "Receive", "Scope", "Send"]

#: What the application is told about the request, connection or process. The typed shapes are in
#: `pagi.interface.scopes`; the alias is wide so that every ASGI application is also a PAGI one.
Scope: TypeAlias = MutableMapping[str, Any]

#: A dict that passes through ``receive`` or ``send``; typed shapes in `pagi.interface.messages`.
Message: TypeAlias = MutableMapping[str, Any]

#: Wait for the next message from the client. Cancelling the wait loses no message.
Receive: TypeAlias = Callable[[], Awaitable[Message]]

#: Hand a message to the server; the awaitable ends when it was accepted (not when delivered).
Send: TypeAlias = Callable[[Message], Awaitable[None]]

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

Middleware: TypeAlias = Callable[[App], App]
