"""A server of the MCP SDK, by streamable HTTP, as it is.

Tools: ``add`` adds; ``count`` tells of its progress three times before it answers.
"""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

STEPS = 3


def make_app(**options: Any) -> Starlette:
    """Make the application; ``options`` are those of the SDK."""
    server = MCPServer("test")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    async def count(ctx: Context) -> str:
        """Count, and tell how far it is."""
        for step in range(STEPS):
            await ctx.report_progress(step, STEPS, f"step {step}")
        return "counted"

    hosts = TransportSecuritySettings(allowed_hosts=["localhost", "127.0.0.1:*"])
    return server.streamable_http_app(transport_security=hosts, **options)
