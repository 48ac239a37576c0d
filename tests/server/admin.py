"""Asking the admin listener of a running server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.server.attacks.wire import Answer, Wire
from tests.server.processes import PATIENCE, Command, command

__all__ = ["admin_of", "ask", "started", "status", "until", "until_status"]

APP: Final = "tests.server.admin_app:app"


def admin_of(site: Command) -> int:
    """Return the port of the admin listener."""
    for line in site.lines:
        if match := re.search(r"admin on http://127\.0\.0\.1:(\d+)", line):
            return int(match[1])
    raise AssertionError(site.lines)


@asynccontextmanager
async def started(workers: int, directory: Path, *options: str) -> AsyncIterator[Command]:
    """Run the application with an admin listener, and wait until every worker is ready."""
    if "--admin" not in options:
        options = ("--admin", "0", *options)
    async with command(APP, "-w", str(workers), *options, directory=directory) as site:
        if "0" in options:
            await until(lambda: any("admin on" in line for line in site.lines))
            await until_status(admin_of(site), lambda told: told["site"]["state"] == "ready")
        yield site


async def ask(
    address: int | str, target: str, *, method: str = "GET", host: str = "localhost"
) -> Answer:
    """Make a request on a connection of its own."""
    async with await Wire.open(address) as wire:
        head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        await wire.send(head.encode())
        return await wire.answer(method)


async def status(address: int | str, target: str = "/status") -> dict[str, Any]:
    """Return the status document."""
    answer = await ask(address, target)
    assert answer.status == 200, answer.body
    document: dict[str, Any] = json.loads(answer.body)
    return document


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def until_status(
    address: int | str, condition: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Wait until the status is so; return it."""
    told: dict[str, Any] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    told = await status(address)
                except OSError:
                    told = {}
                if told and condition(told):
                    return told
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"it never came true: {told}") from None
