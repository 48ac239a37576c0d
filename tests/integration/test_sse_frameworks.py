"""The event streams of each framework, and of sse-starlette, as they are."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack

import h11
import pytest

from tests.integration.client import Answer, Client, connected
from tests.integration.conftest import Serving, told
from tests.integration.frameworks.common import HELLO, cues, journal, watched
from tests.integration.sockets import GRACE, MANY, STOP, stop
from tests.integration.test_frameworks import FRAMEWORKS, Framework

SSE_STARLETTE = Framework("sse_starlette")
STREAMING = [*FRAMEWORKS, SSE_STARLETTE]
every = pytest.mark.parametrize("framework", STREAMING, ids=lambda framework: framework.name)


# Django leaves the file of a request's body open when it cancels the handler of a client that left.
pytestmark = pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile")


@pytest.fixture(autouse=True)
def clean(big_file: bytes) -> Iterator[None]:
    """Begin with an empty journal and without cues; leave no garbage to later tests."""
    journal.clear()
    cues.clear()
    yield
    gc.collect()


def limits(framework: Framework) -> dict[str, float]:
    """Return how long a stop may take."""
    options = {"shutdown_grace": GRACE}
    if not framework.ends_silence:
        options["shutdown_timeout"] = 2 * GRACE
    return options


async def begun(client: Client, target: str, last_id: bytes | None = None) -> Answer:
    """Ask for an event stream; return its head."""
    fields = [(b"accept", b"text/event-stream")]
    if last_id is not None:
        fields.append((b"last-event-id", last_id))
    await client.begin("GET", target, fields)
    answer = await client.head()
    assert answer.status == 200
    assert (answer.one(b"content-type") or b"").startswith(b"text/event-stream")
    return answer


async def chunk(client: Client) -> str:
    """Read the next chunk."""
    parts = []
    while True:
        piece = await client.event()
        assert isinstance(piece, h11.Data), piece
        assert piece.chunk_start is not bool(parts)
        parts.append(bytes(piece.data))
        if piece.chunk_end:
            return b"".join(parts).decode()


async def event(client: Client) -> str:
    """Read the data of the next event, which must be a chunk for itself."""
    while True:
        block = await chunk(client)
        assert block.endswith(("\n\n", "\r\n\r\n"))
        data = [line[5:].strip() for line in block.splitlines() if line.startswith("data:")]
        if data:  # and not only a comment
            return "\n".join(data)


async def listen(client: Client) -> bool:
    """Read to the end; tell whether it was an orderly one."""
    try:
        while isinstance(await client.event(), h11.Data):
            pass
    except h11.RemoteProtocolError:
        return False
    return True


# spec: CORE-42
@every
async def test_events_arrive_one_by_one(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app(), **limits(framework)) as server:
        async with connected(server.port) as client:
            await begun(client, "/cued", b"41")
            assert await event(client) == "41"
            for data in ("another", "€ 😀", "x" * 10_000):
                cues.give(data)
                assert await event(client) == data


@every
async def test_a_client_that_leaves(framework: Framework, serving: Serving) -> None:
    async with serving(watched(framework.make_app())) as server:
        for _ in range(3):
            async with connected(server.port) as client:
                await begun(client, "/ticks")
                assert await event(client) == "tick 0"
                assert await event(client) == "tick 1"
            await journal.until("ended /ticks")
            gc.collect()  # some frameworks leave the source of the events to the collector
            await journal.until("source ended")
            journal.clear()


async def test_sse_starlette_tells_of_a_client_that_leaves(serving: Serving) -> None:
    async with serving(watched(SSE_STARLETTE.make_app())) as server:
        async with connected(server.port) as client:
            await begun(client, "/pinged")
            assert await event(client) == HELLO
            piece = await client.event()
        await journal.until("told of the end")
        await journal.until("ended /pinged")

    assert bytes(piece.data).startswith(b": ping")


@every
async def test_a_source_that_fails(
    framework: Framework, serving: Serving, log: list[logging.LogRecord]
) -> None:
    async with serving(watched(framework.make_app())) as server:
        async with connected(server.port) as client:
            await begun(client, "/cued")
            assert await event(client) == "nothing"
            cues.fail()
            orderly = await listen(client)
        await journal.until("ended /cued")
        reports = [told(record) for record in log]
        log.clear()

    assert orderly is not framework.cuts
    assert any("Deliberate" in report for report in reports)


@every
@pytest.mark.parametrize("target", ["/silent", "/ticks"])
async def test_a_stop(framework: Framework, target: str, serving: Serving) -> None:
    async with serving(watched(framework.make_app()), **limits(framework)) as server:
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(server.port)) for _ in range(MANY)]
            for client in clients:
                await begun(client, target)
                await event(client)
            stopped = await stop(server, [listen(client) for client in clients])

    assert stopped.seen == [True] * MANY
    assert stopped.seconds < STOP
    assert journal.notes.count(f"ended {target}") == MANY
    assert ("shutdown" in journal.notes) is framework.lifespan
