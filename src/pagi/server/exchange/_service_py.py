"""`Service`: what all exchanges of one worker share.

One source, two builds: compiled as ``_service_c`` (see ``_service_c.pxd``).
"""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from contextvars import Context
from typing import Any

from pagi.interface.callables import App
from pagi.interface.native import is_native
from pagi.interface.tokens import (
    ASGI_SPEC_VERSION,
    ASGI_VERSION,
    PAGI_SPEC_VERSION,
    PAGI_VERSION,
)
from pagi.protocol.websocket.limits import WebSocketLimits
from pagi.server.config.settings import SSE, Flow, WebSockets
from pagi.server.exchange.opening import OpenFiles
from pagi.server.exchange.tasks import AppRunner

__all__ = ["Service"]

#: Extensions that every http scope advertises, on every version of HTTP.
HTTP_EXTENSIONS = (
    "fullflush",
    "http.response.early_hint",
    "http.response.pathsend",
    "http.response.trailers",
    "http.response.zerocopysend",
    "sse",
)


class Service:
    """The application and what serving it takes; one per worker.

    Attributes:
        app: the application.
        loop: the worker's loop.
        files: opens the files that responses are sent from.
        flow: water marks and other bounds of the flow of bodies.
        state: the lifespan's state, or ``None`` if the application has no lifespan; every scope
            gets a shallow copy.
        native: the application receives scopes of type sse.
        sse: deadlines of event streams.
        websocket: queue, deadlines and origins of WebSockets.
        websocket_limits: what the peer of a WebSocket may make us hold.
        root_path: what the application is mounted at; begins every ``path``.
        runner: runs the application's coroutines.
        log_access: called with ``(client, scope, status, sent, seconds, reason)`` at the end of
            each exchange, or ``None``.
        time: the clock behind the seconds above; only read when there is an access log.
        check: called with each message of the application to check its fields, or ``None``.
        show_error: called with scope and exception (``None``: it only returned) when the
            application has failed before its response began; returns fields and body of the
            response, or ``None`` for one that says nothing. ``None``: says nothing.
        draining: a stop or restart has begun.
        logger: for failures of the application and of its callbacks.
    """

    __slots__ = (
        "_drain_futures",
        "app",
        "check",
        "draining",
        "files",
        "flow",
        "log_access",
        "logger",
        "loop",
        "native",
        "root_path",
        "runner",
        "scope_template",
        "show_error",
        "sse",
        "state",
        "time",
        "websocket",
        "websocket_limits",
    )

    def __init__(
        self,
        app: App,
        loop: AbstractEventLoop,
        *,
        flow: Flow | None = None,
        state: dict[str, Any] | None = None,
        context: Context | None = None,
        root_path: str = "",
        log_access: Callable[..., None] | None = None,
        time: Callable[[], float] | None = None,
        native: bool | None = None,
        sse: SSE | None = None,
        websocket: WebSockets | None = None,
        websocket_limits: WebSocketLimits | None = None,
        check: Callable[[str, Any], None] | None = None,
        show_error: Callable[[dict[str, Any], BaseException | None], Any] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        self.app = app
        self.loop = loop
        self.flow = flow or Flow()
        self.state = state
        self.native = is_native(app) if native is None else native
        self.sse = sse or SSE()
        self.websocket = websocket or WebSockets()
        self.websocket_limits = websocket_limits or WebSocketLimits()
        self.root_path = root_path
        self.files = OpenFiles(loop)
        self.runner = AppRunner(loop, context or Context())
        self.log_access = log_access
        self.time = time or loop.time
        self.check = check
        self.show_error = show_error
        self.draining = False
        self.logger = logger or logging.getLogger("pagi.error")
        self._drain_futures: list[Future[None]] = []
        self.scope_template = self._template()

    def _template(self) -> dict[str, Any]:
        """Make the scope that each http scope begins as; keys that vary are placeholders."""
        template: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": ASGI_VERSION, "spec_version": ASGI_SPEC_VERSION},
            "pagi": {"version": PAGI_VERSION, "spec_version": PAGI_SPEC_VERSION},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "",
            "raw_path": b"",
            "query_string": b"",
            "root_path": self.root_path,
            "headers": [],
            "client": None,
            "server": None,
            "extensions": {name: {} for name in HTTP_EXTENSIONS},
            "pagi.connection": None,
            "pagi.transport": None,
        }
        if self.state is not None:
            template["state"] = None
        return template

    def scope_for(
        self, scheme: str, client: Any, server: Any, extensions: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what the http scopes of one connection have in common, for `Exchange.start`.

        Args:
            scheme: ``"http"`` or ``"https"``.
            client: ``(host, port)`` of the peer, or ``None``.
            server: ``(host, port)`` or ``(path, None)`` of the listener.
            extensions: what the connection adds to the extensions.
        """
        template = self.scope_template.copy()
        template["scheme"] = scheme
        template["client"] = client
        template["server"] = server
        if extensions:
            template["extensions"] = template["extensions"] | extensions
        return template

    def begin_draining(self) -> None:
        """Make the beginning of a stop or restart visible on every open scope."""
        self.draining = True
        futures, self._drain_futures = self._drain_futures, []
        for future in futures:
            if not future.done():
                future.set_result(None)

    def watch_draining(self, future: Future[None]) -> None:
        """Resolve ``future`` when draining begins, or now if it has begun."""
        if self.draining:
            future.set_result(None)
            return
        self._drain_futures.append(future)
        future.add_done_callback(self._forget_drain_future)

    def _forget_drain_future(self, future: Future[None]) -> None:
        if future in self._drain_futures:
            self._drain_futures.remove(future)
