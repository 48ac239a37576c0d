"""WebSockets and event streams on the running server: what the suite cannot see from a wire."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.attacks.wire import eventually
from tests.server.client import serving
from tests.suite.http1 import HTTP1Wire
from tests.suite.websocket_cases import echo
from tests.suite.wire import Refused


async def logged(path: Path, count: int) -> list[dict[str, Any]]:
    """Wait for so many lines of the access log and return them, read as JSON."""
    await eventually(lambda: path.exists() and path.read_text().count("\n") >= count)
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.spec("WS-29")
async def test_one_line_in_the_access_log_for_each_websocket(tmp_path: Path) -> None:
    path = tmp_path / "log"
    async with serving(
        echo, access_log=str(path), access_log_format="json", ws_max_message_size=1000
    ) as server:
        wire = HTTP1Wire(server)
        async with wire.websocket("/talk?x=1") as socket:
            await socket.send("hello")
            await socket.receive()
            await asyncio.sleep(0.05)
            await socket.close()
        async with wire.websocket("/huge") as socket:
            await socket.send("x" * 1001)
            await socket.receive()
        with pytest.raises(Refused):
            async with wire.websocket("/old", headers=[("Sec-WebSocket-Version", "8")]):
                pass
        talk, huge, old = await logged(path, 3)
    assert (talk["status"], talk["path"], talk["reason"]) == (101, "/talk", None)
    assert talk["bytes"] == 7 + 2 + 2, "a message and a close, heads of frames included"
    assert talk["duration"] >= 0.04
    assert (huge["status"], huge["reason"]) == (101, "body_too_large")
    assert old["status"] == 426


async def streams(scope: Any, receive: Any, send: Any) -> None:
    """Send one event and wait."""
    await send({"type": "sse.start"})
    await send({"type": "sse.send", "data": "x"})
    while (await receive())["type"] != "http.disconnect":
        continue


async def test_the_access_log_says_why_a_stream_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    async with serving(
        streams, access_log=str(path), access_log_format="json", sse_idle_timeout=0.1
    ) as server:
        wire = HTTP1Wire(server)
        assert (await wire.ask()).body == b"data: x\n\n"
        (line,) = await logged(path, 1)
    assert (line["status"], line["bytes"], line["reason"]) == (200, 9, "idle_timeout")
    assert line["duration"] >= 0.09  # the clocks of the loop and of the log differ


async def closes(scope: Any, receive: Any, send: Any) -> None:
    """Close at the first message."""
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    await send({"type": "websocket.close"})


@pytest.mark.spec("CORE-40")
@pytest.mark.parametrize("app", [echo, closes])
async def test_a_stop_does_not_wait_long_for_the_answer_to_a_close(app: Any) -> None:
    async with serving(app, shutdown_grace=0.3) as server:
        async with HTTP1Wire(server).websocket() as socket:
            await socket.send("hello")
            await socket._reader.readexactly(4)  # what it says, and then nothing any more
            begin = asyncio.get_running_loop().time()
            await server.shutdown()
            took = asyncio.get_running_loop().time() - begin
    assert took < 8.0, "a second for the close, two for reading it, and not ten"
