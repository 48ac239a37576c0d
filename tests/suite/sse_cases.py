"""Event streams, over any wire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pagi
from tests.suite.gone import with_gone
from tests.suite.wire import Case, Cut, Wire

__all__ = ["CASES"]

STREAM = [("Accept", "text/event-stream")]


async def _read_body(receive: Any) -> tuple[list[str], bytes]:
    kinds, body, more = [], b"", True
    while more:
        message = await receive()
        kinds.append(message["type"])
        body += message["body"]
        more = message["more_body"]
    return kinds, body


# spec: SSE-1, CORE-45
@pagi.native
async def tells_its_type(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "sse":
        await send({"type": "sse.start"})
        await send({"type": "sse.send", "data": "events"})
        await send({"type": "sse.close", "reason": "done"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"page"})


async def type_by_accept(wire: Wire) -> None:
    for accept, wanted in (
        ("text/event-stream", b"data: events\n\n"),
        ("text/html;q=0.5, text/event-stream", b"data: events\n\n"),
        ("text/html, text/event-stream", b"page"),
        ("text/event-stream;q=0", b"page"),
        ("*/*", b"page"),
        ("text/*", b"page"),
        ("text/event-stream;q=0.5, application/json", b"page"),
    ):
        answer = await wire.ask(headers=[("Accept", accept)])
        assert answer.body == wanted, accept
    assert (await wire.ask()).body == b"page"


# spec: SSE-1
async def tells_its_type_unmarked(scope: Any, receive: Any, send: Any) -> None:
    await tells_its_type(scope, receive, send)


async def type_of_others(wire: Wire) -> None:
    assert (await wire.ask(headers=STREAM)).body == b"page"


# spec: SSE-2
@pagi.native
async def echoes_request(scope: Any, receive: Any, send: Any) -> None:
    kinds, body = await _read_body(receive)
    await send({"type": "sse.start"})
    await send({"type": "sse.send", "data": f"{scope['method']} {set(kinds)} {body.decode()}"})
    await send({"type": "sse.close"})
    gone = await receive()
    assert gone == {"type": "sse.disconnect"}, gone


async def request_body(wire: Wire) -> None:
    answer = await wire.ask("POST", headers=STREAM, body=b"question")
    assert answer.body == b"data: POST {'sse.request'} question\n\n"
    assert answer.status == 200


# spec: SSE-3, SSE-5, SSE-6, SSE-7, SSE-9, SSE-12, CORE-46
async def says_everything(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    assert scope["extensions"]["sse"] == {}
    await send({"type": "sse.start", "headers": [(b"x-mine", b"1")]})
    await send({"type": "sse.send", "data": "one"})
    await send({"type": "sse.send", "data": "a\nb\r\nc\rd", "event": "news", "id": "7"})
    await send({"type": "sse.send", "data": "", "retry": 1500, "id": ""})
    await send({"type": "sse.send", "data": "\u2028 \x85 \x0b \x0c"})
    await send({"type": "sse.comment", "comment": "two\nlines"})
    # the return is the end


async def every_message(wire: Wire) -> None:
    answer = await wire.ask()
    assert answer.status == 200
    assert answer["content-type"] == "text/event-stream"
    assert answer["cache-control"] == "no-cache"
    assert answer["x-accel-buffering"] == "no"
    assert answer["x-mine"] == "1"
    assert answer["content-length"] is None
    assert answer.body == (
        b"data: one\n\n"
        b"event: news\ndata: a\ndata: b\ndata: c\ndata: d\nid: 7\n\n"
        b"data: \nid\nretry: 1500\n\n"
        b"data: \xe2\x80\xa8 \xc2\x85 \x0b \x0c\n\n"
        b": two\n: lines\n\n"
    )


# spec: SSE-6
async def brings_its_own_fields(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"Content-Type", b"text/event-stream; charset=utf-8"), (b"Cache-Control", b"x")]
    await send({"type": "sse.start", "status": 203, "headers": headers})
    await send({"type": "sse.close"})


async def own_fields(wire: Wire) -> None:
    answer = await wire.ask()
    assert answer.status == 203
    assert answer["content-type"] == "text/event-stream; charset=utf-8"
    assert answer["cache-control"] == "x"
    assert answer.body == b""


# spec: SSE-4
@pagi.native
async def refuses(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "sse"
    await send({"type": "http.response.start", "status": 404, "headers": []})
    for message in ({"type": "sse.start"}, {"type": "sse.send", "data": "x"}):
        with pytest.raises(pagi.MessageError):
            await send(message)
    await send({"type": "http.response.body", "body": b"no stream"})


async def refusal(wire: Wire) -> None:
    answer = await wire.ask(headers=STREAM)
    assert (answer.status, answer.body) == (404, b"no stream")


# spec: SSE-4, SSE-8, SSE-12, CORE-14
async def makes_mistakes(scope: Any, receive: Any, send: Any) -> None:
    async def refused(**message: Any) -> None:
        with pytest.raises(pagi.MessageError, match=r"\w"):
            await send(message)

    await refused(type="sse.send", data="before the start")
    await refused(type="sse.close")
    await send({"type": "sse.start"})
    await refused(type="sse.start")
    await refused(type="http.response.start", status=200)
    await refused(type="http.response.body", body=b"x")
    await refused(type="sse.send")
    for value in ("a\nb", "a\rb", "a\r\nb"):
        await refused(type="sse.send", data="x", event=value)
        await refused(type="sse.send", data="x", id=value)
    await refused(type="sse.send", data="x", id="a\0b")
    await refused(type="sse.send", data=b"x")
    await refused(type="sse.send", data="\ud800")
    for retry in (-1, 1.5, "5", True):
        await refused(type="sse.send", data="x", retry=retry)
    await refused(type="sse.comment", comment=b"x")
    for interval in (-1, "1", None, float("nan"), float("inf")):
        await refused(type="sse.keepalive", interval=interval)
    await refused(type="sse.unknown")
    await send({"type": "sse.send", "data": "all is well"})
    await send({"type": "sse.close"})
    await refused(type="sse.send", data="after the end")
    await refused(type="sse.close")


async def mistakes(wire: Wire) -> None:
    assert (await wire.ask()).body == b"data: all is well\n\n"


# spec: SSE-13
async def fails(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "sse.start"})
    await send({"type": "sse.send", "data": "one"})
    raise ValueError("in the middle")


async def failure(wire: Wire) -> None:
    with pytest.raises(Cut):
        await wire.ask()


# spec: SSE-5, SSE-11
async def waits_after_the_start(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "sse.start"})
    await receive()
    await send({"type": "sse.send", "data": "one"})
    message = await receive()
    assert message["type"] == "http.disconnect", message
    assert message["reason"] == "client_closed"
    with pytest.raises(pagi.Disconnected):
        await send({"type": "sse.send", "data": "two"})
    scope["state"]["gone"].set()


# spec: SSE-14
async def client_leaves(wire: Wire) -> None:
    async with wire.stream() as stream:
        assert await stream.read_until(b"\n\n") == b"data: one\n\n"
        stream.leave()
        assert (await wire.ask(path="/gone")).body == b"gone"


# spec: SSE-10
async def stays_silent(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "sse.start"})
    await send({"type": "sse.keepalive", "interval": 0.05, "comment": "still\nhere"})
    await receive()
    assert (await receive())["type"] == "http.disconnect"


async def keepalive(wire: Wire) -> None:
    async with wire.stream() as stream:
        for _ in range(3):
            assert await stream.read_until(b"\n\n") == b": still\n: here\n\n"


# spec: SSE-10
async def is_busy(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "sse.start"})
    await send({"type": "sse.keepalive", "interval": 10})
    for number in range(20):
        await asyncio.sleep(0.005)
        await send({"type": "sse.send", "data": str(number)})
    await send({"type": "sse.keepalive", "interval": 0})


async def no_keepalive_for_the_busy(wire: Wire) -> None:
    answer = await wire.ask()
    assert answer.body == b"".join(b"data: %d\n\n" % number for number in range(20))


# spec: SSE-15
async def idle_timeout(wire: Wire) -> None:
    answer = await wire.ask()
    assert answer.body.startswith(b": still\n: here\n\n")


# spec: SSE-16, CORE-37
async def until_told(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "sse.start"})
    await send({"type": "sse.send", "data": "hello"})
    await scope["pagi.connection"].drain_future()
    await send({"type": "sse.send", "data": "goodbye"})
    await receive()
    message = await receive()
    assert message["reason"] == "server_shutdown", message


async def says_goodbye(wire: Wire) -> None:
    async with wire.stream() as stream:
        assert await stream.read_until(b"\n\n") == b"data: hello\n\n"
        stopped = wire.begin_stop()
        assert await stream.read_until(b"\n\n") == b"data: goodbye\n\n"
        assert await stream.read() == b""
        await stopped


# spec: SSE-16
async def plain_event_stream(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"data: hello\n\n", "more_body": True})
    await receive()
    message = await receive()
    assert message == {"type": "http.disconnect", "reason": "server_shutdown"}, message


async def plain_streams_end_too(wire: Wire) -> None:
    async with wire.stream() as stream:
        assert await stream.read_until(b"\n\n") == b"data: hello\n\n"
        stopped = wire.begin_stop()
        assert await stream.read() == b""
        await stopped


# spec: SSE-5, HTTP-20
async def begins_and_waits(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "sse":
        await send({"type": "sse.start"})
    else:
        headers = [(b"Content-Type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
    await receive()
    await receive()


async def head_leaves_at_once(wire: Wire) -> None:
    async with wire.stream() as stream:
        assert stream.status == 200
        assert ("content-type", "text/event-stream; charset=utf-8") in stream.headers


QUICK = {"shutdown_grace": 0.1}

CASES = [
    Case("sse: type by Accept", tells_its_type, type_by_accept),
    Case("sse: type for applications that are not native", tells_its_type_unmarked, type_of_others),
    Case("sse: request body", echoes_request, request_body),
    Case("sse: every message", says_everything, every_message),
    Case("sse: own fields", brings_its_own_fields, own_fields),
    Case("sse: refusal", refuses, refusal),
    Case("sse: mistakes", makes_mistakes, mistakes),
    Case("sse: failure in the middle", fails, failure),
    Case("sse: client leaves", with_gone(waits_after_the_start), client_leaves),
    Case("sse: keepalive", stays_silent, keepalive),
    Case("sse: no keepalive for the busy", is_busy, no_keepalive_for_the_busy),
    Case("sse: idle timeout", stays_silent, idle_timeout, {"sse_idle_timeout": 0.3}),
    Case("sse: the head leaves at once", begins_and_waits, head_leaves_at_once),
    Case("sse: goodbye", until_told, says_goodbye, QUICK),
    Case("sse: plain event stream at a stop", plain_event_stream, plain_streams_end_too, QUICK),
]
