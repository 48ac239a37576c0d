"""Requests and responses, over any wire."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

import pagi
from tests.suite.gone import with_gone
from tests.suite.wire import Case, Cut, Wire

__all__ = ["CASES"]

HERE = Path(__file__)
START = {"type": "http.response.start", "status": 200, "headers": []}


async def reply(
    send: Any, body: bytes = b"", status: int = 200, headers: list[Any] | None = None, **more: Any
) -> None:
    """Send a whole response."""
    await send({"type": "http.response.start", "status": status, "headers": headers or [], **more})
    await send({"type": "http.response.body", "body": body})


async def body_of(receive: Any) -> bytes:
    """Receive the whole request body."""
    body, more = b"", True
    while more:
        message = await receive()
        assert message["type"] == "http.request", message
        body += message["body"]
        more = message["more_body"]
    return body


# spec: CORE-7, CORE-8, HTTP-1, HTTP-2, HTTP-3, HTTP-4, HTTP-7
async def tells_scope(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    assert scope["method"] == "PURGE"
    assert scope["path"] == "/caf\u00e9 x"
    assert scope["raw_path"] == b"/caf%C3%A9%20x"
    assert scope["query_string"] == b"q=1&q=%20"
    assert ("tls" in scope["extensions"]) is (scope["scheme"] == "https")
    assert scope["root_path"] == ""
    assert scope["client"][0] == "127.0.0.1"
    assert scope["server"][0] == "127.0.0.1"
    assert [value for name, value in scope["headers"] if name == b"x-two"] == [b"1", b"2"]
    assert len([name for name, _ in scope["headers"] if name == b"host"]) == 1
    assert [value for name, value in scope["headers"] if name == b"cookie"] == [b"a=1; b=2"]
    assert all(name == name.lower() for name, _ in scope["headers"])
    assert not [name for name, _ in scope["headers"] if name.startswith(b":")]
    assert {"sse", "http.response.trailers", "http.response.early_hint"} <= set(scope["extensions"])
    assert scope["pagi.connection"].is_connected
    await reply(send, f"{scope['scheme']} {scope['http_version']}".encode())


async def scope(wire: Wire) -> None:
    answer = await wire.ask(
        "PURGE",
        "/caf%C3%A9%20x?q=1&q=%20",
        [("X-Two", "1"), ("X-Two", "2"), ("Cookie", "a=1"), ("Cookie", "b=2")],
    )
    assert (answer.status, answer.body.decode()) == (200, f"{wire.scheme} {wire.http_version}")


# spec: HTTP-21, HTTP-24, HTTP-25
async def brings_fields(scope: Any, receive: Any, send: Any) -> None:
    fields = [
        (b"X-Mixed-Case", b" kept"),
        [b"set-cookie", b"a=1"],
        (b"set-cookie", b"b=2"),
        (b"keep-alive", b"timeout=5"),
        (b"transfer-encoding", b"chunked"),
    ]
    await reply(send, b"body", 299, fields)


async def response_fields(wire: Wire) -> None:
    answer = await wire.ask()
    assert answer.status == 299
    assert answer.body == b"body"
    assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert (answer["x-mixed-case"] or "").strip() == "kept"
    assert answer["content-length"] == "4"
    assert answer["date"] is not None
    assert answer["server"] == "pagi"
    assert answer["keep-alive"] is None


# spec: HTTP-23
async def has_a_length(scope: Any, receive: Any, send: Any) -> None:
    status = int(scope["path"][1:])
    await reply(send, b"12345", status, [(b"content-length", b"5")] if status < 300 else [])


async def no_bodies(wire: Wire) -> None:
    for method, path, length in (
        ("HEAD", "/200", "5"),
        ("GET", "/204", None),
        ("GET", "/304", None),
        ("GET", "/205", "0"),
    ):
        answer = await wire.ask(method, path)
        assert answer.status == int(path[1:])
        assert answer.body == b"", path
        assert answer["content-length"] == length, path


# spec: HTTP-10, HTTP-13
async def hashes(scope: Any, receive: Any, send: Any) -> None:
    digest, size, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        digest.update(message["body"])
        size += len(message["body"])
        more = message["more_body"]
        await asyncio.sleep(0)
    await reply(send, f"{size} {digest.hexdigest()}".encode())


async def uploads(wire: Wire) -> None:
    for size in (1, 65_536, 3_000_000):
        body = os.urandom(size)
        answer = await wire.ask("POST", body=body)
        assert answer.body.decode() == f"{size} {hashlib.sha256(body).hexdigest()}"
    assert (await wire.ask()).body.startswith(b"0 ")


# spec: HTTP-14
async def refuses_large_bodies(wire: Wire) -> None:
    answer = await wire.ask("POST", body=b"x" * 2000)
    assert answer.status == 413
    assert (await wire.ask("POST", body=b"x" * 1000)).status == 200


# spec: HTTP-44
async def refuses_large_heads(wire: Wire) -> None:
    assert (await wire.ask(headers=[(f"x-{number}", "1") for number in range(30)])).status == 431
    assert (await wire.ask(path="/" + "x" * 3000)).status == 414
    assert (await wire.ask()).status == 200


# spec: HTTP-16
async def answers_unread(scope: Any, receive: Any, send: Any) -> None:
    await reply(send, b"early")


async def early_answers(wire: Wire) -> None:
    for size in (10, 100_000):
        assert (await wire.ask("POST", body=b"x" * size)).body == b"early"


# spec: HTTP-18, HTTP-20
async def streams(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    for number in range(100):
        await send({"type": "http.response.body", "body": b"%03d " % number, "more_body": True})
        if number % 10 == 0:
            await asyncio.sleep(0)
    await send({"type": "http.response.body"})


async def streamed(wire: Wire) -> None:
    answer = await wire.ask()
    assert answer.body == b"".join(b"%03d " % number for number in range(100))
    assert answer["content-length"] is None


# spec: CORE-23, CORE-35
async def sends_much(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    digest = hashlib.sha256()
    for number in range(200):
        piece = bytes([number]) * 20_000
        digest.update(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        mark = scope["pagi.transport"].high_water_mark()
        # One piece beyond the mark, and what it is wrapped in: a chunk, frames, TLS records.
        amount = scope["pagi.transport"].buffered_amount()
        assert amount < mark + 20_000 + 200, amount
    await send({"type": "http.response.body", "body": digest.hexdigest().encode()})


async def large_downloads(wire: Wire) -> None:
    async with wire.stream() as stream:
        data = b""
        while piece := await stream.read():
            data += piece
    assert len(data) == 200 * 20_000 + 64
    assert hashlib.sha256(data[:-64]).hexdigest().encode() == data[-64:]


# spec: HTTP-11
async def has_trailers(scope: Any, receive: Any, send: Any) -> None:
    await send({**START, "trailers": True})
    await send({"type": "http.response.body", "body": b"body"})
    headers = [(b"X-Sum", b"4"), (b"x-other", b"")]
    await send({"type": "http.response.trailers", "headers": headers})


async def trailers(wire: Wire) -> None:
    answer = await wire.ask(headers=[("TE", "trailers")])
    assert answer.body == b"body"
    assert sorted(answer.trailers) == [("x-other", ""), ("x-sum", "4")]


async def hints(scope: Any, receive: Any, send: Any) -> None:
    links = [b"</style.css>; rel=preload", b"</x.js>; rel=preload"]
    await send({"type": "http.response.early_hint", "links": links})
    await reply(send, b"page")


async def early_hints(wire: Wire) -> None:
    answer = await wire.ask()
    assert answer.body == b"page"
    ((status, fields),) = answer.informational
    assert status == 103
    assert [name for name, _ in fields] == ["link", "link"]


async def sends_files(scope: Any, receive: Any, send: Any) -> None:
    size = str(HERE.stat().st_size).encode()
    await send({**START, "headers": [(b"content-length", size)]})
    if scope["path"] == "/path":
        await send({"type": "http.response.pathsend", "path": str(HERE)})
    else:
        with HERE.open("rb") as file:
            await send({"type": "http.response.zerocopysend", "file": file})


# spec: HTTP-31, HTTP-35
async def files(wire: Wire) -> None:
    for path in ("/path", "/descriptor"):
        assert (await wire.ask(path=path)).body == HERE.read_bytes()
        head = await wire.ask("HEAD", path)
        assert head.body == b""
        assert head["content-length"] == str(HERE.stat().st_size)


# spec: HTTP-39, HTTP-40, HTTP-41
async def ends_badly(scope: Any, receive: Any, send: Any) -> None:
    path = scope["path"]
    if "started" in path:
        await send(START)
    if "middle" in path:
        await send({**START, "headers": [(b"content-length", b"100")] if "known" in path else []})
        await send({"type": "http.response.body", "body": b"some", "more_body": True})
    if "short" in path:
        await send({**START, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"some", "more_body": True})
        with pytest.raises(pagi.MessageError):
            await send({"type": "http.response.body", "body": b"more"})
    if "raise" in path:
        raise ValueError("deliberate")


async def bad_ends(wire: Wire) -> None:
    for path in ("/raise", "/return", "/started/raise", "/started/return"):
        assert (await wire.ask(path=path)).status == 500, path
    for path in ("/middle/raise", "/middle/return", "/middle/known/raise", "/short"):
        with pytest.raises(Cut):
            await wire.ask(path=path)
            pytest.fail(f"{path} looks whole")
    assert (await wire.ask(path="/raise")).status == 500  # the server lives


# spec: CORE-14, CORE-15, CORE-16, HTTP-22
async def makes_mistakes(scope: Any, receive: Any, send: Any) -> None:
    for field in (
        (b"x-bad", b"a\r\nx-injected: 1"),
        (b"x-bad", b"a\0"),
        (b"x bad", b"a"),
        (b"", b"a"),
        ("x-text", "a"),
        (b"content-length", b"-1"),
    ):
        with pytest.raises(pagi.MessageError):
            await reply(send, b"", 200, [field])
    for message in (
        {"type": "http.response.body", "body": b"before the start"},
        {"type": "http.response.start", "status": 99},
        {"type": "http.response.trailers", "headers": []},
        {"type": "nonsense"},
    ):
        with pytest.raises(pagi.MessageError):
            await send(message)
    await send({**START, "headers": [(b"content-length", b"4")]})
    with pytest.raises(pagi.MessageError):
        await send({"type": "http.response.body", "body": b"too long"})
    await reply(send, b"good", 200, [(b"content-length", b"4")])


async def mistakes(wire: Wire) -> None:
    answer = await wire.ask()
    assert answer.body == b"good"
    assert answer["x-injected"] is None


# spec: HTTP-36, HTTP-37, CORE-20
async def goes_on(scope: Any, receive: Any, send: Any) -> None:
    await body_of(receive)
    await reply(send, b"done")
    connection = scope["pagi.connection"]
    assert await receive() == {"type": "http.disconnect"}
    assert await receive() == {"type": "http.disconnect"}
    assert connection.response_started
    assert connection.disconnect_reason is None


async def clean_ends(wire: Wire) -> None:
    assert (await wire.ask()).body == b"done"


# spec: CORE-19, CORE-24, CORE-29, CORE-30, HTTP-42
async def waits_for_the_end(scope: Any, receive: Any, send: Any) -> None:
    connection = scope["pagi.connection"]
    seen = []
    connection.on_disconnect(lambda reason, detail: seen.append(reason))
    await send(START)
    await send({"type": "http.response.body", "body": b"some", "more_body": True})
    await body_of(receive)
    assert await receive() == {"type": "http.disconnect", "reason": "client_closed"}
    assert seen == ["client_closed"]
    assert not connection.is_connected
    with pytest.raises(pagi.Disconnected) as caught:
        await send({"type": "http.response.body", "body": b"late", "more_body": True})
    assert caught.value.reason == "client_closed"
    scope["state"]["gone"].set()


async def departures(wire: Wire) -> None:
    async with wire.stream() as stream:
        assert await stream.read() == b"some"
        stream.leave()
        assert (await wire.ask(path="/gone")).body == b"gone"


# spec: CORE-33
async def aborts(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"some", "more_body": True})
    scope["pagi.connection"].abort("enough")
    assert scope["pagi.connection"].disconnect_reason == "app_abort"


async def abort(wire: Wire) -> None:
    with pytest.raises(Cut):
        await wire.ask()


# spec: CORE-41
async def answers_late(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"first ", "more_body": True})
    await scope["pagi.connection"].drain_future()
    await send({"type": "http.response.body", "body": b"last"})


async def stop_in_mid_response(wire: Wire) -> None:
    async with wire.stream() as stream:
        assert await stream.read() == b"first "
        stopped = wire.begin_stop()
        assert await stream.read() == b"last"
        assert await stream.read() == b""
        await stopped


async def flushes(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    for _ in range(20):
        await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
        await send({"type": "http.fullflush"})
        assert scope["pagi.transport"].buffered_amount() == 0
    await send({"type": "http.response.body"})


async def full_flush(wire: Wire) -> None:
    async with wire.stream() as stream:
        size = 0
        while piece := await stream.read():
            size += len(piece)
    assert size == 200_000


LIMITED: dict[str, Any] = {"max_header_count": 25, "max_target_size": 2000}

CASES = [
    Case("http: scope", tells_scope, scope),
    Case("http: response fields", brings_fields, response_fields),
    Case("http: responses without a body", has_a_length, no_bodies),
    Case("http: uploads", hashes, uploads),
    Case("http: bodies beyond the limit", hashes, refuses_large_bodies, {"max_body_size": 1500}),
    Case("http: heads beyond the limits", answers_unread, refuses_large_heads, LIMITED),
    Case("http: early answers", answers_unread, early_answers),
    Case("http: streamed", streams, streamed),
    Case("http: large downloads", sends_much, large_downloads),
    Case("http: trailers", has_trailers, trailers),
    Case("http: early hints", hints, early_hints),
    Case("http: files", sends_files, files),
    Case("http: bad ends", ends_badly, bad_ends),
    Case("http: mistakes", makes_mistakes, mistakes),
    Case("http: clean ends", goes_on, clean_ends),
    Case("http: client leaves", with_gone(waits_for_the_end), departures),
    Case("http: abort", aborts, abort),
    Case("http: stop in mid-response", answers_late, stop_in_mid_response),
    Case("http: full flush", flushes, full_flush),
]
