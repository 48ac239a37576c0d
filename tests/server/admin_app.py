"""Application of `test_admin`: quick answers, event streams, WebSockets, and a loop that hangs."""

from __future__ import annotations

import os
import time
from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the process; ``/fail`` with 500, ``/events`` with an endless event stream."""
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan here")
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    if scope["path"] == "/hang":
        time.sleep(60)  # noqa: ASYNC251 - it shall not turn
    if scope["path"] == "/events":
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    status = 500 if scope["path"] == "/fail" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
