"""The two objects a scope carries: ``scope["pagi.connection"]`` and ``scope["pagi.transport"]``.

They are protocols, so that a test client or another server can bring its own.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from typing import Protocol, TypeAlias

from pagi.interface.tokens import DisconnectReason

__all__ = ["ConnectionHandle", "EndCallback", "TransportHandle"]

#: Called with the reason (``None`` after a clean end) and a detail text or ``None``.
EndCallback: TypeAlias = Callable[[DisconnectReason | None, str | None], object]


class ConnectionHandle(Protocol):
    """``scope["pagi.connection"]``: what became of one request, stream or session.

    Every scope ends exactly once, cleanly or not, and never reverts. Order at the end: flags,
    reason, futures, callbacks, then pending ``receive`` and ``send`` resolve. Nothing is called
    synchronously from inside the application's own ``receive`` or ``send``.
    """

    @property
    def is_connected(self) -> bool:
        """False once the client has gone or the scope has ended abnormally."""

    @property
    def response_started(self) -> bool:
        """Whether a response (the application's or the server's own) has begun."""

    @property
    def response_complete(self) -> bool:
        """Whether the response was handed over whole."""

    @property
    def disconnect_reason(self) -> DisconnectReason | None:
        """Why the scope ended abnormally; ``None`` while it lasts and after a clean end."""

    @property
    def disconnect_detail(self) -> str | None:
        """Free text for logs; holds no peer data."""

    @property
    def close_code(self) -> int | None:
        """Close code of a WebSocket's peer, 1005 if its close had none; ``None`` before that."""

    @property
    def close_reason(self) -> str | None:
        """Text of that close; ``None`` before it."""

    @property
    def round_trip(self) -> float | None:
        """Seconds that the last answered ping of a WebSocket took; ``None`` before the first."""

    @property
    def draining(self) -> bool:
        """True from the moment a stop or restart begins, before anything is closed."""

    def on_disconnect(self, callback: EndCallback) -> None:
        """Call ``callback(reason, detail)`` at an abnormal end; at once if that has been."""

    def on_complete(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` after a clean end; at once if that has been."""

    def on_end(self, callback: EndCallback) -> None:
        """Call ``callback(reason, detail)`` at either end; the reason is ``None`` if clean."""

    def disconnect_future(self) -> Future[DisconnectReason]:
        """Return a new future that resolves with the reason at an abnormal end.

        Cancelling it harms no other observer. After a clean end it stays pending.
        """

    def end_future(self) -> Future[DisconnectReason | None]:
        """Return a new future that resolves at either end (``None`` if clean)."""

    def drain_future(self) -> Future[None]:
        """Return a new future that resolves when draining begins."""

    def abort(self, detail: str | None = None) -> None:
        """End the scope now with reason ``app_abort``: close the connection, reset the stream.

        Does not wait for queued writes; does nothing after the end.
        """


class TransportHandle(Protocol):
    """``scope["pagi.transport"]``: how far behind the client is."""

    def buffered_amount(self) -> int:
        """Bytes accepted from the application and not yet given to the operating system."""

    def high_water_mark(self) -> int:
        """``send`` waits while at least this many bytes are buffered."""

    def low_water_mark(self) -> int:
        """A waiting ``send`` goes on when fewer bytes than this are buffered."""

    def on_high_water(self, callback: Callable[[], object]) -> None:
        """Call back once per crossing up to the high mark; at once if already above it."""

    def on_drain(self, callback: Callable[[], object]) -> None:
        """Call back once per fall below the low mark that follows a high-water crossing."""
