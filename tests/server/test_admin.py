"""The admin listener of real servers: while they work, restart, lose workers and stop."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.admin import admin_of, ask, started, status, until, until_status
from tests.server.attacks.wire import Wire, get
from tests.server.client import serving
from tests.server.processes import Command

NONE_OR_TWO = pytest.mark.parametrize("workers", [0, 2])

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
EVENTS = b"GET /events HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n"


async def metrics(port: int) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return all series."""
    answer = await ask(port, "/metrics")
    assert answer.status == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


async def total(port: int, name: str = "pagi_requests_total") -> float:
    """Return the sum over all series of a metric."""
    return sum(value for (found, _), value in (await metrics(port)).items() if found == name)


async def until_total(port: int, expected: int) -> None:
    """Wait until so many requests are counted, and no more."""
    await until_status(port, lambda told: ended(told) >= expected)
    assert await total(port) == expected


def ended(told: dict[str, Any]) -> int:
    return sum(entry["count"] for entry in told["totals"]["requests"])


async def end(site: Command) -> None:
    site.tell(signal.SIGTERM)
    assert await site.ended() == 0, site.lines


# --- what there is ---------------------------------------------------------------------------


@NONE_OR_TWO
async def test_everything_answers(workers: int, tmp_path: Path) -> None:
    async with started(workers, tmp_path) as site:
        port = admin_of(site)
        assert (await ask(port, "/healthz")).body == b"ok\n"
        assert (await ask(port, "/readyz")).body == b"ready\n"
        told = await status(port)
        assert told["site"]["pid"] == site.pid
        assert [worker["number"] for worker in told["workers"]] == ([1, 2] if workers else [0])
        page = await ask(port, "/")
        assert page.fields[b"content-type"] == b"text/html; charset=utf-8"
        assert b"script-src 'sha256-" in page.fields[b"content-security-policy"]
        wanted = workers or 1
        assert f"{wanted} of {wanted}".encode() in page.body
        head = await ask(port, "/status", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert (await ask(port, "/status", method="POST")).status == 405
        assert (await ask(port, "/nothing")).status == 404
        assert (await get(site.port, b"/healthz")).body.isdigit(), "the application's own paths"
        await end(site)
        assert not site.faults(), site.lines


@NONE_OR_TWO
async def test_strange_names_and_websockets_are_refused(workers: int, tmp_path: Path) -> None:
    async with started(workers, tmp_path) as site:
        port = admin_of(site)
        assert (await ask(port, "/status", host="attacker.example")).status == 403
        assert (await ask(port, "/status", host=f"127.0.0.1:{port}")).status == 200
        async with await Wire.open(port) as wire:
            await wire.send(UPGRADE)
            assert (await wire.answer()).status == 404
        await end(site)
        assert not site.faults(), site.lines


async def test_what_is_asked_of_it_is_not_counted(tmp_path: Path) -> None:
    async with started(0, tmp_path) as site:
        port = admin_of(site)
        async with await Wire.open(port) as wire:
            await wire.send(b"no request\r\n\r\n")
            assert (await wire.answer()).status == 400
        assert await total(port) == await total(port, "pagi_rejected_requests_total") == 0
        async with await site.open() as wire:
            await wire.send(b"no request\r\n\r\n")
            assert (await wire.answer()).status == 400
        assert await total(port, "pagi_rejected_requests_total") == 1


@NONE_OR_TWO
async def test_a_unix_socket(workers: int, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    async with started(workers, tmp_path, "--admin", f"unix:{path}") as site:
        await until(path.exists)
        await until_status(str(path), lambda told: told["site"]["ready"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (await ask(str(path), "/readyz", host="any.example")).status == 200
        await end(site)
        assert not path.exists()


async def test_a_listener_with_the_role(tmp_path: Path) -> None:
    places = ("--listen", "127.0.0.1:0", "--listen", "admin:127.0.0.1:0")
    async with started(0, tmp_path, *places, "--admin", "none") as site:
        await until(lambda: any("admin on" in line for line in site.lines))
        await get(site.port)
        await until_total(admin_of(site), 1)


async def test_a_server_in_a_running_loop() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with serving(app, admin=0, lifespan="off") as server:
        port = server.sockets[-1].port
        assert port is not None
        assert (await ask(port, "/readyz")).status == 200
        assert server.port is not None
        await get(server.port)
        assert await total(port) == 1


# --- numbers ---------------------------------------------------------------------------------


async def spread(site: Command, workers: int) -> int:
    """Make requests until every worker has had one; return how many."""
    seen: set[bytes] = set()
    made = 0
    while len(seen) < workers:
        wires = [await site.open() for _ in range(8)]
        for wire in wires:
            await wire.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        for wire in wires:
            seen.add((await wire.answer()).body)
            wire.close()
        made += len(wires)
        assert made < 2000, "one worker gets everything"
    return made


async def test_counters_are_those_of_all_workers_for_ever(tmp_path: Path) -> None:
    async with started(2, tmp_path) as site:
        port = admin_of(site)
        made = await spread(site, 2)
        await until_total(port, made)
        told = await status(port)
        assert all(worker["requests"] for worker in told["workers"])
        assert sum(worker["requests"] for worker in told["workers"]) == made

        site.tell(signal.SIGHUP)
        told = await until_status(port, lambda told: _renewed(told, made))
        assert told["site"]["deaths"] == 0
        made += await spread(site, 2)
        await until_total(port, made)

        os.kill(told["workers"][0]["pid"], signal.SIGKILL)
        told = await until_status(
            port, lambda told: told["site"]["deaths"] == 1 and _never_less(told, made)
            and told["site"]["workers_ready"] == 2
        )  # fmt: skip
        assert await total(port) == made
        assert await total(port, "pagi_worker_deaths_total") == 1
        assert (await get(site.port, b"/fail")).status == 500
        await until_total(port, made + 1)
        await end(site)


def _never_less(told: dict[str, Any], made: int) -> bool:
    assert ended(told) >= made, "a counter went down"
    return True


def _renewed(told: dict[str, Any], made: int) -> bool:
    return (
        _never_less(told, made)
        and [worker["generation"] for worker in told["workers"]] == [1, 1]
        and told["site"]["workers_ready"] == 2
    )


@NONE_OR_TWO
async def test_what_is_open(workers: int, tmp_path: Path) -> None:
    async with started(workers, tmp_path) as site:
        port = admin_of(site)
        async with AsyncExitStack() as stack:
            for request in (EVENTS, EVENTS, UPGRADE):
                wire = await stack.enter_async_context(await site.open())
                await wire.send(request)
                await wire.until(b"\r\n\r\n")
            told = await until_status(port, lambda told: told["open"]["sse"] == 2)
            assert told["open"]["websocket"] == 1
            assert told["open"]["connections"] >= 3
            series = await metrics(port)
            for kind, count in (("http", 0), ("sse", 2), ("websocket", 1)):
                assert count == sum(
                    value
                    for (name, labels), value in series.items()
                    if name == "pagi_open_exchanges" and ("kind", kind) in labels
                )
        told = await until_status(port, lambda told: not told["open"]["sse"])
        assert told["open"]["websocket"] == 0
        counts = {entry["kind"]: entry["count"] for entry in told["totals"]["requests"]}
        assert counts == {"sse": 2, "websocket": 1}
        assert {entry["reason"] for entry in told["totals"]["early_ends"]} == {"client_closed"}


async def test_rates_and_history_come_by_themselves(tmp_path: Path) -> None:
    async with started(0, tmp_path) as site:
        port = admin_of(site)
        await until_status(port, lambda told: told["recent"]["seconds"] > 0)
        await get(site.port)
        told = await until_status(port, lambda told: told["recent"]["requests_per_second"] > 0)
        assert told["recent"]["latency"]["p50"] > 0
        rows = (await status(port, "/status?history=300"))["history"]
        assert sum(row["requests"] for row in rows) > 0


# --- health and readiness --------------------------------------------------------------------


@NONE_OR_TWO
async def test_not_ready_while_the_stop_is_delayed(workers: int, tmp_path: Path) -> None:
    async with started(workers, tmp_path, "--drain-delay", "60") as site:
        port = admin_of(site)
        site.tell(signal.SIGTERM)
        await until_status(port, lambda told: told["site"]["state"] == "draining")
        answer = await ask(port, "/readyz")
        assert (answer.status, answer.body) == (503, b"the server is stopping\n")
        assert (await ask(port, "/healthz")).status == 200
        assert (await get(site.port)).status == 200, "it still serves"
        series = await metrics(port)
        assert series["pagi_draining", frozenset()] == 1
        assert series["pagi_ready", frozenset()] == 0
        await end(site)


async def test_a_worker_that_hangs_is_told_of(tmp_path: Path) -> None:
    async with started(2, tmp_path, "--heartbeat-timeout", "2") as site:
        port = admin_of(site)
        async with await site.open() as wire:
            await wire.send(b"GET /hang HTTP/1.1\r\nHost: h\r\n\r\n")
            told = await until_status(port, lambda told: told["site"]["hangs"] == 1)
            assert told["site"]["alive"]
            told = await until_status(port, lambda told: told["site"]["state"] == "ready")
        assert await total(port, "pagi_worker_hangs_total") == 1
        site.tell(signal.SIGTERM)
        await site.ended()


async def test_it_outlives_the_workers(tmp_path: Path) -> None:
    """While requests of a stop go on, somebody can see them."""
    async with started(2, tmp_path) as site:
        port = admin_of(site)
        async with await site.open() as wire:
            await wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf")
            await wire.answer()
            async with await site.open() as stream:
                await stream.send(EVENTS)
                await stream.until(b"data: 1")
                site.tell(signal.SIGTERM)
                told = await until_status(
                    port, lambda told: any(w["state"] == "draining" for w in told["workers"])
                )
                assert told["site"]["state"] == "draining"
        async with asyncio.timeout(20):
            assert await site.ended() == 0


async def test_its_own_end_ends_nothing(tmp_path: Path) -> None:
    async with started(1, tmp_path) as site:
        port = admin_of(site)
        (child,) = [pid for pid in children(site.pid) if pid != (await workers_of(port))[0]]
        os.kill(child, signal.SIGKILL)
        told = await until_status(port, lambda told: told["site"]["ready"])
        assert told["site"]["deaths"] == 0
        assert (await get(site.port)).status == 200
        await end(site)


async def workers_of(port: int) -> list[int]:
    return [worker["pid"] for worker in (await status(port))["workers"]]


def children(pid: int) -> list[int]:
    """Return the processes that a process has made."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found
