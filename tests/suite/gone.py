"""A way to hear from an application whose client has gone."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["with_gone"]


def with_gone(app: Any) -> Any:
    """Give ``app`` an event ``gone`` in its state, which ``/gone`` waits for."""

    async def run(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["gone"] = asyncio.Event()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["path"] == "/gone":
            await scope["state"]["gone"].wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"gone"})
        else:
            await app(scope, receive, send)

    return run
