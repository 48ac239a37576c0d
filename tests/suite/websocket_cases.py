"""WebSockets, over any wire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pagi
from tests.suite.wire import Answer, Case, Closed, Fields, Refused, Wire

__all__ = ["CASES"]

ACCEPT = {"type": "websocket.accept"}


def masked(first: int, payload: bytes) -> bytes:
    """Return a frame with a masking key of zeros."""
    size = len(payload)
    if size < 126:
        return bytes((first, 0x80 | size)) + bytes(4) + payload
    if size < 65_536:
        return bytes((first, 0xFE)) + size.to_bytes(2, "big") + bytes(4) + payload
    return bytes((first, 0xFF)) + size.to_bytes(8, "big") + bytes(4) + payload


async def refusal(wire: Wire, path: str = "/", headers: Fields = ()) -> Answer:
    """Return the answer to a WebSocket that is not accepted."""
    with pytest.raises(Refused) as caught:
        async with wire.websocket(path, headers=headers):
            pass
    return caught.value.answer


async def opened(receive: Any, send: Any, **accept: Any) -> None:
    """Take the connect and accept."""
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept", **accept})


# spec: WS-5, WS-11, WS-12, WS-22
async def echo(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await opened(receive, send)
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        assert len(message) == 2, message
        await send({**message, "type": "websocket.send"})


async def echoes(wire: Wire) -> None:
    async with wire.websocket() as socket:
        for sent in ("", "text", "\u20ac \U0001f600", b"", b"\0\xff", "x" * 125, b"x" * 126):
            await socket.send(sent)
            assert await socket.receive() == sent
        for size in (65_535, 65_536, 300_000):
            await socket.send(b"y" * size)
            assert await socket.receive() == b"y" * size
        assert await socket.close(1000, "bye") == Closed(1000)


# spec: WS-11
async def many_at_once(wire: Wire) -> None:
    async with wire.websocket() as socket:
        await socket.send_frames(*(masked(0x81, b"%d" % number) for number in range(500)))
        for number in range(500):
            assert await socket.receive() == str(number)


# spec: WS-11
async def fragments(wire: Wire) -> None:
    async with wire.websocket() as socket:
        euro = "\u20ac".encode()
        await socket.send_frames(
            masked(0x01, b"a" + euro[:1]),
            masked(0x89, b"in between"),
            masked(0x00, euro[1:2]),
            masked(0x00, b""),
            masked(0x80, euro[2:] + b"b"),
        )
        assert await socket.receive() == "a\u20acb"


# spec: WS-11, WS-13
async def deflated(wire: Wire) -> None:
    async with wire.websocket(deflate=True) as socket:
        assert socket.deflates
        for sent in ("hello " * 1000, b"z" * 70_000, "", "short", "hello " * 1000):
            await socket.send(sent)
            assert await socket.receive() == sent


async def not_deflated(wire: Wire) -> None:
    async with wire.websocket(deflate=True) as socket:
        assert not socket.deflates
        await socket.send("hello " * 1000)
        assert await socket.receive() == "hello " * 1000


# spec: WS-1, WS-2, WS-6
async def tells_scope(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "websocket"
    assert ("tls" in scope["extensions"]) is (scope["scheme"] == "wss")
    assert "method" not in scope
    assert scope["path"] == "/a b"
    assert scope["raw_path"] == b"/a%20b"
    assert scope["query_string"] == b"q=1"
    assert scope["subprotocols"] == ["one", "two"]
    assert (b"x-mine", b"1") in scope["headers"]
    assert "websocket.http.response" in scope["extensions"]
    assert not [name for name in scope["extensions"] if name.startswith("http.")]
    assert scope["pagi.connection"].is_connected
    assert not scope["pagi.connection"].response_started
    await opened(receive, send, subprotocol="two", headers=[(b"x-yours", b"2")])
    assert scope["pagi.connection"].response_started
    assert scope["pagi.transport"].high_water_mark() > 0
    text = f"{scope['scheme']} {scope['http_version']}"
    await send({"type": "websocket.send", "text": text})
    await send({"type": "websocket.close"})


async def scope_and_accept(wire: Wire) -> None:
    async with wire.websocket(
        "/a%20b?q=1", subprotocols=["one", "two"], headers=[("X-Mine", "1")]
    ) as socket:
        assert socket.subprotocol == "two"
        assert ("x-yours", "2") in socket.headers
        scheme = {"http": "ws", "https": "wss"}[wire.scheme]
        assert await socket.receive() == f"{scheme} {wire.http_version}"
        assert await socket.receive() == Closed(1000)


# spec: WS-3
async def bad_handshakes(wire: Wire) -> None:
    for headers, status in (
        ([("Sec-WebSocket-Version", "8")], 426),
        ([("Sec-WebSocket-Protocol", "a b")], 400),
    ):
        answer = await refusal(wire, headers=headers)
        assert answer.status == status
        if status == 426:
            assert answer["sec-websocket-version"] == "13"


# spec: WS-4
async def origins(wire: Wire) -> None:
    for origin in ("https://example.org", "HTTPS://EXAMPLE.ORG", None):
        headers = [("Origin", origin)] if origin else []
        async with wire.websocket(headers=headers) as socket:
            await socket.send("x")
            assert await socket.receive() == "x"
    for origin in ("https://evil.example", "http://example.org", "null"):
        answer = await refusal(wire, headers=[("Origin", origin)])
        assert answer.status == 403


# spec: WS-7, WS-9
async def closes_at_once(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 4000})
    assert await receive() == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    assert scope["pagi.connection"].response_complete
    assert scope["pagi.connection"].close_code is None


async def is_forbidden(wire: Wire) -> None:
    answer = await refusal(wire)
    assert answer.status == 403


# spec: WS-8, WS-9
async def denies(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(
        {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"you")]}
    )
    for message in (ACCEPT, {"type": "websocket.close"}, {"type": "websocket.send", "text": "x"}):
        with pytest.raises(pagi.MessageError):
            await send(message)
    await send({"type": "websocket.http.response.body", "body": b"log ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"in"})
    assert (await receive())["code"] == 1006


async def is_denied(wire: Wire) -> None:
    answer = await refusal(wire)
    assert answer.status == 401
    assert answer.body == b"log in"
    assert answer["x-why"] == "you"


# spec: WS-10
async def raises_at_once(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/raise":
        raise ValueError("before the accept")


async def is_answered_for(wire: Wire) -> None:
    for path in ("/raise", "/return"):
        answer = await refusal(wire, path)
        assert answer.status == 500


# spec: WS-6, WS-12, WS-21, CORE-14
async def makes_mistakes(scope: Any, receive: Any, send: Any) -> None:
    async def refused(**message: Any) -> None:
        with pytest.raises(pagi.MessageError, match=r"\w"):
            await send(message)

    await receive()
    await refused(type="websocket.send", text="before the accept")
    await refused(type="websocket.keepalive", interval=1)
    await refused(type="sse.start")
    await refused(type="websocket.accept", subprotocol="three")
    for name in (b"Sec-WebSocket-Accept", b"sec-websocket-protocol", b"Upgrade", b"content-length"):
        await refused(type="websocket.accept", headers=[(name, b"x")])
    await refused(type="websocket.accept", headers=[(b"x-evil", b"a\r\nb")])
    await refused(type="websocket.accept", headers=[("x", "y")])
    await send(ACCEPT)
    await refused(type="websocket.accept")
    await refused(type="websocket.send")
    await refused(type="websocket.send", text="x", bytes=b"x")
    await refused(type="websocket.send", text=b"x")
    await refused(type="websocket.send", bytes="x")
    await refused(type="websocket.send", text="\ud800")
    await refused(type="websocket.unknown")
    await refused(type="http.response.start", status=200)
    await refused(type="websocket.http.response.start", status=200)
    for code in (0, 999, 1004, 1006, 1015, 2999, 5000, "x"):
        await refused(type="websocket.close", code=code)
    await refused(type="websocket.close", reason="x" * 124)
    for interval in (-1, "x", None, float("inf")):
        await refused(type="websocket.keepalive", interval=interval)
    await refused(type="websocket.keepalive", interval=1, timeout=-1)
    await send({"type": "websocket.send", "text": "all is well", "bytes": None})
    await send({"type": "websocket.close", "code": 3000, "reason": "x" * 123})
    await refused(type="websocket.send", text="after the close")
    await refused(type="websocket.close")
    message = await receive()
    assert (message["code"], message["reason"]) == (3000, "x" * 123), message


async def mistakes(wire: Wire) -> None:
    async with wire.websocket(subprotocols=["one"]) as socket:
        assert socket.subprotocol is None
        assert await socket.receive() == "all is well"
        assert await socket.receive() == Closed(3000, "x" * 123)


# spec: WS-22, WS-24, WS-25, WS-26, CORE-20
async def reads_the_end(scope: Any, receive: Any, send: Any) -> None:
    connection = scope["pagi.connection"]
    await opened(receive, send)
    await send({"type": "websocket.send", "text": "ready"})
    ended = await connection.end_future()
    assert ended is None, ended
    assert connection.response_complete
    assert (connection.close_code, connection.close_reason) == (4321, "so long")
    assert await receive() == {"type": "websocket.receive", "text": "last words"}
    for _ in range(3):
        message = await receive()
        assert message == {"type": "websocket.disconnect", "code": 4321, "reason": "so long"}
    with pytest.raises(pagi.Disconnected):
        await send({"type": "websocket.send", "text": "too late"})


async def the_client_closes(wire: Wire) -> None:
    async with wire.websocket() as socket:
        assert await socket.receive() == "ready"
        await socket.send("last words")
        assert await socket.close(4321, "so long") == Closed(4321)


# spec: WS-22
async def expects_1005(scope: Any, receive: Any, send: Any) -> None:
    await opened(receive, send)
    message = await receive()
    assert message == {"type": "websocket.disconnect", "code": 1005, "reason": ""}, message


async def close_without_a_code(wire: Wire) -> None:
    async with wire.websocket() as socket:
        await socket.send_frames(masked(0x88, b""))
        assert await socket.receive() == Closed(1005)


def expects_end(reason: str, code: int) -> Any:
    """Make an application that reads to the end and checks it; ``/done`` waits for that."""
    done = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await done.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"done"})
            return
        assert scope["type"] == "websocket"
        connection = scope["pagi.connection"]
        await opened(receive, send)
        if scope["path"] == "/keepalive":
            await send({"type": "websocket.keepalive", "interval": 0.05, "timeout": 0.1})
        while (message := await receive())["type"] != "websocket.disconnect":
            continue
        assert message["code"] == code, message
        assert message["reason"] == reason, message
        assert connection.disconnect_reason == reason
        done.set()

    return app


# spec: WS-23
async def the_client_vanishes(wire: Wire) -> None:
    async with wire.websocket() as socket:
        socket.leave()
        assert (await wire.ask(path="/done")).body == b"done"


# spec: WS-14
async def breaks_the_protocol(wire: Wire) -> None:
    for frames in (
        b"\x81\x01x",  # not masked
        masked(0x83, b""),  # a reserved opcode
        masked(0xC1, b"x"),  # compression that was not agreed on
        masked(0xA1, b"x"),  # a reserved bit
        masked(0x09, b""),  # a fragmented ping
        masked(0x89, b"x" * 126),  # a long ping
        masked(0x80, b"x"),  # a continuation of nothing
        masked(0x01, b"x") + masked(0x81, b"x"),  # a message within a message
        masked(0x88, b"x"),  # half a code
        masked(0x88, (1005).to_bytes(2, "big")),
        b"\x82\xfe\x00\x7d" + bytes(4) + bytes(125),  # a length that is not minimal
        b"\x82\xff" + (65_535).to_bytes(8, "big") + bytes(4),
        b"\x82\xff" + (1 << 63).to_bytes(8, "big") + bytes(4),
    ):
        async with wire.websocket() as socket:
            await socket.send_frames(frames)
            closed = await socket.receive()
            assert isinstance(closed, Closed), frames
            assert closed.code == 1002, (frames, closed)
    assert (await wire.ask(path="/done")).body == b"done"


# spec: WS-14
async def sends_bad_text(wire: Wire) -> None:
    for frames in (
        masked(0x81, b"\xff"),
        masked(0x81, b"\xed\xa0\x80"),
        masked(0x01, b"\xf4\x90"),  # the message is not whole, and need not be
        masked(0x01, b"\xe2") + masked(0x00, b"x"),
        masked(0x81, b"\xe2\x82"),
        b"\x81\x85" + bytes(4) + b"a\xff",  # nor need the frame
    ):
        async with wire.websocket() as socket:
            await socket.send_frames(frames)
            closed = await socket.receive()
            assert isinstance(closed, Closed), frames
            assert closed.code == 1007, (frames, closed)
    assert (await wire.ask(path="/done")).body == b"done"


# spec: WS-13
async def sends_too_much(wire: Wire) -> None:
    for frames in (
        b"\x82\xff" + (1 << 40).to_bytes(8, "big") + bytes(4),
        masked(0x82, b"x" * 1001),
        masked(0x02, b"x" * 600) + b"\x80\xfe" + (600).to_bytes(2, "big") + bytes(4),
        masked(0x02, b"x") + masked(0x00, b"x") * 10_000,
    ):
        async with wire.websocket() as socket:
            await socket.send_frames(frames)
            closed = await socket.receive()
            assert isinstance(closed, Closed), frames[:20]
            assert closed.code == 1009, (frames[:20], closed)
    assert (await wire.ask(path="/done")).body == b"done"


# spec: WS-13
async def sends_a_bomb(wire: Wire) -> None:
    async with wire.websocket(deflate=True) as socket:
        await socket.send(b"\0" * 1_000_000)
        closed = await socket.receive()
        assert isinstance(closed, Closed)
        assert closed.code == 1009
    assert (await wire.ask(path="/done")).body == b"done"


# spec: WS-17
async def pings(wire: Wire) -> None:
    async with wire.websocket() as socket:
        assert await socket.ping(b"payload") == b"payload"
        assert await socket.ping(b"") == b""
        await socket.send("and on")
        assert await socket.receive() == "and on"


# spec: WS-17
async def floods(wire: Wire) -> None:
    async with wire.websocket() as socket:
        await socket.send_frames(masked(0x8A, b"") * 1200)
        closed = await socket.receive()
        assert isinstance(closed, Closed)
        assert closed.code == 1008
    assert (await wire.ask(path="/done")).body == b"done"


# spec: WS-18, WS-19
async def measures(scope: Any, receive: Any, send: Any) -> None:
    connection = scope["pagi.connection"]
    await opened(receive, send)
    assert connection.round_trip is None
    await send({"type": "websocket.keepalive", "interval": 0.02})
    while connection.round_trip is None:
        await asyncio.sleep(0.01)
    assert 0 < connection.round_trip < 5
    await send({"type": "websocket.keepalive", "interval": 0})
    await send({"type": "websocket.close"})


async def is_measured(wire: Wire) -> None:
    async with wire.websocket() as socket:
        assert await socket.receive() == Closed(1000)


# spec: WS-18
async def answers_no_ping(wire: Wire) -> None:
    async with wire.websocket("/keepalive") as socket:
        socket.ignore_pings()
        closed = await socket.receive()
        assert isinstance(closed, Closed)
        assert closed.code == 1011
    assert (await wire.ask(path="/done")).body == b"done"


# spec: WS-20
async def is_idle(wire: Wire) -> None:
    async with wire.websocket() as socket:
        closed = await socket.receive()
        assert isinstance(closed, Closed)
        assert closed.code == 1001
    assert (await wire.ask(path="/done")).body == b"done"


# spec: WS-15
async def reads_late(scope: Any, receive: Any, send: Any) -> None:
    await opened(receive, send)
    first = await receive()
    assert first["text"] == "0"
    await send({"type": "websocket.send", "text": "go"})
    count = 1
    while count < 1000:
        message = await receive()
        assert message["text"] == str(count) + "x" * 1000, count
        count += 1
    await send({"type": "websocket.send", "text": "all"})
    await send({"type": "websocket.close"})


async def waits_for_a_slow_application(wire: Wire) -> None:
    async with wire.websocket() as socket:
        await socket.send("0")
        assert await socket.receive() == "go"
        for number in range(1, 1000):
            await socket.send(str(number) + "x" * 1000)
        assert await socket.receive() == "all"
        assert await socket.receive() == Closed(1000)


# spec: WS-15
def never_reads(code: int) -> Any:
    """Make an application that waits for the end without receiving."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        connection = scope["pagi.connection"]
        await opened(receive, send)
        assert await connection.end_future() == "queue_overflow"
        count = 0
        while (message := await receive())["type"] == "websocket.receive":
            count += 1
        assert 4 <= count < 100
        assert message == {
            "type": "websocket.disconnect",
            "code": code,
            "reason": "queue_overflow",
        }, message

    return app


def overflows(code: int) -> Any:
    """Make the client's side."""

    async def run(wire: Wire) -> None:
        async with wire.websocket() as socket:
            for _ in range(10):
                await socket.send("x")
            closed = await socket.receive()
            assert isinstance(closed, Closed)
            assert closed.code == code

    return run


# spec: WS-16
async def floods_the_client(scope: Any, receive: Any, send: Any) -> None:
    transport = scope["pagi.transport"]
    await opened(receive, send)
    most = 0
    for _ in range(400):
        await send({"type": "websocket.send", "bytes": b"x" * 65_536})
        most = max(most, transport.buffered_amount())
    assert most < transport.high_water_mark() + 2 * 65_536, most
    await send({"type": "websocket.close"})


async def reads_slowly(wire: Wire) -> None:
    async with wire.websocket() as socket:
        await asyncio.sleep(0.05)
        size = 0
        while not isinstance(message := await socket.receive(), Closed):
            size += len(message)
        assert size == 400 * 65_536
        assert message == Closed(1000)


# spec: WS-27
async def leaves_it_open(scope: Any, receive: Any, send: Any) -> None:
    await opened(receive, send)
    if scope["path"] == "/raise":
        raise ValueError("after the accept")


async def is_closed_for(wire: Wire) -> None:
    for path in ("/raise", "/return"):
        async with wire.websocket(path) as socket:
            assert await socket.receive() == Closed(1011)


# spec: WS-28
async def until_the_stop(scope: Any, receive: Any, send: Any) -> None:
    await opened(receive, send)
    await send({"type": "websocket.send", "text": "hello"})
    await scope["pagi.connection"].drain_future()
    await send({"type": "websocket.send", "text": "goodbye"})
    message = await receive()
    assert message["code"] == 1012, message
    assert message["reason"] == "server_shutdown", message


async def is_told_of_the_stop(wire: Wire) -> None:
    async with wire.websocket() as socket:
        assert await socket.receive() == "hello"
        stopped = wire.begin_stop()
        assert await socket.receive() == "goodbye"
        closed = await socket.receive()
        assert isinstance(closed, Closed)
        assert closed.code == 1012
        await stopped


# spec: WS-21
async def closes_and_waits(scope: Any, receive: Any, send: Any) -> None:
    await opened(receive, send)
    await send({"type": "websocket.close", "code": 1001})
    message = await receive()
    assert message["type"] == "websocket.disconnect", message
    assert scope["pagi.connection"].disconnect_reason == "client_timeout"


async def never_answers_the_close(wire: Wire) -> None:
    async with wire.websocket() as socket:
        await socket.send_frames(masked(0x01, b"a message without an end"))
        socket.ignore_pings()
        # the library answers by itself, so read around it
        data = await socket._reader.read(100)  # type: ignore[attr-defined]
        assert data == b"\x88\x02\x03\xe9"
        assert await socket._reader.read(100) == b""  # type: ignore[attr-defined]


# spec: CORE-33
async def aborts(scope: Any, receive: Any, send: Any) -> None:
    await opened(receive, send)
    await send({"type": "websocket.send", "text": "x"})
    await send({"type": "http.fullflush"})
    scope["pagi.connection"].abort("enough")
    message = await receive()
    assert message == {"type": "websocket.disconnect", "code": 1006, "reason": "app_abort"}
    await send({"type": "websocket.send", "text": "nobody hears it"})


async def is_aborted(wire: Wire) -> None:
    async with wire.websocket() as socket:
        while not isinstance(message := await socket.receive(), Closed):
            assert message == "x"
        assert message == Closed(1006)


SMALL = {"ws_max_message_size": 1000}

CASES = [
    Case("websocket: echo", echo, echoes),
    Case("websocket: many at once", echo, many_at_once),
    Case("websocket: fragments", echo, fragments),
    Case("websocket: deflate", echo, deflated),
    Case("websocket: no deflate", echo, not_deflated, {"ws_deflate": False}),
    Case("websocket: scope and accept", tells_scope, scope_and_accept),
    Case("websocket: bad handshakes", echo, bad_handshakes),
    Case("websocket: origins", echo, origins, {"ws_origins": ["https://example.org"]}),
    Case("websocket: close before the accept", closes_at_once, is_forbidden),
    Case("websocket: denial", denies, is_denied),
    Case("websocket: no answer", raises_at_once, is_answered_for),
    Case("websocket: mistakes", makes_mistakes, mistakes),
    Case("websocket: the client closes", reads_the_end, the_client_closes),
    Case("websocket: close without a code", expects_1005, close_without_a_code),
    Case("websocket: the client vanishes", expects_end("client_closed", 1006), the_client_vanishes),
    Case("websocket: violations", expects_end("protocol_error", 1002), breaks_the_protocol),
    Case("websocket: bad text", expects_end("protocol_error", 1007), sends_bad_text),
    Case("websocket: too long", expects_end("body_too_large", 1009), sends_too_much, SMALL),
    Case("websocket: bomb", expects_end("body_too_large", 1009), sends_a_bomb, SMALL),
    Case("websocket: pings", echo, pings),
    Case("websocket: flood of pongs", expects_end("protocol_error", 1008), floods),
    Case("websocket: round trip", measures, is_measured),
    Case("websocket: keepalive", expects_end("keepalive_timeout", 1011), answers_no_ping),
    Case(
        "websocket: server's keepalive",
        expects_end("keepalive_timeout", 1011),
        answers_no_ping,
        {"ws_ping_interval": 0.05, "ws_ping_timeout": 0.1},
    ),
    Case("websocket: idle", expects_end("idle_timeout", 1001), is_idle, {"ws_idle_timeout": 0.1}),
    Case(
        "websocket: slow application", reads_late, waits_for_a_slow_application, {"ws_max_queue": 4}
    ),
    Case(
        "websocket: overflow 1008",
        never_reads(1008),
        overflows(1008),
        {"ws_max_queue": 4, "ws_overflow": "1008"},
    ),
    Case(
        "websocket: overflow 1013",
        never_reads(1013),
        overflows(1013),
        {"ws_max_queue": 4, "ws_overflow": "1013"},
    ),
    Case("websocket: slow client", floods_the_client, reads_slowly),
    Case("websocket: left open", leaves_it_open, is_closed_for),
    Case("websocket: stop", until_the_stop, is_told_of_the_stop, {"shutdown_grace": 0.1}),
    Case(
        "websocket: close timeout",
        closes_and_waits,
        never_answers_the_close,
        {"ws_close_timeout": 0.1},
    ),
    Case("websocket: abort", aborts, is_aborted),
]
