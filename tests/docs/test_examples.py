"""The examples run on the server and answer what they promise."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import pagi
from tests.suite.http1 import HTTP1Wire
from tests.suite.wire import Refused

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def load(name: str) -> ModuleType:
    """Import an example as a module of its own, with a sleep that does not take long."""
    path = EXAMPLES / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def without_sleep(module: ModuleType) -> None:
    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    vars(module)["asyncio"] = SimpleNamespace(**{**vars(asyncio), "sleep": sleep})


async def exchange(port: int | None, data: bytes) -> bytes:
    """Send bytes on a new connection and read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def ask(app: Any, data: bytes) -> tuple[bytes, bytes]:
    """Serve an application for one request; return head and body of the answer."""
    async with pagi.serve(app, port=0, access_log=None) as server:
        head, _, body = (await exchange(server.port, data)).partition(b"\r\n\r\n")
    return head, body


async def test_hello() -> None:
    head, body = await ask(load("hello").app, GET % b"/")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"Hello, world!\n"


async def test_streaming_response() -> None:
    module = load("streaming_response")
    without_sleep(module)

    head, body = await ask(module.app, GET % b"/")

    assert b"transfer-encoding: chunked" in head
    assert body.count(b"\r\n9\r\n") + body.startswith(b"9\r\n") == 10
    assert body.endswith(b"done\n\r\n0\r\n\r\n")


# spec: WS-6, WS-7
async def test_websocket_chat() -> None:
    async with pagi.serve(load("websocket_chat").app, port=0, access_log=None) as server:
        wire = HTTP1Wire(server)
        assert b"new WebSocket" in (await wire.ask()).body
        with pytest.raises(Refused):
            async with wire.websocket():
                pass
        async with (
            wire.websocket(subprotocols=["chat"]) as first,
            wire.websocket(subprotocols=["chat"]) as second,
        ):
            await first.send("hello")
            assert [await first.receive(), await second.receive()] == ["hello", "hello"]
            second.leave()
            await first.send("anybody here?")
            assert await first.receive() == "anybody here?"


# spec: SSE-1, SSE-7
async def test_event_stream() -> None:
    module = load("event_stream")
    without_sleep(module)
    async with pagi.serve(module.app, port=0, access_log=None) as server:
        wire = HTTP1Wire(server)
        assert b"new EventSource" in (await wire.ask()).body
        headers = [("Accept", "text/event-stream"), ("Last-Event-ID", "41")]
        async with wire.stream(headers=headers) as stream:
            event = b"event: tick\ndata: 42\nid: 42\nretry: 1000\n\n"
            assert await stream.read_until(b"\n\n") == event


# spec: HTTP-10, HTTP-11
async def test_streaming_upload() -> None:
    head = b"PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Note: late\r\n\r\n"

    _, answer = await ask(load("streaming_upload").app, head + body)

    digest = hashlib.sha256(b"abcde").hexdigest().encode()
    assert answer == digest + b"  5 bytes\nx-note: late\n"


# spec: HTTP-33
@pytest.mark.parametrize(
    ("field", "status", "first", "last"),
    [
        (b"", b"200", 0, None),
        (b"Range: bytes=0-99\r\n", b"206", 0, 100),
        (b"Range: bytes=5-\r\n", b"206", 5, None),
        (b"Range: bytes=-10\r\n", b"206", -10, None),
        (b"Range: bytes=0-1,4-5\r\n", b"200", 0, None),
    ],
)
async def test_file_ranges(field: bytes, status: bytes, first: int, last: int | None) -> None:
    module = load("file_ranges")
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b\r\n" % field

    head, body = await ask(module.app, request)

    assert head.split(b" ")[1] == status
    assert body == (EXAMPLES / "file_ranges.py").read_bytes()[first:last]


@pytest.mark.parametrize("span", [b"99999999-", b"-0"])
async def test_file_range_that_cannot_be_satisfied(span: bytes) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nRange: bytes=%b\r\n\r\n" % span

    head, body = await ask(load("file_ranges").app, request)

    assert head.startswith(b"HTTP/1.1 416 ")
    assert b"content-range: bytes */" in head
    assert body == b""


# spec: EXT-3
async def test_early_hints() -> None:
    module = load("early_hints")
    without_sleep(module)

    head, rest = await ask(module.app, GET % b"/")

    assert head == b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload; as=style"
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


# spec: EXT-5
async def test_trailers() -> None:
    _, body = await ask(load("trailers").app, GET % b"/")

    assert b"\r\n0\r\nrepr-digest: sha-256=:" in body
    assert body.endswith(b":\r\n\r\n")


async def test_disconnects_answers_those_who_wait(capsys: pytest.CaptureFixture[str]) -> None:
    module = load("disconnects")
    without_sleep(module)

    _, body = await ask(module.app, GET % b"/")

    assert body == b"the answer\n"
    assert capsys.readouterr().out == "ended: complete\n"


# spec: HTTP-42, CORE-30
async def test_disconnects_notes_those_who_leave() -> None:
    module, ended = load("disconnects"), asyncio.Event()
    vars(module)["note"] = lambda reason, detail: (reasons.append(reason), ended.set())
    reasons: list[str | None] = []

    async with pagi.serve(module.app, port=0, access_log=None) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET % b"/")
        await writer.drain()
        writer.close()
        await ended.wait()
        del reader

    assert reasons == ["client_closed"]


# spec: HTTP-38
async def test_background_work_outlives_the_response(capsys: pytest.CaptureFixture[str]) -> None:
    module = load("background_work")
    without_sleep(module)

    head, _ = await ask(module.app, GET % b"/")

    assert head.startswith(b"HTTP/1.1 202 ")
    assert capsys.readouterr().out == "mail sent\n"


# spec: LIFE-11, LIFE-12, HTTP-9
async def test_lifespan_state(capsys: pytest.CaptureFixture[str]) -> None:
    async with pagi.serve(load("lifespan_state").app, port=0, access_log=None) as server:
        answers = [await exchange(server.port, GET % b"/") for _ in range(2)]

    assert [answer.rpartition(b"\r\n")[2] for answer in answers] == [
        b"request no. 1\n",
        b"request no. 2\n",
    ]
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["a stop begins; requests may still be open", "2 requests were served"]


def test_embedded() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "embedded.py")],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("serving on http://127.0.0.1:")
    assert done.stdout.rstrip().endswith("Hello from inside")


# --- the showcase ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def showcase() -> ModuleType:
    return load("showcase/app")


@pytest.mark.parametrize("path", ["/", "/style.css", "/page.js", "/icon.svg"])
async def test_showcase_serves_its_files(showcase: ModuleType, path: str) -> None:
    head, body = await ask(showcase.app, GET % path.encode())
    if head.startswith(b"HTTP/1.1 103 "):
        head, _, body = body.partition(b"\r\n\r\n")
    name = "index.html" if path == "/" else path[1:]

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"default-src 'none'" in head
    assert body == (EXAMPLES / "showcase" / "static" / name).read_bytes()


@pytest.mark.parametrize("path", ["/nothing", "/../app.py", "/%2e%2e/app.py", "/docs/../README.md"])
async def test_showcase_keeps_to_its_folders(showcase: ModuleType, path: str) -> None:
    head, _ = await ask(showcase.app, GET % path.encode())

    assert head.startswith(b"HTTP/1.1 404 ")


def test_showcase_page_needs_nothing_from_elsewhere() -> None:
    static = EXAMPLES / "showcase" / "static"
    text = "".join(file.read_text(encoding="utf-8") for file in static.iterdir())

    foreign = {part.split('"')[0] for part in text.split("http://")[1:]}
    assert all(address.startswith("www.w3.org/") for address in foreign)
    assert "https://" not in text


# spec: HTTP-3, HTTP-4
async def test_showcase_shows_the_request(showcase: ModuleType) -> None:
    _, body = await ask(showcase.app, GET % b"/api/scope/caf%C3%A9?q=1")
    scope = json.loads(body)

    assert scope["path"] == "/api/scope/café"
    assert scope["raw_path"] == "/api/scope/caf%C3%A9"
    assert scope["query_string"] == "q=1"


async def test_showcase_notes_why_a_client_left(showcase: ModuleType) -> None:
    async with pagi.serve(showcase.app, port=0, access_log=None) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET % b"/api/slow/me")
        await reader.readuntil(b"...\n")
        writer.close()
        endings: list[dict[str, Any]] = []
        while not endings:
            answer = await exchange(server.port, GET % b"/api/endings")
            endings = json.loads(answer.partition(b"\r\n\r\n")[2])

    assert endings[0]["name"] == "me"
    assert endings[0]["reason"] == "client_closed"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("early-hints", "HTTP/1.1 103 Early Hints"),
        ("trailers", "server-timing: app;dur="),
        ("upload", '["x-checked-by", "the sender"]'),
        ("continue", "HTTP/1.1 100 Continue"),
        ("range", "content-range: bytes 0-99/4194304"),
        ("pipelined", "content-length: 4194304\r\n\r\nHTTP/1.1 200 OK"),
        ("two-hosts", "HTTP/1.1 400 Bad Request"),
    ],
)
async def test_showcase_shows_the_wire(showcase: ModuleType, name: str, expected: str) -> None:
    _, body = await ask(showcase.app, GET % f"/api/wire/{name}".encode())
    received = "".join(text for side, text in json.loads(body) if side == "received")

    assert expected in received


# spec: CORE-37, CORE-41
async def test_showcase_hears_of_a_stop(showcase: ModuleType) -> None:
    async with pagi.serve(showcase.app, port=0, access_log=None) as server:
        asking = asyncio.create_task(exchange(server.port, GET % b"/api/drain"))
        await exchange(server.port, GET % b"/api/process")
        await server.shutdown()
        answer = await asking

    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"known": True, "draining": True}


@pytest.mark.parametrize("name", ["scope", "stream", "upload", "sample", "flood", "slow", "wire"])
async def test_showcase_shows_its_code(showcase: ModuleType, name: str) -> None:
    _, body = await ask(showcase.app, GET % f"/api/source/{name}".encode())

    assert body.startswith(f'@handles("/api/{name}")\nasync def '.encode())
