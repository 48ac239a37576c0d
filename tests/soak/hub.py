"""An application that publishes events to all its clients, and counts those who are behind."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import Any

#: What makes an event as long as a small one usually is.
PADDING = "x" * 500
#: What a client gets at once that asks for ``/history``, in bytes.
HISTORY = 8 * 1_048_576


class Hub:
    """Those who wait for events, and those who have not taken theirs."""

    def __init__(self) -> None:
        self.text = ""
        self.next = asyncio.Event()
        self.clients = 0
        self.behind = 0

    def publish(self) -> None:
        """Tell everybody the time."""
        published, self.next = self.next, asyncio.Event()
        self.text = f"{monotonic_ns()} {PADDING}"
        published.set()

    async def follow(self, send: Any, history: int) -> None:
        """Send what is published; who cannot take it in time misses what came meanwhile."""
        await send({"type": "sse.start"})
        self.clients += 1
        try:
            for _ in range(history):
                await self._send(send, "0" + PADDING)
            while True:
                await self.next.wait()
                await self._send(send, self.text)
        except OSError:
            """It has left."""
        finally:
            self.clients -= 1

    async def _send(self, send: Any, text: str) -> None:
        self.behind += 1
        try:
            await send({"type": "sse.send", "data": text})
        finally:
            self.behind -= 1


hub = Hub()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve ``/events``, ``/history``, ``/publish`` and ``/facts``."""
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] == "/events":
        await hub.follow(send, 0)
    elif scope["path"] == "/history":
        await hub.follow(send, HISTORY // len(PADDING))
    else:
        if scope["path"] == "/publish":
            hub.publish()
        facts = b"%d %d" % (hub.clients, hub.behind)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": facts})
