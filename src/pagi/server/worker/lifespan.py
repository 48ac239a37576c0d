"""`Lifespan`: the application's startup and shutdown (ASGI lifespan, and what PAGI adds).

States; the application moves it along the first line, the end of its task along the second::

    STARTING ── startup.complete ──> READY ── (shutdown) ──> STOPPING ── shutdown.* ──> ENDED
       │ startup.failed                │
       │ raises, returns               │ raises, returns
       └──────────> ENDED <────────────┘

An application that ends before it answered has declined: it does not know lifespans. One that sent
a malformed ``lifespan.*`` message does know them, so that is a failure and not a decline.

The notice: ``scope["extensions"]["lifespan.shutdown.notice"]`` says that the server can tell when
a stop begins. An application asks for it with a key in its answer,
``{"type": "lifespan.startup.complete", "shutdown_notice": True}``, and then receives
``{"type": "lifespan.shutdown.notice"}`` once, before any connection is closed and some time before
``lifespan.shutdown``; it needs no answer. ASGI servers ignore keys they do not know, and an
application that does not ask never sees a message type it does not know. A middleware can ask
on behalf of the application it wraps.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Mapping
from contextvars import Context, copy_context
from logging import Logger
from typing import Any, Final, Literal, TypeVar

from pagi.interface.callables import App, Message
from pagi.interface.errors import MessageError
from pagi.interface.tokens import (
    ASGI_SPEC_VERSION,
    ASGI_VERSION,
    PAGI_SPEC_VERSION,
    PAGI_VERSION,
)
from pagi.server.errors import EXIT_STARTUP, StartError

__all__ = ["Lifespan"]

_T = TypeVar("_T")

#: How long an application may go on after its last answer, and after it was cancelled, in seconds.
FAREWELL: Final = 1.0
CANCEL_GRACE: Final = 5.0


class _State(enum.Enum):
    STARTING = "during startup"
    READY = "before lifespan.shutdown was delivered"
    STOPPING = "during shutdown"
    ENDED = "after the lifespan had ended"


#: What may be sent, and in which state.
_ANSWERS: Final = {
    "lifespan.startup.complete": _State.STARTING,
    "lifespan.startup.failed": _State.STARTING,
    "lifespan.shutdown.complete": _State.STOPPING,
    "lifespan.shutdown.failed": _State.STOPPING,
}


class Lifespan:
    """Runs an application's lifespan scope in one event loop. Starts once.

    Attributes:
        state: the dictionary in the scope; each request gets a shallow copy.
        context: context that the lifespan runs in. A request runs in a copy of it, so that it
            sees the context variables which were set during startup.
    """

    def __init__(
        self,
        app: App,
        *,
        mode: Literal["auto", "on", "off"],
        startup_timeout: float | None,
        shutdown_timeout: float | None,
        worker_num: int | None,
        is_worker: bool,
        logger: Logger,
    ) -> None:
        """Prepare; nothing is called yet.

        Args:
            app: the application.
            mode: ``auto`` takes a decline, ``on`` makes it fatal, ``off`` never asks.
            startup_timeout: seconds that startup may take; ``None`` and 0 mean any time.
            shutdown_timeout: the same for shutdown.
            worker_num: number of the worker process, from 1; ``None`` without a supervisor.
            is_worker: whether a supervisor started this process.
            logger: for declines, failures and crashes.
        """
        self.state: dict[str, Any] = {}
        self.context: Context = copy_context()
        self._app = app
        self._mode = mode
        self._startup_timeout = startup_timeout or None
        self._shutdown_timeout = shutdown_timeout or None
        self._worker = {"is_worker": is_worker, "worker_num": worker_num}
        self._logger = logger
        self._state = _State.STARTING
        self._wants_notice = False
        self._became_ready = False
        self._failure: str | None = None
        self._misused = False
        self._was_told = False
        self._messages: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._answered = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- what the worker calls -------------------------------------------------------------

    async def startup(self) -> None:
        """Start the application and wait until it is ready or has declined.

        Raises:
            StartError: it failed, took too long, or declined although the mode is ``on``.

        Cancelling it cancels the application's lifespan task and waits for it.
        """
        if self._mode == "off":
            return
        self._put({"type": "lifespan.startup"})
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._run(), name="lifespan", context=self.context)
        self._task = task
        task.add_done_callback(self._task_done)
        try:
            async with asyncio.timeout(self._startup_timeout):
                await self._answered.wait()
        except TimeoutError:
            await self._cancel(task)
            raise StartError(
                f"Lifespan startup timed out after {self._startup_timeout:g}s; see what the startup"
                " of the application waits for, or allow more with --lifespan-startup-timeout",
                EXIT_STARTUP,
            ) from None
        except asyncio.CancelledError:
            await self._cancel(task)
            raise
        if not self._became_ready:
            await self._part(task)
            self._judge(task)

    def notice(self) -> None:
        """Tell the application that a stop begins, if it asked for that and was not told yet."""
        if self._wants_notice and self._state is _State.READY:
            self._wants_notice = False
            self._put({"type": "lifespan.shutdown.notice"})

    async def shutdown(self) -> None:
        """Let the application clean up, if it is ready; failures are logged, never raised.

        Cancelling it cancels the application's lifespan task and waits for it.
        """
        task = self._task
        if task is None or self._state is not _State.READY:
            return
        self._state = _State.STOPPING
        self._answered.clear()
        self._put({"type": "lifespan.shutdown"})
        try:
            async with asyncio.timeout(self._shutdown_timeout):
                await self._answered.wait()
        except TimeoutError:
            self._logger.warning(
                "Lifespan shutdown timed out after %gs; see what the shutdown of the application"
                " waits for, or allow more with --lifespan-shutdown-timeout",
                self._shutdown_timeout,
            )
            await self._cancel(task)
        except asyncio.CancelledError:
            await self._cancel(task)
            raise
        await self._part(task)
        if self._failure is not None:
            self._log_failure("shutdown", self._failure)

    # --- what the application sees ---------------------------------------------------------

    async def _run(self) -> None:
        await self._app(self._make_scope(), self._receive, self._send)

    def _make_scope(self) -> dict[str, Any]:
        versions = {"version": PAGI_VERSION, "spec_version": PAGI_SPEC_VERSION}
        return {
            "type": "lifespan",
            "asgi": {"version": ASGI_VERSION, "spec_version": ASGI_SPEC_VERSION},
            "pagi": versions | self._worker,
            "state": self.state,
            "extensions": {"lifespan.shutdown.notice": {}},
        }

    def _put(self, message: Message) -> None:
        self._messages.append(message)
        self._arrived.set()

    async def _receive(self) -> Message:
        # After lifespan.shutdown nothing more comes, and this waits for ever.
        while not self._messages:
            self._arrived.clear()
            await self._arrived.wait()
        self._was_told = True
        return self._messages.popleft()

    async def _send(self, message: Message) -> None:
        kind = message.get("type") if isinstance(message, Mapping) else None
        if not isinstance(kind, str):
            raise MessageError(f"a message is a dict with a type, not {message!r:.80}")
        # A typing error in an answer must not pass for an application without a lifespan.
        self._misused = kind.startswith("lifespan.")
        expected = [name for name, state in _ANSWERS.items() if state is self._state]
        if kind not in expected:
            what = "was sent" if kind in _ANSWERS else "is no message of a lifespan; sent"
            hint = f"; expected {' or '.join(expected)}" if expected else ""
            raise MessageError(f"{kind} {what} {self._state.value}{hint}")
        self._take(kind, message)
        self._misused = False

    def _take(self, kind: str, message: Message) -> None:
        if kind == "lifespan.startup.complete":
            self._wants_notice = _field(message, "shutdown_notice", False)
            self._became_ready = True
            self._state = _State.READY
        else:
            if kind.endswith(".failed"):
                self._failure = _field(message, "message", "")
            self._state = _State.ENDED
        self._answered.set()

    # --- how it ends -----------------------------------------------------------------------

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._answered.set()
        state, self._state = self._state, _State.ENDED
        # Asked for in any case, or asyncio reports an exception that nobody looked at.
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if state is _State.READY:
            self._logger.error(
                "the lifespan of the application failed after startup: %s; the server goes on,"
                " without lifespan.shutdown at the end",
                _describe(error),
                exc_info=error,
            )
        elif state is _State.STOPPING:
            self._logger.error("Lifespan shutdown failed: %s", _describe(error), exc_info=error)

    def _judge(self, task: asyncio.Task[None]) -> None:
        """Tell failure from decline, for an application that ended without getting ready."""
        if self._failure is not None:
            self._log_failure("startup", self._failure, only_long=True)
            failed = StartError(
                f"Lifespan startup failed: {_last_line(self._failure)}", EXIT_STARTUP
            )
            failed.detail = self._failure
            raise failed
        error = None if task.cancelled() else task.exception()
        if self._misused and isinstance(error, MessageError):
            raise StartError(f"Lifespan startup failed: {error}", EXIT_STARTUP)
        how = "it returned without an answer" if error is None else f"it raised {_describe(error)}"
        if self._mode == "on":
            raise StartError(
                f"the application declined its lifespan ({how}), which --lifespan on forbids;"
                ' handle scope type "lifespan", or use --lifespan auto',
                EXIT_STARTUP,
            )
        if error is not None and self._was_told:
            # ASGI takes this for a decline, but who reads lifespan.startup mostly means to answer.
            self._logger.warning(
                "the application has no lifespan (%s after it received lifespan.startup);"
                " if that is a startup that failed, use --lifespan on",
                how,
            )
        else:
            self._logger.info("the application has no lifespan (%s)", how)

    def _log_failure(self, what: str, text: str, *, only_long: bool = False) -> None:
        """Log a failure; a text of several lines (frameworks send tracebacks) goes below it."""
        line = _last_line(text)
        if line != text:
            self._logger.error("Lifespan %s failed: %s", what, line, extra={"detail": text})
        elif not only_long:
            self._logger.error("Lifespan %s failed: %s", what, line)

    async def _part(self, task: asyncio.Task[None]) -> None:
        """Let the application return after its last answer; end it if it does not."""
        if not task.done():
            await asyncio.wait({task}, timeout=FAREWELL)
        if not task.done():
            await self._cancel(task)

    async def _cancel(self, task: asyncio.Task[None]) -> None:
        """Cancel the application's task and wait for it."""
        task.cancel()
        _, hanging = await asyncio.wait({task}, timeout=CANCEL_GRACE)
        if hanging:
            self._logger.error("the lifespan of the application does not end although cancelled")


def _field(message: Message, name: str, default: _T) -> _T:
    """Return a field of the type of ``default``."""
    value = message.get(name, default)
    if not isinstance(value, type(default)):
        wanted = type(default).__name__
        raise MessageError(f"{message['type']}: {name} must be a {wanted}, not {value!r:.80}")
    return value


def _describe(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "(no message)"
