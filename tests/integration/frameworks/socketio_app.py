"""A server of python-socketio, as it is.

Events: ``echo`` is acknowledged with its data; ``join`` enters a room; ``tell`` sends ``told`` to
a room; ``ask`` asks the client by ``question`` and acknowledges with what it has acknowledged.
"""

from __future__ import annotations

from typing import Any

import socketio

from tests.integration.frameworks.common import journal


def make_app(**options: Any) -> Any:
    """Make the application; ``options`` are those of Engine.IO."""
    server = socketio.AsyncServer(async_mode="asgi", **options)

    @server.event
    async def connect(sid: str, environ: Any, auth: Any) -> None:
        journal.note("connected")

    @server.event
    async def disconnect(sid: str, reason: str) -> None:
        journal.note(f"disconnected: {reason}")

    @server.event
    async def echo(sid: str, data: Any) -> Any:
        return data

    @server.event
    async def join(sid: str, room: str) -> str:
        await server.enter_room(sid, room)
        return room

    @server.event
    async def tell(sid: str, room: str, data: Any) -> None:
        await server.emit("told", data, room=room)

    @server.event
    async def ask(sid: str) -> Any:
        return await server.call("question", to=sid)

    return socketio.ASGIApp(server)
