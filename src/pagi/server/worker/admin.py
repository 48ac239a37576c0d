"""The application of admin listeners: health and readiness of the server."""

from __future__ import annotations

from typing import Any

from pagi.interface.callables import App
from pagi.server.worker.scoreboard import READY, Scoreboard

__all__ = ["make_admin"]


def make_admin(scoreboard: Scoreboard) -> App:
    """Return the application.

    Args:
        scoreboard: of the whole server.
    """

    async def admin(scope: Any, receive: Any, send: Any) -> None:
        status, text = 404, "there is nothing here\n"
        if scope["path"] == "/healthz":
            status, text = 200, "ok\n"
        elif scope["path"] == "/readyz":
            ready = scoreboard.site.state == READY
            status, text = (200, "ready\n") if ready else (503, "not ready\n")
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})

    return admin
