"""Attacks on HTTP/2 (rows 23 to 31)."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import hpack
import pytest

from tests.server.attacks.http2 import (
    END_HEADERS,
    END_STREAM,
    GET,
    HAS_PRIORITY,
    PREFACE,
    Fields,
    Peer,
    frame,
    peer,
)
from tests.server.attacks.site import Recorder, attacked
from tests.server.attacks.wire import PATIENCE, eventually

MIB = 1 << 20
POST = ((":method", "POST"), *GET[1:])


def setting(number: int, value: int) -> bytes:
    """Return one entry of SETTINGS."""
    return number.to_bytes(2, "big") + value.to_bytes(4, "big")


def window(increment: int, stream: int = 0) -> bytes:
    """Return a WINDOW_UPDATE frame."""
    return frame("WINDOW_UPDATE", stream, payload=increment.to_bytes(4, "big"))


def reset(stream: int) -> bytes:
    """Return an RST_STREAM frame."""
    return frame("RST_STREAM", stream, payload=(8).to_bytes(4, "big"))


def peak() -> int:
    """Return the most memory this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def waits(scope: Any, receive: Any, send: Any) -> None:
    """Wait for the end; then answer, if anybody is there."""
    message = await receive()
    while message["type"] == "http.request":
        message = await receive()


class Counting:
    """Application that counts how often it was called, and how many calls are under way."""

    def __init__(self) -> None:
        self.started = 0
        self.running = 0
        self.most = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/alive":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"alive"})
            return
        self.started += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await waits(scope, receive, send)
        finally:
            self.running -= 1


# --- row 23: rapid reset (CVE-2023-44487) -----------------------------------------------------


async def test_row_23_rapid_reset() -> None:
    app = Counting()
    async with attacked(app, h2_max_resets=50) as site, peer(site) as client:
        frames = [client.headers(n) + reset(n) for n in range(1, 2 * 10_000, 2)]
        await client.send(*frames)
        assert await client.end() == "ENHANCE_YOUR_CALM"
        assert app.started <= 60
        await eventually(lambda: app.running == 0)


async def test_row_23_resets_that_a_browser_makes_are_served() -> None:
    async with attacked() as site, peer(site) as client:
        for number in range(1, 200, 2):
            await client.send(client.headers(number, POST, END_HEADERS), reset(number))
        await client.send(client.headers(201))
        assert await client.answer(201) == (200, b"served 0")


# --- row 24: the server is made to reset (CVE-2025-8671) --------------------------------------


def provoke(client: Peer, stream: int, how: str) -> bytes:
    """Return frames that make the server reset a stream it has begun to serve."""
    if how == "length":
        fields = (*POST, ("content-length", "1"))
        return client.headers(stream, fields, END_HEADERS) + frame("DATA", stream, 0, b"xx")
    opened = client.headers(stream, POST, END_HEADERS)
    if how == "window":
        return opened + window(0, stream)
    if how == "overflow":
        return opened + window(2**31 - 1, stream)
    return opened + client.headers(stream, (("x", "y"),), END_HEADERS)  # trailers without an end


PROVOKED = ("window", "overflow", "trailers", "length")


@pytest.mark.parametrize("how", PROVOKED)
async def test_row_24_provoked_resets(how: str) -> None:
    app = Counting()
    async with attacked(app, h2_max_resets=50) as site, peer(site) as client:
        reading = asyncio.ensure_future(client.end())
        for stream in range(1, 2000, 2):
            if not await client.send(provoke(client, stream, how)) or reading.done():
                break
        assert await reading == "ENHANCE_YOUR_CALM"
        assert app.started <= 110
        await eventually(lambda: app.running == 0)


# --- row 25: CONTINUATION without end (CVE-2024-27316) ----------------------------------------


async def test_row_25_endless_continuation() -> None:
    async with attacked() as site, peer(site) as client:
        block = hpack.Encoder().encode([("x-filler", "y" * 1000)])
        await client.send(frame("HEADERS", 1, END_STREAM, client.encoder.encode(list(GET))))
        sent = await client.flood(frame("CONTINUATION", 1, 0, block), 100_000)
        assert client.goaway() == "ENHANCE_YOUR_CALM"
        assert sent < 20_000, "what the kernel held when it was closed"
        assert site.app.seen == []


async def test_row_25_a_header_section_that_stops() -> None:
    async with attacked(header_timeout=0.5) as site, peer(site) as client:
        await client.send(frame("HEADERS", 1, END_STREAM, client.encoder.encode(list(GET))))
        await client.end()  # closed by the deadline
        assert site.app.seen == []


# --- row 26: HPACK bombs ----------------------------------------------------------------------


async def test_row_26_a_hpack_bomb() -> None:
    async with attacked() as site, peer(site) as client:
        encoder = hpack.Encoder()
        head = encoder.encode([*GET, ("x-bomb", "b" * 3900)])
        again = encoder.encode([("x-bomb", "b" * 3900)])  # one byte each from now on
        assert len(again) == 1
        before = peak()
        await client.send(frame("HEADERS", 1, 5, head + again * 12_000))
        assert await client.end() == "ENHANCE_YOUR_CALM"
        assert peak() - before < 8 * MIB
        assert site.app.seen == []


async def test_row_26_answers_that_are_never_read() -> None:
    """With a window of nothing, responses wait: as many as streams, and not for ever."""

    async def large(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        await send({"type": "http.response.body"})

    before = peak()
    async with attacked(large, write_timeout=0.5) as site:
        async with peer(site, setting(4, 0)) as client:
            await client.send(*(client.headers(number) for number in range(1, 200, 2)))
            codes = {await client.reset_of(number) for number in range(1, 200, 2)}
            assert codes == {"CANCEL"}
            assert peak() - before < 60 * MIB, "100 streams, of 100 KiB and what is around them"


# --- row 27: floods ---------------------------------------------------------------------------


FLOODS = {
    "ping": frame("PING", payload=bytes(8)),
    "settings": frame("SETTINGS", payload=setting(1, 4096)),
    "empty settings": frame("SETTINGS"),
    "priority": frame("PRIORITY", 1, payload=bytes(5)),
    "unknown": b"\0\0\0\x42\0\0\0\0\0",
    "window": window(1),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_row_27_floods(name: str) -> None:
    before = peak()
    async with attacked() as site, peer(site) as client:
        await client.flood(FLOODS[name] * 100, 1000)
        assert client.goaway() == "ENHANCE_YOUR_CALM"
        assert peak() - before < 16 * MIB


async def test_row_27_empty_frames() -> None:
    async with attacked() as site, peer(site) as client:
        await client.send(client.headers(1, POST, END_HEADERS))
        await client.flood(frame("DATA", 1) * 100, 1000)
        assert client.goaway() == "ENHANCE_YOUR_CALM"


async def test_row_27_pings_of_a_peer_that_reads_nothing() -> None:
    async with attacked() as site, peer(site) as client:
        await client.wire.send_while(frame("PING", payload=bytes(8)) * 1000, 1.0)
        assert await client.end() in ("ENHANCE_YOUR_CALM", "")


async def test_row_27_data_dribble() -> None:
    """A window of a byte at a time: each byte costs a frame, and the others are served."""
    async with attacked() as site, peer(site, setting(4, 1)) as client:
        await client.send(client.headers(1))
        assert (await client.until("DATA", 1)).payload == b"s"
        for _ in range(7):
            await client.send(window(1, 1))
            await client.until("DATA", 1)
        await client.send(client.headers(3))
        await client.send(window(1000, 3))
        assert (await client.answer(3))[0] == 200


# --- row 28: what HTTP/1 behind us would misread ----------------------------------------------


HEADS: dict[str, Fields] = {
    "CR in a value": (*GET, (b"x", b"a\rb")),
    "LF in a value": (*GET, (b"x", b"a\nb")),
    "NUL in a value": (*GET, (b"x", b"a\0b")),
    "CRLF in a name": (*GET, (b"x\r\ny", b"a")),
    "colon in a name": (*GET, (b"x:y", b"a")),
    "space in a name": (*GET, (b"x y", b"a")),
    "capitals in a name": (*GET, (b"X", b"a")),
    "empty name": (*GET, (b"", b"a")),
    "space before a value": (*GET, (b"x", b" a")),
    "connection": (*GET, ("connection", "close")),
    "keep-alive": (*GET, ("keep-alive", "1")),
    "proxy-connection": (*GET, ("proxy-connection", "close")),
    "transfer-encoding": (*GET, ("transfer-encoding", "chunked")),
    "upgrade": (*GET, ("upgrade", "h2c")),
    "te": (*GET, ("te", "gzip")),
    "pseudo-field twice": (*GET, (":path", "/x")),
    "pseudo-field behind": ((":method", "GET"), ("x", "y"), *GET[1:]),
    "pseudo-field unknown": (*GET, (":x", "y")),
    "status": (*GET, (":status", "200")),
    "no method": GET[1:],
    "no path": GET[:3],
    "no scheme": (GET[0], *GET[2:]),
    "empty path": (*GET[:3], (":path", "")),
    "path without a slash": (*GET[:3], (":path", "x")),
    "path with a space": (*GET[:3], (":path", "/a b")),
    "path with a fragment": (*GET[:3], (":path", "/a#b")),
    "path with CRLF": (*GET[:3], (b":path", b"/a\r\nb")),
    "asterisk": (*GET[:3], (":path", "*")),
    "method with a space": ((":method", "GET /x"), *GET[1:]),
    "userinfo": (*GET[:2], (":authority", "me@h"), GET[3]),
    "empty authority": (*GET[:2], (":authority", ""), GET[3]),
    "authority and host": (*GET, ("host", "evil")),
    "no authority": (*GET[:2], GET[3]),
    "scheme": (GET[0], (":scheme", "ftp"), *GET[2:]),
    "protocol": (*GET, (":protocol", "websocket")),
    "two lengths": (*POST, ("content-length", "0"), ("content-length", "1")),
    "length that is none": (*POST, ("content-length", "+1")),
}


@pytest.mark.parametrize("name", HEADS)
async def test_row_28_heads(name: str) -> None:
    async with attacked() as site, peer(site) as client:
        await client.send(client.headers(1, HEADS[name]), client.headers(3))
        refused = False
        while not refused:
            found = await client.next()
            assert found is not None, "the connection did not live"
            if found.stream == 1:
                if found.kind == "RST_STREAM":
                    assert found.code == "PROTOCOL_ERROR"
                    refused = True
                elif found.kind == "HEADERS":
                    assert found.fields[":status"] == "400"
                    refused = True
        if not any(found.stream == 3 and found.ends for found in client.seen):
            assert (await client.answer(3))[0] in (0, 200)
        assert [path for _, path in site.app.seen] == [b"/"]


# --- row 29: lengths that are lies ------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "pieces", "ends"),
    [(10, [b"x" * 5], True), (5, [b"x" * 10], True), (5, [b"x" * 10], False), (1, [], True)],
)
async def test_row_29_content_length(length: int, pieces: list[bytes], ends: bool) -> None:
    async with attacked() as site, peer(site) as client:
        fields = (*POST, ("content-length", str(length)))
        await client.send(client.headers(1, fields, END_HEADERS | (0 if pieces else END_STREAM)))
        if pieces:
            await asyncio.wait_for(site.app.called.wait(), PATIENCE)
        for piece in pieces:
            await client.send(frame("DATA", 1, END_STREAM if ends else 0, piece))
        assert await client.reset_of(1) == "PROTOCOL_ERROR"
        await client.send(client.headers(3))
        assert await client.answer(3) == (200, b"served 0")
        assert site.app.bodies == [b""]
        if pieces:
            await eventually(lambda: site.app.ends == ["protocol_error"])


# --- row 30: large header lists ---------------------------------------------------------------


async def test_row_30_large_header_lists() -> None:
    async with attacked(h2_max_header_list_size=10_000) as site, peer(site) as client:
        value = "v" * 4500
        await client.send(client.headers(1, (*GET, ("x-a", value))))
        assert (await client.answer(1))[0] == 200
        await client.send(client.headers(3, (*GET, ("x-a", value), ("x-b", value), ("x-c", value))))
        assert (await client.answer(3))[0] == 431
        await client.send(client.headers(5))
        assert (await client.answer(5))[0] == 200
    assert '"-" 431' in site.log or " 431 " in site.log


# --- row 31: where HTTP/2 is not spoken -------------------------------------------------------


async def test_row_31_preface_where_http2_is_off() -> None:
    async with attacked(http2=False) as site:
        answer = await site.refused(PREFACE + frame("SETTINGS"))
        assert answer.status == 505


async def test_row_31_a_preface_in_the_middle_is_none() -> None:
    app = Recorder()
    async with attacked(app) as site, await site.open() as wire:
        await wire.send(b"GET /first HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await wire.answer()).status == 200
        await wire.send(PREFACE + frame("SETTINGS"))
        assert (await wire.refusal()).status == 505
        assert [path for _, path in app.seen] == [b"/first"]


async def test_row_31_a_proxy_header_is_not_believed() -> None:
    async with attacked() as site:
        data = b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + PREFACE + frame("SETTINGS")
        assert (await site.refused(data)).status == 400


@pytest.mark.parametrize("stream", [1, 5])
async def test_a_stream_that_depends_on_itself(stream: int) -> None:
    async with attacked() as site, peer(site) as client:
        block = stream.to_bytes(4, "big") + b"\x10" + client.encoder.encode(list(GET))
        flags = END_STREAM | END_HEADERS | HAS_PRIORITY
        await client.send(frame("HEADERS", stream, flags, block))
        assert await client.end() == "PROTOCOL_ERROR"
        assert site.app.seen == []
