"""`Admin`: paths, methods, names, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pagi.server.config import load
from pagi.server.worker.admin import Admin
from pagi.server.worker.scoreboard import DRAINING
from tests.unit.worker.boards import Board

PATHS = ["/", "/status", "/metrics", "/readyz", "/healthz"]


class Answer:
    """What the application sent."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        start, body = messages
        assert start["type"].removesuffix(".start") == body["type"].removesuffix(".body")
        self.kind = start["type"]
        self.status = start["status"]
        self.headers = dict(start["headers"])
        self.text = body["body"].decode()


def admin(board: Board | None = None, **options: Any) -> Admin:
    config = load({"config_file": None, "admin": "127.0.0.1:9100", **options}, environ={})
    return Admin((board or Board()).scoreboard, config)


async def ask(
    app: Admin, path: str, method: str = "GET", query: bytes = b"", host: bytes = b"127.0.0.1:1"
) -> Answer:
    messages: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(b"host", host)],
        "server": ("127.0.0.1", 9100),
    }
    await app(scope, None, send)
    return Answer(messages)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", PATHS)
async def test_what_there_is(path: str, method: str) -> None:
    answer = await ask(admin(), path, method)
    assert answer.status == 200
    assert answer.headers[b"cache-control"] == b"no-store"
    assert answer.headers[b"x-content-type-options"] == b"nosniff"
    assert int(answer.headers[b"content-length"]) == len(answer.text.encode())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_only_get_and_head(path: str, method: str) -> None:
    answer = await ask(admin(), path, method)
    assert (answer.status, answer.headers[b"allow"]) == (405, b"GET, HEAD")


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/status/x", ""])
async def test_elsewhere_it_says_what_there_is(path: str) -> None:
    answer = await ask(admin(), path, "POST")
    assert answer.status == 404
    for known in PATHS:
        assert f"\n{known} " in answer.text


async def test_content_types() -> None:
    kinds = {path: (await ask(admin(), path)).headers[b"content-type"] for path in PATHS}
    assert kinds["/metrics"] == b"text/plain; version=0.0.4; charset=utf-8"
    assert kinds["/status"] == b"application/json"
    assert kinds["/"] == b"text/html; charset=utf-8"
    assert kinds["/healthz"] == kinds["/readyz"] == b"text/plain; charset=utf-8"


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
async def test_strange_names_get_nothing(path: str) -> None:
    answer = await ask(admin(), path, host=b"attacker.example")
    assert answer.status == 403
    assert "localhost" in answer.text
    assert (await ask(admin(), path, host=b"localhost")).status != 403


async def test_verdicts_are_statuses_with_reasons() -> None:
    board = Board(1)
    app = admin(board)
    assert (await ask(app, "/healthz")).text == "ok\n"
    assert (await ask(app, "/readyz")).text == "ready\n"
    board.site.state = DRAINING
    answer = await ask(app, "/readyz")
    assert (answer.status, answer.text) == (503, "the server is stopping\n")
    assert (await ask(app, "/healthz")).status == 200
    board.slots[0].beat = board.now - 1000
    answer = await ask(app, "/healthz")
    assert answer.status == 503
    assert answer.text.startswith("no worker has turned its loop for 1000 s")


async def test_the_heartbeat_timeout_may_be_off() -> None:
    board = Board(1)
    board.slots[0].beat = board.now - 1000
    app = admin(board, heartbeat_timeout=None)
    assert (await ask(app, "/healthz")).status == 200
    assert (await ask(app, "/readyz")).status == 200


async def test_history_is_asked_for_by_its_length() -> None:
    app = admin()
    app.tick()
    assert "history" not in json.loads((await ask(app, "/status")).text)
    told = json.loads((await ask(app, "/status", query=b"history=300")).text)
    assert told["history"] == []
    for query in (b"history=-1", b"history=x", b"history=1e3", b"history=99999", b"history=%C2%B2"):
        assert (await ask(app, "/status", query=query)).status == 400


async def test_what_runs_here_is_told() -> None:
    server = json.loads((await ask(admin(loop="asyncio"), "/status")).text)["server"]
    assert server["loop"] == "asyncio"
    assert set(server) == {"version", "python", "implementation", "loop", "compiled"}


@pytest.mark.parametrize("extensions", [{"websocket.http.response": {}}, {}])
async def test_websockets_are_refused(extensions: dict[str, Any]) -> None:
    messages: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await admin()({"type": "websocket", "extensions": extensions}, None, send)
    if extensions:
        answer = Answer(messages)
        assert (answer.kind, answer.status) == ("websocket.http.response.start", 404)
    else:
        assert messages == [{"type": "websocket.close"}]


async def test_other_scopes_raise() -> None:
    with pytest.raises(ValueError, match="lifespan"):
        await admin()({"type": "lifespan"}, None, None)
