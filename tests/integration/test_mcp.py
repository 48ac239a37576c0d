"""The MCP SDK's streamable HTTP server, as it is, with the SDK's own client."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import Any

import h11
import pytest
from mcp.client import Client as MCPClient

from tests.integration.client import Client, connected
from tests.integration.conftest import Serving
from tests.integration.frameworks.common import journal, watched
from tests.integration.frameworks.mcp_app import STEPS, make_app
from tests.integration.sockets import GRACE, MANY, STOP, stop

#: Both ways to begin: the handshake with a session, and the newest version without.
MODES = ["legacy", "auto"]
ACCEPT = (b"accept", b"application/json, text/event-stream")
JSON = (b"content-type", b"application/json")


@pytest.mark.parametrize("json_response", [False, True])
@pytest.mark.parametrize("mode", MODES)
async def test_tools(mode: Any, json_response: bool, serving: Serving) -> None:
    steps: list[tuple[float, str | None]] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        steps.append((progress, message))

    async with (
        serving(make_app(json_response=json_response)) as server,
        MCPClient(f"http://127.0.0.1:{server.port}/mcp", mode=mode) as client,
    ):
        tools = await client.list_tools()
        added = await client.call_tool("add", {"a": 2, "b": 3})
        counted = await client.call_tool("count", {}, progress_callback=progressed)

    assert [tool.name for tool in tools.tools] == ["add", "count"]
    assert added.structured_content == {"result": 5}
    assert counted.structured_content == {"result": "counted"}
    expected = [] if json_response else [(step, f"step {step}") for step in range(STEPS)]
    assert steps == expected  # an answer in JSON has no place for them


def rpc(method: str, number: int | None = None, **params: Any) -> bytes:
    """Return a call, or a notification without a number, in JSON-RPC."""
    call: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    if number is not None:
        call["id"] = number
    return json.dumps(call).encode()


async def session(client: Client) -> bytes:
    """Begin a session by the handshake; return its number."""
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    answer = await client.ask("POST", "/mcp", [ACCEPT, JSON], rpc("initialize", 1, **params))
    assert answer.status == 200
    number = answer.one(b"mcp-session-id")
    assert number is not None
    fields = [ACCEPT, JSON, (b"mcp-session-id", number)]
    answer = await client.ask("POST", "/mcp", fields, rpc("notifications/initialized"))
    assert answer.status == 202
    return number


async def listening(client: Client) -> None:
    """Open the stream on which the server may speak unasked."""
    number = await session(client)
    fields = [(b"accept", b"text/event-stream"), (b"mcp-session-id", number)]
    await client.begin("GET", "/mcp", fields)
    answer = await client.head()
    assert answer.status == 200
    assert (answer.one(b"content-type") or b"").startswith(b"text/event-stream")


async def ended(client: Client) -> bool:
    """Read to the end; tell whether it was an orderly one."""
    try:
        while isinstance(await client.event(), h11.Data):
            pass
    except h11.RemoteProtocolError:
        return False
    return True


async def test_a_session_that_is_ended(serving: Serving) -> None:
    async with serving(make_app()) as server:
        async with connected(server.port) as client, connected(server.port) as other:
            number = await session(client)
            fields = [(b"accept", b"text/event-stream"), (b"mcp-session-id", number)]
            await other.begin("GET", "/mcp", fields)
            assert (await other.head()).status == 200
            assert (await client.ask("DELETE", "/mcp", fields)).status == 200
            assert await ended(other)


async def test_a_client_that_leaves(serving: Serving) -> None:
    journal.clear()
    async with serving(watched(make_app())) as server:
        async with connected(server.port) as client:
            await listening(client)
            journal.clear()
        await journal.until("ended /mcp")


async def test_a_stop(serving: Serving) -> None:
    async with serving(watched(make_app()), shutdown_grace=GRACE) as server:
        async with AsyncExitStack() as stack:
            clients = []
            for _ in range(MANY):
                client = await stack.enter_async_context(connected(server.port))
                await listening(client)
                clients.append(client)
            journal.clear()
            stopped = await stop(server, [ended(client) for client in clients])

    assert stopped.seen == [True] * MANY
    assert stopped.seconds < STOP
    assert journal.notes.count("ended /mcp") == MANY
