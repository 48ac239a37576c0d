"""`Admin`: the application of admin listeners: health, readiness, metrics and status of the server.

It reads the scoreboard and asks no worker, so it also tells of those that hang. With workers it has
a process of its own; without, it is one more endpoint in the process that serves.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from time import monotonic, time
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from pagi._build import active_twins
from pagi.server.config import Config
from pagi.server.worker.admin_history import LENGTH, History
from pagi.server.worker.admin_hosts import HostGuard
from pagi.server.worker.admin_metrics import CONTENT_TYPE, metrics_text
from pagi.server.worker.admin_page import page, page_headers
from pagi.server.worker.admin_status import status_document
from pagi.server.worker.admin_view import View
from pagi.server.worker.scoreboard import Scoreboard

__all__ = ["Admin"]

_METHODS: Final = ("GET", "HEAD")
_TEXT: Final = "text/plain; charset=utf-8"
_PATHS: Final = """\
/         status page
/status   the same as JSON
/metrics  for Prometheus
/readyz   200 if the server should get requests, else 503
/healthz  200 if the server is alive, else 503
"""


class _Answer(NamedTuple):
    status: int
    text: str
    content_type: str = _TEXT
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Admin:
    """An ASGI application.

    Args:
        scoreboard: of the whole server.
        config: the whole configuration.
    """

    def __init__(self, scoreboard: Scoreboard, config: Config) -> None:
        self._scoreboard = scoreboard
        self._heartbeat_timeout = config.process.heartbeat_timeout
        self._hosts = HostGuard(config.listening.admins())
        # Once: what has begun at some time has always begun at that time.
        self._offset = time() - monotonic()
        self._history = History(self._offset)
        self._server = _what_runs(config.process.loop)
        self._answers: Mapping[str, Callable[[bytes], _Answer]] = {
            "/": self._page,
            "/status": self._status,
            "/metrics": self._metrics,
            "/readyz": self._readiness,
            "/healthz": self._liveness,
        }

    def tick(self) -> None:
        """Remember this second; to be called once in each."""
        self._history.add(self._view())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            await _send(send, "http.response", self._answer(scope))
        elif scope["type"] == "websocket":
            await _send(
                partial(_deny, scope, send),
                "websocket.http.response",
                _Answer(404, "there are no WebSockets here\n"),
            )
        else:
            raise ValueError(f"the admin listener knows no scope of type {scope['type']!r}")

    def _answer(self, scope: Any) -> _Answer:
        if self._hosts.refuses(scope):
            return _Answer(
                403,
                "This port answers to IP addresses, localhost and the host of the option admin, "
                "and to no other name.\n",
            )
        answer = self._answers.get(scope["path"])
        if answer is None:
            return _Answer(404, f"there is nothing here; there is\n\n{_PATHS}")
        if scope["method"] not in _METHODS:
            allow = ((b"allow", ", ".join(_METHODS).encode()),)
            return _Answer(405, "only GET and HEAD\n", headers=allow)
        return answer(scope["query_string"])

    def _view(self) -> View:
        return View(self._scoreboard.read(), monotonic(), self._heartbeat_timeout)

    def _liveness(self, query: bytes) -> _Answer:
        return _verdict(self._view().why_not_alive(), "ok")

    def _readiness(self, query: bytes) -> _Answer:
        return _verdict(self._view().why_not_ready(), "ready")

    def _metrics(self, query: bytes) -> _Answer:
        build = {**self._server, "compiled": str(self._server["compiled"]).lower()}
        return _Answer(200, metrics_text(self._view(), self._offset, build), CONTENT_TYPE)

    def _status(self, query: bytes) -> _Answer:
        rows = parse_qs(query.decode("latin-1")).get("history", ["0"])[-1]
        if not (rows.isascii() and rows.isdigit() and len(rows) < len(str(LENGTH)) + 1):
            return _Answer(400, f"history is a number of seconds, at most {LENGTH}\n")
        document = self._document(min(int(rows), LENGTH))
        return _Answer(200, json.dumps(document) + "\n", "application/json")

    def _document(self, rows: int = 0) -> dict[str, Any]:
        return status_document(self._view(), self._history, self._offset, self._server, rows)

    def _page(self, query: bytes) -> _Answer:
        return _Answer(200, page(self._document()), "text/html; charset=utf-8", page_headers())


def _verdict(why_not: str | None, word: str) -> _Answer:
    return _Answer(200, f"{word}\n") if why_not is None else _Answer(503, f"{why_not}\n")


async def _send(send: Callable[[Any], Awaitable[None]], kind: str, answer: _Answer) -> None:
    body = answer.text.encode()
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *answer.headers,
    ]
    await send({"type": f"{kind}.start", "status": answer.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


async def _deny(scope: Any, send: Callable[[Any], Awaitable[None]], message: Any) -> None:
    """Send a message to a client that wants a WebSocket; without the extension it is 403."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await send(message)
    elif message["type"] == "websocket.http.response.body":
        await send({"type": "websocket.close"})


def _what_runs(loop: str) -> dict[str, Any]:
    try:
        own = version("pagi-web")
    except PackageNotFoundError:
        own = "unknown"
    twins = active_twins()
    return {
        "version": own,
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "loop": _loop_name(loop),
        "compiled": bool(twins) and all(twins.values()),
    }


def _loop_name(option: str) -> str:
    if option != "auto":
        return option
    from importlib.util import find_spec

    return "asyncio" if find_spec("uvloop") is None else "uvloop"
