"""A worker in development: an application that cannot be loaded is answered for, with the reason.

It does not end the process: whoever writes the application sees what is wrong where they look, in
the browser, until the next change.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from pagi.interface.callables import App
from pagi.server.config import Config
from pagi.server.errors import EXIT_CONFIGURATION, EXIT_LISTENING, EXIT_STARTUP, StartError
from pagi.server.worker.link import Link
from pagi.server.worker.process import run_worker
from pagi.server.worker.sockets import BoundSocket
from pagi.server.worker.traces import from_here, read_traces, text_of

__all__ = ["Broken", "run_or_explain"]

_PLAIN: Final = (
    [(b"content-type", b"text/plain; charset=utf-8")],
    b"Internal Server Error",
)


def run_or_explain(
    load_app: Callable[[], App], config: Config, sockets: list[BoundSocket], link: Link
) -> int:
    """Run a worker; if its application cannot be loaded or started, one that says why.

    Args:
        load_app: loads the application.
        config: the whole configuration.
        sockets: bound, listening, non-blocking.
        link: to the supervisor.

    Raises:
        StartError: something else is wrong.
    """
    # The time in a .pyc file is in seconds: two changes within one would look the same.
    sys.dont_write_bytecode = True
    try:
        return run_worker(load_app(), config, sockets, link)
    except StartError as error:
        if error.exit_status in (EXIT_CONFIGURATION, EXIT_LISTENING):
            raise
        failure = error
    if link.number == 1:  # the others have the same to say
        _tell(failure)
    link.broken = True
    quiet = replace(
        config,
        application=replace(config.application, lifespan="off", interface="asgi"),
        process=replace(config.process, max_requests=0),
    )
    return run_worker(Broken(failure, config.shows_errors), quiet, sockets, link)


def _tell(failure: StartError) -> None:
    cause = failure.__cause__
    detail = None if cause is None else text_of(read_traces(cause))
    logging.getLogger("pagi.server").error(
        "%s", from_here(failure.message), extra={"detail": detail}
    )


class Broken:
    """An application that answers everything with the reason why there is no other.

    Args:
        failure: the reason.
        shows_errors: clients may see it.
    """

    def __init__(self, failure: StartError, shows_errors: bool) -> None:
        self._failure = failure
        self._shows_errors = shows_errors

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request with 500, and refuse a WebSocket."""
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1011})
            return
        fields, body = self._response(scope)
        await send({"type": "http.response.start", "status": 500, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    def _response(self, scope: dict[str, Any]) -> tuple[list[tuple[bytes, bytes]], bytes]:
        if not self._shows_errors:
            return _PLAIN
        from pagi.server.worker.error_page import failure_response

        failure = self._failure
        started = failure.exit_status == EXIT_STARTUP
        title = f"The application cannot be {'started' if started else 'loaded'}"
        message = from_here(failure.message)
        return failure_response(scope, title, message, failure.__cause__, failure.detail)
