"""``scope["pagi.connection"]`` and ``scope["pagi.transport"]``, as exchanges fill them.

One source, two builds: compiled as ``_handles_c`` (see ``_handles_c.pxd``). Both are made for
every request, so that a request which never looks at them must pay next to nothing: callbacks
and futures are kept in lists that do not exist until one is asked for.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pagi.interface.handles import EndCallback

__all__ = ["ConnectionState", "TransportState"]


class ConnectionState:
    """What became of one exchange. The public members are those of `ConnectionHandle`."""

    __slots__ = (
        "_callbacks",
        "_futures",
        "_owner",
        "_service",
        "aborted",
        "close_code",
        "close_reason",
        "disconnect_detail",
        "disconnect_reason",
        "response_complete",
        "response_started",
        "round_trip",
    )

    def __init__(self, owner: Any, service: Any) -> None:
        self._owner = owner
        self._service = service
        self._callbacks: list[tuple[str, Callable[..., object]]] | None = None
        self._futures: list[tuple[str, Future[Any]]] | None = None
        self.disconnect_reason: str | None = None
        self.disconnect_detail: str | None = None
        self.response_started = False
        self.response_complete = False
        self.aborted = False
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self.round_trip: float | None = None

    @property
    def is_connected(self) -> bool:
        """False once the client has gone or the scope has ended abnormally."""
        return self.disconnect_reason is None

    @property
    def draining(self) -> bool:
        """True from the moment a stop or restart begins."""
        return bool(self._service.draining)

    def on_disconnect(self, callback: EndCallback) -> None:
        """Call ``callback(reason, detail)`` at an abnormal end; at once if that has been."""
        if self.disconnect_reason is not None:
            self._call(callback, self.disconnect_reason, self.disconnect_detail)
        elif not self.response_complete:
            self._remember("disconnect", callback)

    def on_complete(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` after a clean end; at once if that has been."""
        if self.response_complete:
            self._call(callback)
        elif self.disconnect_reason is None:
            self._remember("complete", callback)

    def on_end(self, callback: EndCallback) -> None:
        """Call ``callback(reason, detail)`` at either end; the reason is ``None`` if clean."""
        if self.response_complete or self.disconnect_reason is not None:
            self._call(callback, self.disconnect_reason, self.disconnect_detail)
        else:
            self._remember("end", callback)

    def disconnect_future(self) -> Future[str]:
        """Return a new future that resolves with the reason at an abnormal end."""
        future: Future[str] = get_running_loop().create_future()
        if self.disconnect_reason is not None:
            future.set_result(self.disconnect_reason)
        elif not self.response_complete:
            self._observe("disconnect", future)
        return future

    def end_future(self) -> Future[str | None]:
        """Return a new future that resolves at either end (``None`` if clean)."""
        future: Future[str | None] = get_running_loop().create_future()
        if self.response_complete or self.disconnect_reason is not None:
            future.set_result(self.disconnect_reason)
        else:
            self._observe("end", future)
        return future

    def drain_future(self) -> Future[None]:
        """Return a new future that resolves when draining begins."""
        future: Future[None] = get_running_loop().create_future()
        self._service.watch_draining(future)
        return future

    def abort(self, detail: str | None = None) -> None:
        """End the scope now with reason ``app_abort``; nothing happens after the end."""
        owner = self._owner
        if owner is not None:
            self.aborted = True
            owner.abort(detail)

    def complete(self) -> bool:
        """Enter the clean end; tell whether `announce` has somebody to tell."""
        self.response_complete = True
        self._owner = None
        return self._callbacks is not None or self._futures is not None

    def disconnect(self, reason: str, detail: str | None) -> None:
        """Enter the abnormal end and tell all observers."""
        self.disconnect_reason = reason
        self.disconnect_detail = detail
        self._owner = None
        if self._callbacks is not None or self._futures is not None:
            self.announce()

    def announce(self) -> None:
        """Resolve the futures and call the callbacks of the end that was entered."""
        silent = "disconnect" if self.disconnect_reason is None else "complete"
        futures, self._futures = self._futures, None
        for kind, future in futures or ():
            if kind != silent and not future.done():
                future.set_result(self.disconnect_reason)
        callbacks, self._callbacks = self._callbacks, None
        for kind, callback in callbacks or ():
            if kind == "complete" and kind != silent:
                self._call(callback)
            elif kind != silent:
                self._call(callback, self.disconnect_reason, self.disconnect_detail)

    def _remember(self, kind: str, callback: Callable[..., object]) -> None:
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append((kind, callback))

    def _observe(self, kind: str, future: Future[Any]) -> None:
        if self._futures is None:
            self._futures = []
        self._futures.append((kind, future))

    def _call(self, callback: Callable[..., object], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:
            self._service.logger.exception("a callback of pagi.connection raised")


class TransportState:
    """How far behind the client is. The members are those of `TransportHandle`."""

    __slots__ = ("_drain_callbacks", "_high_callbacks", "_service", "_stream")

    def __init__(self, stream: Any, service: Any) -> None:
        self._stream = stream
        self._service = service
        self._high_callbacks: list[Callable[[], object]] | None = None
        self._drain_callbacks: list[Callable[[], object]] | None = None

    def buffered_amount(self) -> int:
        """Bytes accepted from the application and not yet given to the operating system."""
        return 0 if self._stream is None else int(self._stream.buffered_amount())

    def high_water_mark(self) -> int:
        """``send`` waits while at least this many bytes are buffered."""
        return int(self._service.flow.write_high_watermark)

    def low_water_mark(self) -> int:
        """A waiting ``send`` goes on when fewer bytes than this are buffered."""
        return int(self._service.flow.write_low_watermark)

    def on_high_water(self, callback: Callable[[], object]) -> None:
        """Call back once per crossing up to the high mark; at once if already above it."""
        if self._high_callbacks is None:
            self._high_callbacks = []
        self._high_callbacks.append(callback)
        if self._stream is not None and not self._stream.writable:
            self._call([callback])

    def on_drain(self, callback: Callable[[], object]) -> None:
        """Call back once per fall below the low mark that follows a high-water crossing."""
        if self._drain_callbacks is None:
            self._drain_callbacks = []
        self._drain_callbacks.append(callback)

    def above_high_water(self) -> None:
        """The high mark was crossed."""
        if self._high_callbacks is not None:
            self._call(self._high_callbacks)

    def drained(self) -> None:
        """The buffered amount fell below the low mark after a crossing."""
        if self._drain_callbacks is not None:
            self._call(self._drain_callbacks)

    def detach(self) -> None:
        """The exchange has ended: nothing is buffered for it and nobody is called any more."""
        self._stream = None
        self._high_callbacks = None
        self._drain_callbacks = None

    def _call(self, callbacks: list[Callable[[], object]]) -> None:
        for callback in tuple(callbacks):
            try:
                callback()
            except Exception:
                self._service.logger.exception("a callback of pagi.transport raised")
