"""Attacks by WebSocket on memory and time (rows 33, 34 and 36): sizes, bombs, slow readers."""

from __future__ import annotations

import asyncio
import zlib
from time import monotonic
from typing import Any

import pytest

from tests.server.attacks.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    RSV1,
    TEXT,
    Socket,
    deflated,
    frame,
    handshake,
)
from tests.server.attacks.site import Process, attacked
from tests.server.attacks.talkers import (
    SMUGGLED,
    Slow,
    Talker,
    bystander,
    fails,
    shown,
    talking,
)
from tests.server.attacks.wire import Wire, eventually, get

MIB = 1 << 20
GIB = 1 << 30


# --- row 33: sizes ---------------------------------------------------------------------------


@pytest.mark.spec("WS-13")
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(BINARY, claims=1001), 1009),
        (frame(TEXT, claims=1001), 1009),
        (frame(BINARY, claims=GIB), 1009),
        (frame(BINARY, claims=(1 << 63) - 1), 1009),
        (frame(BINARY, claims=1 << 63), 1002),
        (frame(BINARY, claims=(1 << 64) - 1), 1002),
        (frame(0x02, bytes(600)) + frame(0x80, claims=401), 1009),
        (frame(0x02, bytes(1000)) + frame(CONTINUATION) * 5 + frame(0x80, claims=1), 1009),
        (frame(0x01, b"x" * 999) + frame(CONTINUATION, b"y") + frame(0x80, claims=GIB), 1009),
        (frame(0x01, b"x") + frame(CONTINUATION, b"x") * 20, 1009),
        (b"\x82\xfe\x00\x7d", 1002),
        (b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff", 1002),
        (b"\x82\xff\x00\x00\x00\x00\x00\x00\x00\x01", 1002),
    ],
    ids=shown,
)
async def test_row_33_a_frame_is_refused_by_its_head(sent: bytes, code: int) -> None:
    """Nothing of the payload is waited for: what is too long is so from its head on."""
    async with talking(ws_max_message_size=1000, ws_max_fragments=20) as (site, _):
        await fails(site, sent, code)
    if code == 1009:
        assert '"GET / HTTP/1.1" 101 body_too_large' in site.log


@pytest.mark.spec("WS-11", "WS-13")
async def test_row_33_what_is_just_short_enough_passes() -> None:
    async with talking(ws_max_message_size=1000, ws_max_fragments=20) as (site, _):
        async with await Socket.open(site.port, deflate=True) as socket:
            for sent in (
                frame(BINARY, bytes(1000)),
                frame(0x02, bytes(600)) + frame(CONTINUATION) + frame(0x80, bytes(400)),
                frame(0x02, bytes(50))
                + frame(CONTINUATION, bytes(50)) * 18
                + frame(0x80, bytes(50)),
                frame(BINARY | RSV1, deflated(bytes(1000))),
            ):
                await socket.send(sent)
                assert await socket.read() == (BINARY, bytes(1000))


@pytest.mark.spec("WS-13")
async def test_row_33_a_gigabyte_that_is_announced() -> None:
    """It is neither allocated nor read; what comes after the close is thrown away for a while."""
    async with bystander() as (site, _):
        before = site.resident_peak()
        async with await Socket.open(site.port) as socket:
            await socket.send(frame(BINARY, claims=GIB))
            for _ in range(1000):
                if not await socket.send(bytes(65_536)):
                    break
            assert (await socket.closed())[0] == 1009
        assert site.resident_peak() - before < 4 * MIB
    assert any("a message is longer than the limit" in line for line in site.lines)


@pytest.mark.spec("WS-13")
async def test_row_33_announcing_costs_the_server_nothing() -> None:
    """Fifty peers announce the longest message there is and send a little of it."""
    async with bystander() as (site, _):
        before = site.resident_peak()
        sockets = [await Socket.open(site.port) for _ in range(50)]
        for socket in sockets:
            await socket.send(frame(BINARY, bytes(1000), claims=16 * MIB))
            await socket.send(bytes(1000))
        async with await Socket.open(site.port) as last:
            await last.echoes()
        assert site.resident_peak() - before < 4 * MIB
        for socket in sockets:
            socket.wire.close()


@pytest.mark.spec("WS-13", "WS-17")
async def test_row_33_a_hundred_thousand_empty_fragments() -> None:
    """They are counted as what they are: frames that carry nothing."""
    async with bystander() as (site, _):
        before, used = site.resident_peak(), site.processor_seconds()
        async with await Socket.open(site.port) as socket:
            await socket.send(frame(0x02), *[frame(CONTINUATION)] * 100_000)
            assert await socket.closed() == (1008, "too many control frames")
        assert site.resident_peak() - before < 4 * MIB
        assert site.processor_seconds() - used < 1.0
    assert any("too many control frames" in line for line in site.lines)


@pytest.mark.spec("WS-13")
async def test_row_33_fragments_of_a_byte() -> None:
    """As many as are allowed cost time in proportion, and no memory of their own."""
    async with bystander() as (site, _):
        before = site.resident_peak()
        async with await Socket.open(site.port) as socket:
            await socket.send(frame(0x01, b"x"), *[frame(CONTINUATION, b"x")] * 131_071)
            await socket.send(frame(0x80, b"x"))
            code, reason = await socket.closed()
            assert (code, reason) == (1009, "a message has too many fragments")
        assert site.resident_peak() - before < 4 * MIB


@pytest.mark.spec("WS-15")
async def test_row_33_bytes_before_the_accept() -> None:
    """They wait in the kernel; afterwards they are there, in order."""
    async with bystander() as (site, _):
        before = site.resident_peak()
        async with await Wire.open(site.port) as wire:
            await wire.send(handshake(b"/late"))
            pieces = b"".join(frame(TEXT, b"%d" % number) for number in range(1000))
            await wire.send(pieces)
            whole = frame(BINARY, bytes(65_536))
            taken = await wire.send_while(whole, 0.3)
            assert site.resident_peak() - before < 4 * MIB
            assert (await get(site.port, b"/open")).status == 200
            assert (await wire.answer()).status == 101
            socket = Socket(wire, {})
            for number in range(1000):
                assert await socket.read() == (TEXT, b"%d" % number)
            for _ in range(taken // len(whole)):
                assert await socket.read() == (BINARY, bytes(65_536))
        assert site.resident_peak() - before < 8 * MIB


# --- row 34: deflate -------------------------------------------------------------------------


def bomb(size: int) -> bytes:
    """Return the payload of a message that stands for so many MiB of zeros."""
    stream = zlib.compressobj(9, wbits=-12)
    first, second = (
        stream.compress(bytes(MIB)) + stream.flush(zlib.Z_SYNC_FLUSH) for _ in range(2)
    )
    return (first + second * (size - 1))[:-4]


@pytest.mark.spec("WS-13")
@pytest.mark.parametrize("first", [TEXT, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("fragment", [MIB * 2, 10_000], ids=["whole", "fragments"])
async def test_row_34_a_megabyte_that_stands_for_a_gigabyte(first: int, fragment: int) -> None:
    """It is inflated as far as a message may be long."""
    payload = bomb(1024)
    assert MIB < len(payload) < 1.1 * MIB
    pieces = [payload[at : at + fragment] for at in range(0, len(payload), fragment)]
    frames = [frame(CONTINUATION, piece) for piece in pieces[1:]]
    fin = first & 0x80 if not frames else 0
    frames.insert(0, frame(first & 0x0F | fin | RSV1, pieces[0]))
    async with bystander("--ws-max-message-size", str(2 * MIB)) as (site, _):
        before, used = site.resident_peak(), site.processor_seconds()
        async with await Socket.open(site.port, deflate=True) as socket:
            await socket.send(*frames)
            code, reason = await socket.closed()
        assert code == 1009, reason
        assert site.resident_peak() - before < 10 * MIB
        assert site.processor_seconds() - used < 0.5
    assert any("longer than the limit" in line for line in site.lines)


@pytest.mark.spec("WS-15")
@pytest.mark.parametrize("size", [15 * MIB, 100_000], ids=["large", "small"])
async def test_row_34_messages_that_grow_wait_as_they_came(size: int) -> None:
    """What is deflated is not inflated for an application that does not receive."""
    message = frame(BINARY | RSV1, deflated(bytes(size)))
    count = 65_536 // len(message)
    async with bystander() as (site, honest):
        before = site.resident_peak()
        async with await Socket.open(site.port, b"/hold", deflate=True) as socket:
            await socket.send(message * count)
            await socket.send(message * count)
            await honest.echoes()
            assert await eventually_calm(site) - before < 16 * MIB + 2 * max(size, 2 * MIB)
            assert (await get(site.port, b"/open")).status == 200
            for _ in range(2 * count):
                first, payload = await socket.read()
                assert first & 0x8F == BINARY
                assert len(payload) < 65_536, "it was not deflated"


async def eventually_calm(site: Process) -> int:
    """Wait until the server has no more to do; return the most memory it has ever held."""
    last = -1.0
    while (used := site.processor_seconds()) != last:
        last = used
        await asyncio.sleep(0.05)
    return site.resident_peak()


@pytest.mark.spec("WS-11", "WS-15", "WS-22", "WS-23")
@pytest.mark.parametrize("count", [40, 2000])
@pytest.mark.parametrize("how", ["close", "close and leave", "leave"])
async def test_row_34_nothing_is_lost_that_waited(how: str, count: int) -> None:
    """A burst, and then the peer goes: the application gets what came, when it likes."""
    texts = [f"{number:0100}" for number in range(count)]
    async with attacked(Slow(), ws_max_queue=8) as site:
        async with await Socket.open(site.port) as socket:
            for at in range(0, count, 20):
                await socket.send(*[frame(TEXT, text.encode()) for text in texts[at : at + 20]])
                await asyncio.sleep(0)
            if how != "leave":
                await socket.send(frame(CLOSE, b"\x0f\xa0bye"))
            if how != "close":
                socket.wire.half_close()
            (scope,) = site.app.scopes
            if how != "close" and count == 40:  # with more the kernel has the end still
                await eventually(lambda: not scope["pagi.connection"].is_connected)
            site.app.go.set()
            await eventually(lambda: len(site.app.closes) == 1)
            if how == "close":
                assert await socket.closed() == (4000, "")
        assert site.app.messages == texts
        code, reason = site.app.closes[0]
        if how == "leave":
            assert (code, reason) == (1006, "client_closed")
        else:
            assert code == scope["pagi.connection"].close_code == 4000


@pytest.mark.spec("WS-15", "WS-21")
@pytest.mark.parametrize("overflow", ["1008", "1013"])
async def test_row_34_who_sends_on_after_an_overflow(overflow: str) -> None:
    """The queue is full and the close is sent: what comes then is thrown away."""
    async with attacked(Slow(), ws_max_queue=8, ws_overflow=overflow) as site:
        async with await Socket.open(site.port) as socket:
            for _ in range(20):
                await socket.send(*[frame(TEXT, b"hello")] * 20)
                await asyncio.sleep(0)
            assert (await socket.read())[0] == CLOSE
            await socket.send(frame(CLOSE, int(overflow).to_bytes(2, "big")))
            assert await socket.wire.rest() == b""
            assert not socket.wire.was_reset
        site.app.go.set()
        await eventually(lambda: len(site.app.closes) == 1)
        assert site.app.messages == ["hello"] * 8
        assert site.app.closes == [(int(overflow), "queue_overflow")]


@pytest.mark.spec("WS-15", "WS-21", "WS-26")
@pytest.mark.parametrize("count", [8, 100])
async def test_row_34_a_full_queue_does_not_hold_up_the_close(count: int) -> None:
    """An application that closes without having received: the peer's answer is seen."""

    class Closing(Talker):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "websocket":
                await super().__call__(scope, receive, send)
                return
            await receive()
            self.scopes.append(scope)
            await send({"type": "websocket.accept"})
            await go.wait()
            await send({"type": "websocket.close"})

    go = asyncio.Event()
    async with attacked(Closing(), ws_max_queue=8) as site:
        async with await Socket.open(site.port) as socket:
            await socket.send(*[frame(TEXT, b"hello")] * count)
            await get(site.port)
            go.set()
            assert await socket.read() == (CLOSE, b"\x03\xe8")
            for _ in range(3):
                await socket.send(*[frame(TEXT, b"more")] * count)
                await get(site.port)
            await socket.send(frame(CLOSE, b"\x03\xe8"))
            assert await socket.wire.rest() == b""
        (scope, *_) = site.app.scopes
        assert scope["pagi.connection"].close_code == 1000
        assert scope["pagi.connection"].disconnect_reason is None


@pytest.mark.spec("WS-14")
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(BINARY | RSV1, b"\xff" * 20), 1007),
        (frame(BINARY | RSV1, b"\x06"), 1007),
        (frame(BINARY | RSV1, b"\x03\x00" * 100), 1008),
        (frame(TEXT | RSV1, deflated(b"\xff")), 1007),
        (frame(TEXT | RSV1, deflated(b"\xe2\x82")), 1007),
        (frame(0x02 | RSV1, deflated(b"x" * 100)[:2]) + frame(0x80 | RSV1, b""), 1002),
        (frame(0x02, b"x") + frame(0x80 | RSV1, b"x"), 1002),
        (frame(PING | RSV1, b"x"), 1002),
        (frame(CLOSE | RSV1, b"\x03\xe8"), 1002),
        (frame(TEXT | 0x20, b"x"), 1002),
        (frame(TEXT | RSV1 | 0x10, b"x"), 1002),
    ],
    ids=shown,
)
async def test_row_34_what_is_not_deflated_as_it_says(sent: bytes, code: int) -> None:
    async with attacked(Talker()) as site:
        await fails(site, sent, code, deflate=True)


@pytest.mark.spec("WS-14")
@pytest.mark.parametrize("offered", [True, False])
async def test_row_34_rsv1_that_was_not_agreed(offered: bool) -> None:
    """Neither an offer that was not taken nor none at all makes the bit mean something."""
    async with attacked(Talker(), ws_deflate=False) as site:
        wire = await Wire.open(site.port)
        offer = [(b"Sec-WebSocket-Extensions", b"permessage-deflate")] if offered else []
        await wire.send(handshake(b"/", *offer) + frame(TEXT | RSV1, deflated(b"hello")) + SMUGGLED)
        answer = await wire.answer()
        assert answer.status == 101
        assert b"sec-websocket-extensions" not in answer.fields
        async with Socket(wire, answer.fields) as socket:
            assert await socket.closed() == (1002, "a reserved bit is set")
        assert site.app.messages == []


# --- row 36: who does not read ---------------------------------------------------------------


@pytest.mark.spec("WS-16", "CORE-23")
async def test_row_36_nobody_reads() -> None:
    """The application sends 1 GiB, to nobody: ``send`` waits, and the write timeout ends it."""
    async with bystander("--write-timeout", "1") as (site, honest):
        before = site.resident_peak()
        async with await Socket.open(site.port, b"/flood", receive_buffer=4096) as socket:
            await socket.read()
            for _ in range(20):
                begun = monotonic()
                await honest.echoes()
                assert monotonic() - begun < 0.5
            assert await eventually_calm(site) - before < 4 * MIB
            await eventually(lambda: "/flood 101 write_timeout" in site.lines, 10)
            await socket.wire.rest()
            assert socket.wire.was_reset


@pytest.mark.spec("WS-15", "WS-16")
async def test_row_36_a_peer_that_sends_and_does_not_read() -> None:
    """An echo that cannot be delivered stops the application, and that stops the reading."""
    async with bystander() as (site, honest):
        before = site.resident_peak()
        async with await Socket.open(site.port, receive_buffer=4096) as socket:
            taken = await socket.wire.send_while(frame(BINARY, bytes(65_536)), 0.3)
            assert taken < 64 * MIB, "the kernel's buffers are smaller"
            await honest.echoes()
            assert site.resident_peak() - before < 8 * MIB


@pytest.mark.spec("WS-17")
async def test_row_36_pongs_that_nobody_reads() -> None:
    """However many pings are allowed: answers do not pile up for a peer that does not read."""
    async with bystander("--ws-max-control-frames", "1000000") as (site, honest):
        before = site.resident_peak()
        async with await Socket.open(site.port, receive_buffer=4096) as socket:
            pings = frame(PING, bytes(125)) * 5000
            sent = 0
            while sent < 40 * MIB and await socket.send(pings):
                sent += len(pings)
            await honest.echoes()
            assert await eventually_calm(site) - before < 8 * MIB
