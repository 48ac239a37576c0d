"""The application: event streams and WebSockets that go on until somebody ends them."""

from __future__ import annotations

import asyncio
import os
from typing import Any


def note(event: str) -> None:
    """Append a line to the journal."""
    with open(os.environ["JOURNAL"], "a") as journal:
        journal.write(f"{event} {os.getpid()}\n")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve an endless stream of either kind."""
    if scope["type"] == "lifespan":
        await receive()
        note("startup")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        note("shutdown")
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        note(f"websocket-{message['reason']}")
    else:
        await send({"type": "sse.start"})
        await send({"type": "sse.send", "data": "hello"})
        message = {"type": ""}
        while message["type"] != "sse.disconnect":
            message = await receive()
            await asyncio.sleep(0)
        note(f"sse-{message['reason']}")
