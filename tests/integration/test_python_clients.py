"""What clients written in Python get to see: http.client, httpx and aiohttp (h11: `client`)."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import httpx
import pytest

from examples import early_hints, trailers
from tests.integration.client import connected
from tests.integration.conftest import Serving, digest
from tests.integration.echo import app as echo

pytestmark = pytest.mark.once

DATA = bytes(range(256)) * 4096
LINES = b"".join(b"line %d\n" % number for number in range(10))


def in_pieces() -> Iterator[bytes]:
    for at in range(0, len(DATA), 65536):
        yield DATA[at : at + 65536]


async def in_pieces_async() -> AsyncIterator[bytes]:
    for piece in in_pieces():
        yield piece


def base(server: Any) -> str:
    return f"http://127.0.0.1:{server.port}"


# --- http.client -----------------------------------------------------------------------------


def talk(port: int) -> dict[str, Any]:
    """Hold a conversation on one connection, which blocks: it runs in a thread."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    results: dict[str, Any] = {}

    def ask(name: str, *arguments: Any, **more: Any) -> None:
        connection.request(*arguments, **more)
        response = connection.getresponse()
        results[name] = (response.status, response.read())

    connection.connect()
    used = connection.sock
    ask("get", "GET", "/a?b=c")
    ask("head", "HEAD", "/stream")
    ask("stream", "GET", "/stream")
    ask("length", "POST", "/", body=DATA)
    ask("chunked", "POST", "/", body=in_pieces(), encode_chunked=True)
    ask("again", "DELETE", "/last")
    results["one connection"] = connection.sock is used
    connection.close()
    return results


async def test_http_client(serving: Serving) -> None:
    async with serving(echo) as server:
        results = await asyncio.to_thread(talk, server.port)

    assert results["one connection"]
    assert json.loads(results["get"][1])["query"] == "b=c"
    assert results["head"] == (200, b"")
    assert results["stream"] == (200, LINES)
    for name in ("length", "chunked"):
        report = json.loads(results[name][1])
        assert (report["size"], report["sha256"]) == (len(DATA), digest(DATA))
    assert json.loads(results["again"][1])["method"] == "DELETE"


# --- httpx -----------------------------------------------------------------------------------


async def test_httpx(serving: Serving) -> None:
    async with (
        serving(echo) as server,
        httpx.AsyncClient(base_url=base(server), trust_env=False) as client,
    ):
        plain = await client.get("/café", params={"q": "✓"})
        head = await client.head("/stream")
        upload = await client.post("/", content=in_pieces_async())
        form = await client.post("/", files={"file": ("name", DATA)})
        async with client.stream("GET", "/stream") as response:
            streamed = [piece async for piece in response.aiter_raw()]
        many = await asyncio.gather(*(client.get(f"/{number}") for number in range(30)))

    assert plain.json()["path"] == "/café"
    assert plain.json()["query"] == "q=%E2%9C%93"
    assert (head.status_code, head.content) == (200, b"")
    assert upload.json()["sha256"] == digest(DATA)
    assert form.json()["size"] > len(DATA)
    assert b"".join(streamed) == LINES
    assert [answer.json()["path"] for answer in many] == [f"/{number}" for number in range(30)]


async def test_httpx_leaves_a_stream(serving: Serving) -> None:
    reasons: list[str | None] = []
    ended = asyncio.Event()

    def note(reason: str | None, detail: str | None) -> None:
        reasons.append(reason)
        ended.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["pagi.connection"].on_end(note)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})

    async with serving(app) as server:
        async with (
            httpx.AsyncClient(base_url=base(server), trust_env=False) as client,
            client.stream("GET", "/") as response,
        ):
            async for _ in response.aiter_raw():
                break
        await ended.wait()

    assert reasons == ["client_closed"]


# --- aiohttp ---------------------------------------------------------------------------------


async def test_aiohttp(serving: Serving) -> None:
    async with serving(echo) as server, aiohttp.ClientSession(base(server)) as session:
        async with session.get("/a b", params={"q": "ü"}) as response:
            plain = await response.json()
        async with session.post("/", data=in_pieces_async()) as response:
            upload = await response.json()
        async with session.put("/", data=DATA, expect100=True) as response:
            expected = await response.json()
        async with session.get("/stream") as response:
            streamed = [piece async for piece, _ in response.content.iter_chunks()]
        async with session.head("/stream") as response:
            head = (response.status, await response.read())

    assert (plain["path"], plain["query"]) == ("/a b", "q=%C3%BC")
    assert upload["sha256"] == expected["sha256"] == digest(DATA)
    assert b"".join(streamed) == LINES
    assert head == (200, b"")


# --- h11 -------------------------------------------------------------------------------------


# spec: EXT-3
async def test_h11_sees_early_hints(serving: Serving) -> None:
    async with serving(early_hints.app) as server, connected(server.port) as client:
        answer = await client.ask("GET", "/")

    assert [hint.status_code for hint in answer.informational] == [103]
    assert answer.body == early_hints.PAGE


# spec: EXT-5, EXT-7
async def test_h11_sees_trailers(serving: Serving) -> None:
    async with serving(trailers.app) as server, connected(server.port) as client:
        answer = await client.ask("GET", "/")

    assert [name for name, _ in answer.trailers] == [b"repr-digest"]


# spec: HTTP-12
async def test_h11_waits_for_continue(serving: Serving) -> None:
    fields = [(b"expect", b"100-continue"), (b"content-length", b"4")]
    async with serving(echo) as server, connected(server.port) as client:
        await client.begin("POST", "/", fields, end=False)
        go_on = await client.event()
        client.writer.write(b"data")
        answer = await client.rest(await client.head())

    assert go_on.status_code == 100
    assert answer.json["size"] == 4
