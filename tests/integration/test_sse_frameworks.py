"""The event streams of each framework, and of sse-starlette, as they are."""

from __future__ import annotations

import h11
import pytest

from tests.integration.client import Answer, Client, connected
from tests.integration.conftest import Serving
from tests.integration.frameworks.common import cues, journal
from tests.integration.test_frameworks import FRAMEWORKS, Framework

SSE_STARLETTE = Framework("sse_starlette")
STREAMING = [*FRAMEWORKS, SSE_STARLETTE]
every = pytest.mark.parametrize("framework", STREAMING, ids=lambda framework: framework.name)


@pytest.fixture(autouse=True)
def clean(big_file: bytes) -> None:
    """Begin with an empty journal and without cues."""
    journal.clear()
    cues.clear()


async def begun(client: Client, target: str, last_id: bytes | None = None) -> Answer:
    """Ask for an event stream; return its head."""
    fields = [(b"accept", b"text/event-stream")]
    if last_id is not None:
        fields.append((b"last-event-id", last_id))
    await client.begin("GET", target, fields)
    return await client.head()


async def event(client: Client) -> str:
    """Read the data of the next event, which must be a chunk for itself."""
    piece = b""
    while not piece or piece.startswith((b":", b"retry:")):  # comments and the like
        data = await client.event()
        assert isinstance(data, h11.Data), data
        assert data.chunk_start
        assert data.chunk_end
        piece = bytes(data.data)
    *lines, last, end = piece.decode().splitlines(keepends=True)[-3:]
    assert end.strip("\r\n") == ""
    name, _, value = last.partition(":")
    assert (name, lines[:1]) == ("data", lines[:1])
    return value.strip()


# spec: CORE-42
@every
async def test_events_arrive_one_by_one(framework: Framework, serving: Serving) -> None:
    async with serving(framework.make_app()) as server, connected(server.port) as client:
        answer = await begun(client, "/cued", b"41")
        first = await event(client)
        cues.give("another")
        second = await event(client)

    assert answer.status == 200
    assert (first, second) == ("41", "another")
