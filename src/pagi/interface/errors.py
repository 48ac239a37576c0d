"""Errors that an application meets at the interface.

    Exception
    ├── OSError
    │   └── Disconnected     the client has gone; what was sent reached nobody
    └── RuntimeError
        └── MessageError     the application sent a message that the interface forbids

``Disconnected`` is an ``OSError`` because ASGI (spec_version 2.4 and later) says that ``send``
raises one after a disconnect, and frameworks catch exactly that.
"""

from __future__ import annotations

__all__ = ["Disconnected", "MessageError"]


class Disconnected(OSError):
    """The client has gone, so ``send`` can have no effect.

    Attributes:
        reason: why, as one token of the vocabulary in `pagi.interface.tokens`.
    """

    def __init__(self, reason: str = "client_closed") -> None:
        super().__init__(f"the client has gone ({reason})")
        self.reason = reason


class MessageError(RuntimeError):
    """A message of unknown type, in the wrong order or of the wrong shape was sent.

    The scope is left as it was before the message, so that the application can still answer.
    """
