"""The application: answers with its process, mostly at once and sometimes after a moment."""

from __future__ import annotations

import asyncio
import os
from typing import Any

HEADERS = [(b"content-type", b"text/plain")]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve ``/`` at once, ``/wait`` after ten milliseconds."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/wait":
        await asyncio.sleep(0.01)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
