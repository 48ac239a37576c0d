"""Five hundred event streams and five hundred WebSockets, and a stop: every client is told."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.server.attacks.wire import eventually
from tests.server.processes import PATIENCE, Command, command

EACH = 500
DESCRIPTORS = 4096
#: How long streams may go on after SIGTERM, in seconds.
GRACE = 2.0
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
EVENTS = b"GET /events HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n"
SOCKET = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%b\r\n" % KEY


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    """Allow this process and the server enough of them."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        pytest.skip(f"{DESCRIPTORS} descriptors are not to be had here (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def follow_events(port: int, begun: Counter[str]) -> str:
    """Read an event stream to its end; return how it ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(EVENTS)
    data = await reader.readuntil(b"hello\n\n\r\n")
    begun["sse"] += 1
    try:
        data = await reader.read()
    except ConnectionResetError:
        return "reset"
    writer.close()
    return "ended" if data.endswith(b"0\r\n\r\n") else f"cut: {data!r}"


async def follow_socket(port: int, begun: Counter[str]) -> str:
    """Wait for the close of a WebSocket and answer it; return its code."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(SOCKET)
    await reader.readuntil(b"\r\n\r\n")
    begun["websocket"] += 1
    try:
        head = await reader.readexactly(2)
        payload = await reader.readexactly(head[1])
        writer.write(bytes((0x88, 0x80 | 2)) + bytes(4) + payload[:2])
        await reader.read()
    except (ConnectionResetError, asyncio.IncompleteReadError) as error:
        return type(error).__name__
    writer.close()
    return f"opcode {head[0] & 15}, code {int.from_bytes(payload[:2], 'big')}"


async def open_streams(site: Command) -> list[asyncio.Task[str]]:
    begun: Counter[str] = Counter()
    tasks = []
    for _ in range(EACH):
        tasks.append(asyncio.create_task(follow_events(site.port, begun)))
        tasks.append(asyncio.create_task(follow_socket(site.port, begun)))
        if not len(tasks) % 100:
            await eventually(lambda: begun.total() == len(tasks), PATIENCE)
    assert begun == {"sse": EACH, "websocket": EACH}
    return tasks


@pytest.mark.parametrize("workers", [0, 2])
async def test_every_client_is_told(workers: int, tmp_path: Path) -> None:
    options = ("-w", str(workers), "--interface", "pagi", "--shutdown-grace", str(GRACE))
    target = "tests.restarts.streams_app:app"
    async with command(target, *options, directory=tmp_path) as site:
        await site.journal.wait("startup", max(1, workers))
        tasks = await open_streams(site)
        begin = monotonic()
        site.tell(signal.SIGTERM)
        assert await site.ended() == 0
        assert monotonic() - begin < GRACE + 2.5  # and one second for those who take no note
        ends = Counter(await asyncio.gather(*tasks))
        assert ends == {"ended": EACH, "opcode 8, code 1012": EACH}
        assert not site.faults(), site.lines
        assert not any("Traceback" in line for line in site.lines)
        assert len(site.journal.pids("sse-server_shutdown")) == EACH
        assert len(site.journal.pids("websocket-server_shutdown")) == EACH
        assert len(site.journal.pids("shutdown")) == max(1, workers)
