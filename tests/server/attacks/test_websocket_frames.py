"""Attacks by WebSocket on the protocol (rows 35, 37 and 38): handshakes, frames, origins."""

from __future__ import annotations

import asyncio
import random
from time import monotonic
from typing import Any

import pytest

from tests.server.attacks.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    HANDSHAKE,
    PING,
    PONG,
    RSV1,
    TEXT,
    Socket,
    deflated,
    frame,
    handshake,
)
from tests.server.attacks.site import attacked
from tests.server.attacks.talkers import (
    SMUGGLED,
    Talker,
    bystander,
    fails,
    shown,
    talking,
)
from tests.server.attacks.wire import eventually

MIB = 1 << 20
GIB = 1 << 30


# --- row 35: what the parsers make of the handshake ------------------------------------------

CONTROLS = [b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x00", b"\r", b"\x7f", b"\x1b"]


@pytest.mark.spec("WS-3", "HTTP-55")
@pytest.mark.parametrize("control", CONTROLS, ids=repr)
@pytest.mark.parametrize(
    "name", [b"X-Forwarded-For", b"Origin", b"Sec-WebSocket-Protocol", b"Cookie", b"Host"]
)
async def test_row_35_line_ends_of_other_parsers(control: bytes, name: bytes) -> None:
    """What ``str.splitlines`` takes for the end of a line is refused."""
    async with attacked() as site:
        answer = await site.refused(handshake(b"/", (name, b"a%bX-Admin: yes" % control)))
        assert answer.status == 400
        assert site.app.seen == []


@pytest.mark.spec("WS-1")
@pytest.mark.parametrize("mark", [b"\x85", b"\xe2\x80\xa8", b"\xc2\x85", b"\t"], ids=repr)
async def test_row_35_bytes_that_are_no_line_end_stay_in_their_field(mark: bytes) -> None:
    """``NEL`` and the separators of Unicode are allowed in a value, and nothing else there."""
    value = b"a%bX-Admin: yes" % mark
    async with attacked(Talker()) as site:
        async with await Socket.open(site.port, b"/", (b"X-Note", value)) as socket:
            await socket.echoes()
        (scope,) = site.app.scopes
        assert [found for name, found in scope["headers"] if name == b"x-note"] == [value]
        assert b"x-admin" not in dict(scope["headers"])


@pytest.mark.spec("WS-3")
@pytest.mark.parametrize(
    ("field", "status"),
    [
        ((b"Sec-WebSocket-Version", b"8"), 426),
        ((b"Sec-WebSocket-Version", b"13, 8"), 426),
        ((b"Sec-WebSocket-Version", b"013"), 426),
        ((b"Sec-WebSocket-Version", b"1\xb3"), 426),
        ((b"Sec-WebSocket-Key", b""), 400),
        ((b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ"), 400),
        ((b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ=="), 400),
        ((b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25\xc3\xa9ZQ=="), 400),
        ((b"Sec-WebSocket-Protocol", b"\x80"), 400),
        ((b"Sec-WebSocket-Protocol", b"a b"), 400),
        ((b"Sec-WebSocket-Protocol", b"a, a"), 400),
        ((b"Sec-WebSocket-Extensions", b'permessage-deflate; a="\x80"'), 400),
        ((b"Sec-WebSocket-Extensions", b"permessage-deflate; ;"), 400),
        ((b"Sec-WebSocket-Extensions", b";" * 10_000), 400),
        ((b"Content-Length", b"5"), 400),
    ],
    ids=shown,
)
async def test_row_35_faulty_handshakes(field: tuple[bytes, bytes], status: int) -> None:
    """The application does not hear of them, and what follows is not served."""
    async with attacked(Talker()) as site:
        async with await site.open() as wire:
            await wire.send(handshake(b"/", field) + b"hello" + SMUGGLED)
            answer = await wire.refusal()
        assert answer.status == status
        assert site.app.seen == []
    assert f"{status} protocol_error" in site.log


@pytest.mark.spec("WS-3")
@pytest.mark.parametrize("name", [b"Sec-WebSocket-Key", b"Sec-WebSocket-Version", b"Origin"])
async def test_row_35_fields_that_are_given_twice(name: bytes) -> None:
    async with attacked(Talker()) as site:
        head = handshake(b"/", (name, b"13"))
        async with await site.open() as wire:
            await wire.send(head[:-2] + name + b": 13\r\n\r\n" + SMUGGLED)
            assert (await wire.refusal()).status in (400, 426)
        assert site.app.seen == []


# --- row 37: what is not RFC 6455 ------------------------------------------------------------


@pytest.mark.spec("WS-14", "WS-17")
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        *((frame(first, b"x", mask=None), 1002) for first in (TEXT, BINARY, PING, 0x01)),
        (frame(CLOSE, b"\x03\xe8", mask=None), 1002),
        *((frame(0x80 | opcode, b"x"), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        *((frame(TEXT | bit, b"x"), 1002) for bit in (0x10, 0x20, 0x40, 0x70)),
        (frame(PING & 0x0F, b"x"), 1002),
        (frame(CLOSE & 0x0F, b""), 1002),
        (frame(PING, bytes(126)), 1002),
        (frame(PONG, claims=GIB), 1002),
        (frame(CLOSE, bytes(126)), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(0x80, b"x"), 1002),
        (frame(0x01, b"x") + frame(0x01, b"y"), 1002),
        (frame(0x01, b"x") + frame(BINARY, b"y"), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        *(
            (frame(CLOSE, code.to_bytes(2, "big")), 1002)
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)
        ),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        *(
            (frame(TEXT, text), 1007)
            for text in (
                b"\x80",
                b"\xc0\x80",
                b"\xe0\x80\x80",
                b"\xed\xa0\x80",
                b"\xf4\x90\x80\x80",
                b"\xf8\x88\x80\x80\x80",
                b"\xe2\x82",
                b"ok \xff",
            )
        ),
        (frame(0x01, b"\xe2\x82") + frame(0x80, b"x"), 1007),
        (frame(0x01, b"\xe2") + frame(CONTINUATION, b"\xff", claims=100), 1007),
        (frame(TEXT, b"\xed\xa0", claims=1 << 20), 1007),
        (frame(TEXT, b"x" * 70_000 + b"\xff", claims=1 << 20), 1007),
    ],
    ids=shown,
)
async def test_row_37_faulty_frames(sent: bytes, code: int) -> None:
    """The peer is told, nothing behind the fault is read, and others go on."""
    async with talking() as (site, _):
        await fails(site, sent, code)
    assert '"GET / HTTP/1.1" 101 protocol_error' in site.log


@pytest.mark.spec("WS-17")
@pytest.mark.parametrize("first", [PING, PONG], ids=["pings", "pongs"])
async def test_row_37_a_flood_of_control_frames(first: int) -> None:
    """A second's worth is answered, and a burst; more is a flood."""
    async with talking(ws_max_control_frames=10) as (site, _):
        async with await Socket.open(site.port) as socket:
            answered = 0
            await socket.send(*[frame(first, b"%d" % number) for number in range(100)])
            if first == PING:
                for number in range(100):
                    assert await socket.read() == (PONG, b"%d" % number)
                    answered += 1
            await socket.echoes()
            await socket.send(*[frame(first)] * 20)
            assert await socket.closed(skip=[PONG]) == (1008, "too many control frames")
        await eventually(lambda: site.app.closes == [(1008, "protocol_error")])
    assert '"GET / HTTP/1.1" 101 protocol_error' in site.log


@pytest.mark.spec("WS-17")
async def test_row_37_a_long_flood() -> None:
    """A hundred thousand pings: most of them are not even looked at."""
    async with bystander() as (site, honest):
        before, used = site.resident_peak(), site.processor_seconds()
        async with await Socket.open(site.port) as socket:
            await socket.send(frame(PING, bytes(125)) * 100_000)
            await honest.echoes()
        assert site.resident_peak() - before < 4 * MIB
        assert site.processor_seconds() - used < 1.0
    assert any("too many control frames" in line for line in site.lines)


@pytest.mark.spec("WS-21")
async def test_row_37_a_peer_that_does_not_close() -> None:
    """It is told to go and sends on instead: nothing is delivered, and its time is limited."""

    class Closing(Talker):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "websocket":
                await super().__call__(scope, receive, send)
                return
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 4001, "reason": "go"})
            message = await receive()
            self.closes.append((message["code"], message["type"]))

    async with attacked(Closing(), ws_close_timeout=0.3) as site:
        async with await Socket.open(site.port, deflate=True) as socket:
            assert await socket.read() == (CLOSE, b"\x0f\xa1go")
            begun = monotonic()
            piece = frame(BINARY | RSV1, deflated(bytes(MIB))) + frame(BINARY, bytes(1000))
            while not site.app.closes:
                await socket.send(piece)
                await asyncio.sleep(0.01)
            assert 0.2 < monotonic() - begun < 3
            assert await socket.wire.rest() == b""
        assert site.app.closes == [(4001, "websocket.disconnect")]


@pytest.mark.spec("WS-22")
@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x0f\xa0" + b"x" * 123], ids=len)
async def test_row_37_what_follows_a_close_is_not_read(payload: bytes) -> None:
    async with talking() as (site, _):
        async with await Socket.open(site.port) as socket:
            await socket.send(frame(CLOSE, payload), SMUGGLED, frame(PING), frame(CLOSE, payload))
            code, reason = await socket.closed()
            assert (code, reason) == (int.from_bytes(payload[:2], "big"), "")
        await eventually(lambda: len(site.app.closes) == 1)
        assert "smuggled" not in site.app.messages


# --- row 38: pages of other sites ------------------------------------------------------------


@pytest.mark.spec("WS-4")
@pytest.mark.parametrize(
    "origin",
    [
        b"https://evil.example",
        b"http://example.org",
        b"https://example.org.evil.example",
        b"https://evil-example.org",
        b"https://sub.example.org",
        b"https://example.org:8443",
        b"https://example.org@evil.example",
        b"https://example.org/",
        b"https://example.org, https://evil.example",
        b"null",
        b"",
        b"*",
        b"https://example.org\xc2\xa0",
        b"https://example\xe2\x80\xa4org",
    ],
    ids=repr,
)
async def test_row_38_other_origins(origin: bytes) -> None:
    """The whole origin is compared; whoever is not on the list gets 403, and no WebSocket."""
    async with attacked(Talker(), ws_origins="https://example.org") as site:
        async with await site.open() as wire:
            await wire.send(handshake(b"/", (b"Origin", origin)) + SMUGGLED)
            assert (await wire.refusal()).status == 403
        assert site.app.seen == []
        allowed = (b"Origin", b"https://EXAMPLE.org")
        async with await Socket.open(site.port, b"/", allowed) as socket:
            await socket.echoes()
    assert "403 protocol_error" in site.log
    assert "the origin of a WebSocket is not allowed" in site.log


@pytest.mark.spec("WS-3", "WS-4")
async def test_row_38_two_origins() -> None:
    async with attacked(Talker(), ws_origins="https://example.org") as site:
        fields = [(b"Origin", b"https://example.org"), (b"Origin", b"https://evil.example")]
        for pair in (fields, fields[::-1]):
            async with await site.open() as wire:
                await wire.send(handshake(b"/", *pair))
                assert (await wire.refusal()).status == 400
        assert site.app.seen == []


# --- beyond the table ------------------------------------------------------------------------

CONVERSATION = (
    HANDSHAKE
    + frame(TEXT, b"one")
    + frame(0x02, b"x" * 200)
    + frame(PING, b"between")
    + frame(0x80, b"y" * 200)
    + frame(CLOSE, b"\x03\xe8")
)


@pytest.mark.spec("WS-23")
@pytest.mark.parametrize("how", ["reset", "half_close", "close"])
async def test_a_websocket_that_leaves_at_any_byte(how: str) -> None:
    """No half message is delivered, each scope ends once, and no connection stays behind."""
    async with attacked(Talker()) as site:
        worker = site.server._worker
        assert worker is not None
        for size in range(0, len(CONVERSATION), 3):
            wire = await site.open()
            await wire.send(CONVERSATION[:size])
            if size % 2:
                await asyncio.sleep(0)
            getattr(wire, how)()
            if how == "half_close":
                await wire.rest()
                wire.close()
        await eventually(lambda: worker.connections == 0)
        await eventually(lambda: len(site.app.closes) == len(site.app.seen))
        assert set(site.app.messages) <= {"one", b"x" * 200 + b"y" * 200}
        assert {reason for _, reason in site.app.closes} <= {"client_closed", None}


@pytest.mark.parametrize("deflate", [False, True])
async def test_noise_behind_a_handshake(deflate: bool) -> None:
    """Whatever comes is a close with a reason, or waits for more."""
    noise = random.Random(36)
    async with talking() as (site, _):
        for _ in range(40):
            async with await Socket.open(site.port, deflate=deflate) as socket:
                data = bytearray(noise.randbytes(2000))
                if noise.random() < 0.8:
                    data[:2] = bytes((noise.choice((TEXT, BINARY, 0x01, TEXT | RSV1)), 0xFE))
                await socket.send(bytes(data))
                socket.wire.half_close()
                rest = await socket.wire.rest()
                assert not rest or int.from_bytes(rest[2:4], "big") in (1002, 1007, 1008, 1009)
        await eventually(lambda: len(site.app.closes) == 40)


async def test_many_websockets_come_and_go_at_once() -> None:
    async with talking() as (site, _):
        worker = site.server._worker
        assert worker is not None

        async def visit(number: int) -> None:
            async with await Socket.open(site.port, deflate=number % 2 == 0) as socket:
                await socket.echoes(b"%d" % number)
                if number % 3 == 0:
                    socket.wire.reset()
                elif number % 3 == 1:
                    await socket.send(frame(CLOSE, b"\x03\xe8"))
                    assert await socket.closed() == (1000, "")

        for _ in range(3):
            await asyncio.gather(*map(visit, range(100)))
        await eventually(lambda: worker.connections == 1)
        assert len(site.app.closes) == 300
