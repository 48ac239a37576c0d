"""Hostile clients beyond the table: departures at every moment, noise, crowds, and mutations."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.server.attacks.site import Recorder, Site, attacked, process
from tests.server.attacks.wire import Wire, eventually, get

MIB = 1 << 20
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
UPLOAD = CHUNKED + b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX: y\r\n\r\n"


class Waiting(Recorder):
    """Reads the request, then waits for the client to leave."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.note(scope)
        while (message := await receive())["type"] != "http.disconnect":
            pass
        self.ends.append(message["reason"])


def connections(site: Site) -> int:
    """Return how many connections the server has open."""
    worker = site.server._worker
    assert worker is not None
    return worker.connections


@pytest.mark.spec("HTTP-15", "HTTP-42")
@pytest.mark.parametrize("how", ["reset", "half_close", "close"])
async def test_leaving_at_every_byte_of_a_request(how: str) -> None:
    """What was not whole is never delivered as whole, and no connection is left behind."""
    async with attacked() as site:
        for size in range(len(UPLOAD)):
            wire = await site.open()
            await wire.send(UPLOAD[:size])
            if size % 3 == 0:
                await asyncio.sleep(0)
            getattr(wire, how)()
            if how == "half_close":
                assert b" 200 " not in await wire.rest()
                wire.close()
        await eventually(lambda: connections(site) == 0)
        assert site.app.bodies == []
        assert set(site.app.ends) <= {"client_closed"}


@pytest.mark.spec("HTTP-42")
@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", UPLOAD])
@pytest.mark.parametrize("pause", [False, True])
async def test_a_reset_that_comes_with_the_request_is_noticed(request_: bytes, pause: bool) -> None:
    """The loop reports bytes and reset as one event; the application must learn of the reset."""
    async with attacked(Waiting(), lives=False) as site:
        for _ in range(20):
            wire = await site.open()
            if pause:
                await asyncio.sleep(0.01)
            await wire.send(request_)
            wire.reset()
        await eventually(lambda: connections(site) == 0)
        await eventually(lambda: len(site.app.ends) == len(site.app.seen))
        assert set(site.app.ends) <= {"client_closed"}


@pytest.mark.spec("HTTP-42")
async def test_resets_in_the_middle_of_responses() -> None:
    """Clients that leave while they are written to, at sizes on both sides of every buffer."""

    class Sizes(Recorder):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.note(scope)
            if scope["path"] == "/alive":
                await super().__call__(scope, receive, send)
                return
            size = int(scope["path"][1:])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            try:
                for _ in range(8):
                    body = {"type": "http.response.body", "body": bytes(size), "more_body": True}
                    await send(body)
                await send({"type": "http.response.body", "body": b""})
            except OSError:
                self.ends.append("gone")

    async with attacked(Sizes()) as site:
        for size in (1, 1000, 10_000, 65_535, 65_536, 65_537, 200_000, 1_000_000):
            for read in (0, 1, 5000):
                wire = await site.open(4096)
                await wire.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % size * 3)
                if read:
                    await wire.receive(read)
                else:
                    await asyncio.sleep(0)
                wire.reset()
        await eventually(lambda: connections(site) == 0)
        assert "gone" in site.app.ends


@pytest.mark.spec("HTTP-15", "HTTP-42")
async def test_uploads_aborted_while_the_application_is_busy() -> None:
    """The server has stopped reading; the reset waits behind bytes that nobody takes."""
    go = asyncio.Event()

    class Busy(Recorder):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] != "/alive":
                await go.wait()
            await super().__call__(scope, receive, send)

    async with attacked(Busy()) as site:
        for how in ("reset", "close") * 5:
            wire = await site.open()
            await wire.send(CHUNKED)
            await wire.send_while(b"10000\r\n" + bytes(65_536) + b"\r\n", 0.02)
            getattr(wire, how)()
        go.set()
        await eventually(lambda: connections(site) == 0)
        await eventually(lambda: len(site.app.ends) == 10)
        assert site.app.bodies == []


@pytest.mark.spec("HTTP-41")
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("how", ["raises", "returns", "aborts"])
async def test_a_cut_response_never_looks_whole(version: bytes, how: str) -> None:
    """With HTTP/1.0 the end of the connection is the end of the body: only a reset can tell."""

    class Cutting(Recorder):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.note(scope)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            await self.go.wait()
            if how == "raises":
                raise RuntimeError("as asked")
            if how == "aborts":
                scope["pagi.connection"].abort()

        def __init__(self) -> None:
            super().__init__()
            self.go = asyncio.Event()

    app = Cutting()
    async with attacked(app, errors_expected=True, lives=False) as site, await site.open() as wire:
        await wire.send(b"GET / HTTP/%b\r\nHost: h\r\n\r\n" % version)
        while b"half" not in wire.waiting:
            wire.waiting += await wire.receive()
        app.go.set()
        rest = await wire.rest()
        if version == b"1.0":
            assert wire.was_reset
            assert b"chunked" not in rest
        else:
            assert rest.endswith(b"4\r\nhalf\r\n")


def noise(chance: random.Random) -> bytes:
    """Make random bytes of several flavours."""
    size = chance.choice([1, 10, 100, 1000, 20_000])
    flavour = chance.randrange(4)
    if flavour == 0:
        return chance.randbytes(size)
    if flavour == 1:
        return bytes(chance.choices(b"\r\n \t:;,/*0aG", k=size))
    if flavour == 2:
        return b"GET / HTTP/1.1\r\nHost: h\r\n" + chance.randbytes(size)
    return CHUNKED + bytes(chance.choices(b"0123456789abcdef\r\n;", k=size))


@pytest.mark.parametrize("seed", range(4))
async def test_noise(seed: int) -> None:
    """Random bytes get a refusal or wait for more; nothing breaks."""
    chance = random.Random(seed)
    async with attacked() as site:

        async def client() -> None:
            for _ in range(15):
                async with await site.open() as wire:
                    await wire.send(noise(chance))
                    wire.half_close()
                    rest = await wire.rest()
                    assert rest == b"" or rest.startswith(b"HTTP/1.1 ")
                    assert b" 500 " not in rest

        await asyncio.gather(*[client() for _ in range(10)])
    assert '" 500 ' not in site.log


PARTS = [
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    UPLOAD,
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    b"GET http://h/?x HTTP/1.1\r\nHost: h\r\nUser-Agent: a-browser\r\nCookie: a=b\r\n\r\n",
    b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\nAccept: */*\r\n\r\n",
]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change, drop, double or insert a byte or a few."""
    text = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(text))
        what = chance.randrange(4)
        if what == 0:
            text[place] ^= 1 << chance.randrange(8)
        elif what == 1:
            del text[place]
        elif what == 2:
            text[place:place] = text[place : place + chance.randrange(1, 20)]
        else:
            text.insert(place, chance.choice(b"\r\n\x00 \t:;,\x0b\x7f\xff0"))
    return bytes(text)


@pytest.mark.parametrize("seed", range(4))
async def test_mutations(seed: int) -> None:
    """Nearly right requests among right ones: whatever is answered is framed right."""
    chance = random.Random(seed)
    async with attacked() as site:

        async def client() -> None:
            for _ in range(25):
                async with await site.open() as wire:
                    parts = [chance.choice(PARTS) for _ in range(4)]
                    parts[2] = mutated(parts[2], chance)
                    await wire.send(b"".join(parts))
                    wire.half_close()
                    rest = await wire.rest()
                    assert rest.startswith(b"HTTP/1.1 ")
                    assert b" 500 " not in rest
                    last = rest.rpartition(b"HTTP/1.1 ")[2]
                    if last.startswith((b"4", b"5")):
                        assert b"\r\nconnection: close\r\n" in last

        await asyncio.gather(*[client() for _ in range(8)])


async def test_a_thousand_connections_at_once() -> None:
    """All of them are served, idle or not, and nothing of them stays."""
    async with process("count", "--no-access-log", "--backlog", "4096") as site:
        before, memory = site.sockets(), site.resident()
        limit = asyncio.Semaphore(50)

        async def client(number: int) -> Wire:
            async with limit:
                wire = await site.open()
                if number % 2:
                    await wire.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number)
                    assert (await wire.answer()).status == 200
                return wire

        crowd = await asyncio.gather(*[client(number) for number in range(800)])
        assert site.resident() - memory < 24 * MIB
        for number, wire in enumerate(crowd):
            if number % 3:
                wire.close()
            else:
                wire.reset()
        await eventually(lambda: site.sockets() <= before)


async def test_nobody_reads() -> None:
    """A hundred clients ask for an endless response each, and read nothing of it."""
    async with process("large", "--no-access-log") as site:
        before = site.resident()
        crowd = [await site.open(4096) for _ in range(100)]
        for wire in crowd:
            await wire.send(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
        for wire in crowd:
            await wire.receive(1)
        assert (await get(site.port, b"/alive")).status == 200
        # A water mark and a message for each.
        assert site.resident() - before < 100 * 3 * 65_536
        for wire in crowd:
            wire.reset()
        await eventually(lambda: site.sockets() < 20)


async def test_everything_different_each_time() -> None:
    """What the server remembers of hosts, agents, names and values is bounded."""
    async with process("count", "--access-log", "/dev/null", "--access-log-format", "json") as site:

        async def flood(first: int, count: int) -> None:
            async with await site.open() as wire:
                for start in range(first, first + count, 100):
                    data = b"".join(
                        b"GET /%d HTTP/1.1\r\nHost: host-%d.example\r\nUser-Agent: %s%d\r\n"
                        b"Accept: text/x%d\r\nX-%d: %d\r\nReferer: http://r/%d\r\n\r\n"
                        % (n, n, b"a" * 200, n, n, n, n, n)
                        for n in range(start, start + 100)
                    )
                    await wire.send(data)
                    for _ in range(100):
                        assert (await wire.answer()).status == 200

        await flood(0, 3000)
        before = site.resident()
        await flood(3000, 7000)
        assert site.resident() - before < 3 * MIB


async def test_an_upload_that_nobody_wants() -> None:
    """Answered early, the client goes on sending 50 MB: it is cut off, at no cost."""
    async with process("mixed", "--no-access-log", "--linger-timeout", "1") as site:
        before = site.resident()
        async with await site.open() as wire:
            await wire.send(b"POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 52428800\r\n\r\n")
            answer = await wire.answer()
            assert (answer.status, answer.body) == (200, b"unread")
            for _ in range(800):
                if not await wire.send(bytes(65_536)):
                    break
                await asyncio.sleep(0.01)
            else:
                raise AssertionError("it took 50 MB")
        assert site.resident_peak() - before < 4 * MIB
