"""The admin listener, asked by a web page that leads its own name to this machine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.admin import ask
from tests.server.client import serving


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Is not asked."""


@pytest.mark.parametrize("target", ["/", "/status", "/metrics", "/readyz", "/healthz", "/x"])
async def test_a_page_under_its_own_name_reads_nothing(target: str) -> None:
    async with serving(app, admin=0, lifespan="off") as server:
        port = server.sockets[-1].port
        assert port is not None
        for host in (f"attacker.example:{port}", "localhost.attacker.example", "2130706433"):
            answer = await ask(port, target, host=host)
            assert answer.status == 403
            assert b"pagi_" not in answer.body
            assert b"access-control-allow-origin" not in answer.fields
        own = await ask(port, target, host=f"localhost:{port}")
        assert own.status == (404 if target == "/x" else 200)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_can_be_changed_there(method: str) -> None:
    async with serving(app, admin=0, lifespan="off") as server:
        port = server.sockets[-1].port
        assert port is not None
        assert (await ask(port, "/status", method=method)).status == 405
