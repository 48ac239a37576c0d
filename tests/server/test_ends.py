"""How exchanges and connections end over real sockets: reasons, deadlines, limits, the log."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from pagi.interface.errors import Disconnected
from tests.server.client import connect, get, serving
from tests.server.conftest import Told

START = {"type": "http.response.start", "status": 200, "headers": []}
MORE = {"type": "http.response.body", "body": b"more", "more_body": True}
LAST = {"type": "http.response.body", "body": b"last"}


class Watching:
    """An application that keeps what it saw of the end of each request."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self.seen: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        connection = scope["pagi.connection"]
        connection.on_end(lambda reason, detail: self.seen.append(("callback", reason)))
        future = connection.end_future()
        message = await receive()
        if "started" in scope["path"]:
            await send(START)
            await send(MORE)
        self.begun.set()
        while message["type"] == "http.request":
            message = await receive()
        self.seen.append(("message", message.get("reason")))
        self.seen.append(("future", await future))
        try:
            await send(LAST)
        except Disconnected as exc:
            self.seen.append(("send", exc.reason))
        self.ended.set()


def everywhere(reason: str) -> list[Any]:
    return [(where, reason) for where in ("callback", "message", "future", "send")]


@pytest.mark.spec("HTTP-42", "CORE-6", "CORE-19", "CORE-24", "CORE-29", "CORE-30", "CORE-31")
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("path", ["/waiting", "/started"])
async def test_a_client_that_leaves_is_noticed_everywhere(
    path: str, reset: bool, told: Told
) -> None:
    app = Watching()
    async with serving(app, lifespan="off") as server:
        async with connect(server) as client:
            client.send_request(path)
            await app.begun.wait()
            if reset:
                client.abort()
        await app.ended.wait()

    assert app.seen == everywhere("client_closed")
    assert told.errors == []


@pytest.mark.spec("HTTP-15", "HTTP-46")
async def test_a_broken_body_is_told() -> None:
    app = Watching()
    async with serving(app, lifespan="off") as server, connect(server) as client:
        client.send_request(method="POST", headers=[("Transfer-Encoding", "chunked")])
        client.send(b"1\r\nx\r\n")
        await app.begun.wait()
        client.send(b"nonsense\r\n")
        assert (await client.response()).status == 400
        await app.ended.wait()

    assert app.seen == everywhere("protocol_error")


@pytest.mark.spec("HTTP-56")
async def test_a_body_that_stops_is_told() -> None:
    app = Watching()
    async with serving(app, lifespan="off", body_timeout=0.1) as server:
        async with connect(server) as client:
            client.send_request(method="POST", headers=[("Content-Length", "100")])
            client.send(b"x")
            assert (await client.response()).status == 408
            await app.ended.wait()

    assert app.seen == everywhere("client_timeout")


@pytest.mark.spec("HTTP-57")
async def test_a_client_that_reads_nothing_is_told() -> None:
    seen: list[Any] = []
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        try:
            while True:
                await send({**MORE, "body": bytes(1 << 20)})
        except OSError as exc:
            seen.append(getattr(exc, "reason", exc))
            ended.set()

    async with serving(app, lifespan="off", write_timeout=0.1) as server:
        async with connect(server, receive_buffer=4096, limit=1024) as client:
            client.send_request()
            await ended.wait()

    assert seen == ["write_timeout"]


@pytest.mark.spec("HTTP-55", "HTTP-58")
async def test_silent_and_slow_clients_are_closed() -> None:
    app = Watching()
    async with serving(app, lifespan="off", header_timeout=0.1, keepalive_timeout=0.1) as server:
        async with connect(server) as silent, connect(server) as slow:
            slow.send("GET / HT")
            assert await silent.rest() == b""
            assert (await slow.response()).status == 408
            assert await slow.rest() == b""


@pytest.mark.spec("HTTP-43")
async def test_a_half_close_behind_requests_that_are_answered_at_once() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(LAST)

    async with serving(app) as server, connect(server) as client:
        await client.request()
        for _ in range(3):
            client.send_request()
        client.eof()
        for _ in range(3):
            assert (await client.response()).body == b"last"
        assert await client.rest() == b""


@pytest.mark.spec("HTTP-44", "HTTP-45")
async def test_more_connections_than_allowed() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(LAST)

    async with serving(app, max_connections=2) as server:
        async with connect(server) as first, connect(server) as second:
            assert (await first.request()).status == 200
            assert (await second.request()).status == 200
            async with connect(server) as third:
                response = await third.response()
                assert response.status == 503
                assert response["retry-after"] == b"5"
                assert response.closes
                assert await third.rest() == b""
            assert (await first.request()).status == 200
            await second.close()
        async with connect(server) as client:
            assert (await client.request()).status == 200


@pytest.mark.spec("HTTP-17")
async def test_a_following_request_does_not_look_like_a_disconnect() -> None:
    go = asyncio.Event()
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        waiting = asyncio.ensure_future(receive())
        if scope["path"] == "/1":
            await go.wait()
        early = waiting.done()
        await send(START)
        await send(LAST)
        seen[scope["path"]] = early, await waiting

    async with serving(app, lifespan="off") as server, connect(server) as client:
        client.send_request("/1")
        client.send_request("/2")
        await client.drain()
        for _ in range(20):
            await asyncio.sleep(0)
        go.set()
        assert (await client.response()).body == b"last"
        assert (await client.response()).body == b"last"
    assert seen == dict.fromkeys(("/1", "/2"), (False, {"type": "http.disconnect"}))


# --- the access log --------------------------------------------------------------------------


async def mixed(scope: Any, receive: Any, send: Any) -> None:
    """Answer, fail, abort or wait, as the path says."""
    path = scope["path"]
    if path == "/fail":
        raise ValueError
    if path == "/wait":
        await receive()
        while (await receive())["type"] != "http.disconnect":
            """Wait for the client to go."""
        return
    await send({**START, "status": 201})
    await send(MORE)
    if path == "/cut":
        raise ValueError
    if path == "/abort":
        scope["pagi.connection"].abort()
        return
    await send(LAST)


async def make_lines(tmp_path: Path, form: str) -> list[str]:
    """Make requests of all kinds; return the lines of the access log."""
    log = tmp_path / "access.log"
    options = {"access_log": str(log), "access_log_format": form, "lifespan": "off"}
    async with serving(mixed, **options) as server:
        for path in ("/fine?q=1", "/fail", "/cut", "/abort"):
            async with connect(server) as client:
                client.send_request(path)
                if path == "/fine?q=1":
                    await client.response()
                else:
                    client.send_request("/late")
                    await client.rest()
        async with connect(server) as client:
            client.send_request("/head", method="HEAD")
            await client.response("HEAD")
            client.send_request("/wait")
        async with connect(server) as client:
            client.send("nonsense\r\n\r\n")
            await client.rest()
    return log.read_text().splitlines()


@pytest.mark.spec("HTTP-47", "CORE-43")
async def test_lines_of_the_common_log_format(tmp_path: Path, told: Told) -> None:
    lines = await make_lines(tmp_path, "common")

    pattern = r'127\.0\.0\.1 - - \[[^]]+\] "([^"]*)" (\S+) (\S+)'
    found = [re.match(pattern, line) for line in lines]
    assert all(found), lines
    parts = [match.groups() for match in found if match]
    assert parts[0][:2] == ("GET /fine?q=1 HTTP/1.1", "201")
    assert ("GET /fail HTTP/1.1", "500") in [part[:2] for part in parts]
    assert ("GET /cut HTTP/1.1", "201") in [part[:2] for part in parts]
    assert ("HEAD /head HTTP/1.1", "201") in [part[:2] for part in parts]
    assert sum("/late" in line for line in lines) == 0
    assert parts[-1][1] == "400"
    assert len(lines) == 7


@pytest.mark.spec("HTTP-47", "CORE-43")
async def test_lines_as_json(tmp_path: Path, told: Told) -> None:
    lines = [json.loads(line) for line in await make_lines(tmp_path, "json")]

    by_path = {line.get("path"): line for line in lines}
    text = json.dumps(by_path)
    assert "/fine" in text
    reasons = {path: line.get("reason") for path, line in by_path.items() if path}
    assert reasons.get("/cut") == "server_error", lines
    assert reasons["/abort"] == "app_abort"
    assert reasons["/wait"] == "client_closed"
    assert reasons["/fail"] is None
    assert by_path["/cut"]["status"] == 201
    assert by_path["/fail"]["status"] == 500
    assert lines[-1]["status"] == 400
    assert lines[-1]["reason"] == "protocol_error"


async def test_a_log_on_standard_error_of_many_requests(tmp_path: Path) -> None:
    log = tmp_path / "log"
    descriptor = os.open(log, os.O_CREAT | os.O_WRONLY)
    os.close(descriptor)
    async with serving(mixed, access_log=str(log), lifespan="off") as server:
        async with connect(server) as client:
            for number in range(300):
                assert (await client.request(f"/{number}")).status == 201
    lines = log.read_text().splitlines()
    assert [re.findall(r"\"GET /(\d+)", line) for line in lines] == [[str(n)] for n in range(300)]


async def test_the_server_answers_when_the_log_cannot_be_written() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    async with serving(mixed, access_log="/dev/full", lifespan="off") as server:
        assert (await get(server, "/x")).body == b"morelast"
