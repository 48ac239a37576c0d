"""What only Starlette and FastAPI have, and what people build on them."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import StreamingResponse
from starlette.routing import Mount

from tests.integration.client import ask, connected
from tests.integration.conftest import Serving
from tests.integration.frameworks import fastapi_app, starlette_app
from tests.integration.frameworks.common import PIECES, journal, pieces, watched

APPS = {"starlette": starlette_app, "fastapi": fastapi_app}
both = pytest.mark.parametrize("module", list(APPS.values()), ids=list(APPS))


@pytest.fixture(autouse=True)
def clean(big_file: bytes) -> None:
    """Begin with an empty journal."""
    journal.clear()


# spec: HTTP-38
@both
async def test_background_work_does_not_hold_the_response_back(
    module: object, serving: Serving
) -> None:
    async with serving(module.make_app()) as server, connected(server.port) as client:  # type: ignore[attr-defined]
        answer = await client.ask("GET", "/background")
        assert "background done" not in journal.notes
        again = await client.ask("GET", "/json")
        await journal.until("background done")

    assert (answer.status, again.status) == (200, 200)


# spec: CORE-42, HTTP-38
@both
async def test_a_stop_waits_for_background_work(module: object, serving: Serving) -> None:
    async with serving(module.make_app()) as server:  # type: ignore[attr-defined]
        await ask(server.port, "GET", "/background")

    assert journal.notes == ["startup", "background done", "shutdown"]


# spec: HTTP-17, HTTP-42
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_is_disconnected(method: str, serving: Serving) -> None:
    # Not below BaseHTTPMiddleware, where Starlette itself never tells it, on any server.
    body = b"some body" if method == "POST" else b""
    async with serving(starlette_app.make_app()) as server:
        async with connected(server.port) as client:
            await client.begin(method, "/disconnected", body=body)
            await journal.until("asking")
        await journal.until("noticed")

    assert "gone from the start" not in journal.notes


async def test_base_http_middleware(serving: Serving) -> None:
    async with serving(starlette_app.make_app()) as server, connected(server.port) as client:
        plain = await client.ask("GET", "/stamped/json")
        stream = await client.ask("GET", "/stamped/stream")
        upload = await client.ask("POST", "/stamped/upload", body=bytes(200_000))
        failed = await client.ask("GET", "/stamped/timeout")

    assert plain.one(b"x-stamp") == stream.one(b"x-stamp") == b"yes"
    assert stream.body == b"".join([piece async for piece in pieces()])
    assert upload.json["size"] == 200_000
    assert failed.json == {"timed out": True}


async def test_a_client_leaves_a_stream_through_base_http_middleware(serving: Serving) -> None:
    async with serving(watched(starlette_app.make_app())) as server:
        async with connected(server.port) as client:
            await client.begin("GET", "/stamped/slow")
            await client.head()
            assert await client.piece()
        await journal.until("ended /stamped/slow")


async def test_a_client_leaves_an_upload_through_base_http_middleware(serving: Serving) -> None:
    async with serving(watched(starlette_app.make_app())) as server:
        async with connected(server.port) as client:
            fields = [(b"content-length", b"1000000")]
            await client.begin("POST", "/stamped/upload", fields, bytes(1000), end=False)
            await journal.until("upload began")
        await journal.until("ended /stamped/upload")


@both
async def test_threads(module: object, serving: Serving) -> None:
    async with serving(module.make_app()) as server:  # type: ignore[attr-defined]
        answer = await ask(server.port, "GET", "/thread")

    assert answer.json == {"sum": 6}


@pytest.mark.parametrize("prefix", ["", "/stamped"])
async def test_timeouts_and_task_groups(prefix: str, serving: Serving) -> None:
    async with serving(starlette_app.make_app()) as server, connected(server.port) as client:
        for _ in range(3):  # again on tasks that were used before
            timeout = await client.ask("GET", f"{prefix}/timeout")
            tasks = await client.ask("GET", f"{prefix}/tasks")

            assert timeout.json == {"timed out": True}
            assert tasks.json == {"done": [1, 2, 3], "cancelled": True}


async def test_compressed_stream(serving: Serving) -> None:
    async def stream(request: object) -> StreamingResponse:
        return StreamingResponse(pieces(), media_type="text/plain")

    app = Starlette(middleware=[Middleware(GZipMiddleware, minimum_size=1)])
    app.add_route("/", stream)
    fields = [(b"accept-encoding", b"gzip")]
    async with serving(app) as server:
        answer = await ask(server.port, "GET", "/", fields=fields)

    import gzip

    assert answer.one(b"content-encoding") == b"gzip"
    assert gzip.decompress(answer.body).count(b"\n") == PIECES


# spec: HTTP-5
async def test_root_path_of_a_mounted_application(serving: Serving) -> None:
    app = Starlette(routes=[Mount("/inner", starlette_app.make_app())])
    async with serving(app, root_path="/outer") as server:
        answer = await ask(server.port, "GET", "/inner/json")

    assert answer.json == {"hello": "world"}
