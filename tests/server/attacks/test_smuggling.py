"""Attacks on the end of a message: two readers that see different requests (rows 1–7, 17, 18)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.server.attacks.site import Recorder, attacked, constant

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"


def post(*fields: bytes, version: bytes = b"1.1") -> bytes:
    """Make a head of POST."""
    return b"POST / HTTP/%b\r\nHost: h\r\n%b\r\n" % (version, b"".join(f + b"\r\n" for f in fields))


CHUNKED = post(b"Transfer-Encoding: chunked")


@pytest.mark.spec("HTTP-46", "HTTP-48")
@pytest.mark.parametrize(
    "fields",
    [
        (b"Content-Length: 4", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 4"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 0"),
        (b"content-length:4", b"transfer-encoding:chunked"),
        (b"Content-Length: 4", b"X: y", b"Transfer-Encoding: identity"),
        (b"Content-Length: 4", b"Content-Length: 4", b"Transfer-Encoding: chunked"),
    ],
)
async def test_row_01_both_lengths(fields: tuple[bytes, ...]) -> None:
    async with attacked() as site:
        answer = await site.refused(post(*fields) + b"0\r\n\r\n")
        assert answer.status == 400
    assert "400 protocol_error" in site.log


LENGTHS = [
    b"Content-Length: 5,5",
    b"Content-Length: 5, 5",
    b"Content-Length: 5,6",
    b"Content-Length: +5",
    b"Content-Length: -1",
    b"Content-Length: -0",
    b"Content-Length: 0x5",
    b"Content-Length: 5.0",
    b"Content-Length: 5e0",
    b"Content-Length: 1_0",
    b"Content-Length: 5 5",
    b"Content-Length: 5;",
    b'Content-Length: "5"',
    b"Content-Length:",
    b"Content-Length: ,",
    b"Content-Length: 5,",
    "Content-Length: ５".encode(),
    "Content-Length: ٥".encode(),
    b"Content-Length: \xb2",
    b"Content-Length: five",
    b"Content-Length: 5\r\nContent-Length: 5",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Content-Length: 5\r\ncontent-length: 5",
    b"Content-Length: 5\r\nContent-Length:",
    b"Content-Length: 5\x0b",
    b"Content-Length: 5\x00",
    b"Content-Length: 00000000000000000005",
    b"Content-Length: " + b"9" * 5000,
]


@pytest.mark.spec("HTTP-49")
@pytest.mark.parametrize("field", LENGTHS)
async def test_row_02_lengths_that_are_none(field: bytes) -> None:
    async with attacked() as site:
        answer = await site.refused(post(field) + b"hello")
        assert answer.status == 400
    assert "400 protocol_error" in site.log


@pytest.mark.spec("HTTP-14")
@pytest.mark.parametrize("size", [b"104857601", b"9223372036854775807", b"9" * 19])
async def test_row_02_declared_too_long(size: bytes) -> None:
    async with attacked() as site:
        answer = await site.refused(post(b"Content-Length: " + size))
        assert answer.status == 413
    assert "413 body_too_large" in site.log


HUGE = [
    post(b"Content-Length: 9223372036854775807"),
    post(b"Content-Length: 9223372036854775808"),
    post(b"Content-Length: " + b"9" * 19),
    CHUNKED + b"7FFFFFFFFFFFFFFF\r\n",
    CHUNKED + b"8000000000000000\r\n",
    CHUNKED + b"FFFFFFFFFFFFFFFF\r\n",
    CHUNKED + b"FFFFFFFFFFFFFFF\r\n",
]


@pytest.mark.parametrize("head", HUGE)
async def test_row_02_numbers_beyond_the_machine(head: bytes) -> None:
    """With no limit for bodies, a length that no machine word holds is no way around one."""
    async with attacked(max_body_size=0) as site:
        async with await site.open() as wire:
            await wire.send(head + SMUGGLED * 20)
            wire.half_close()
            rest = await wire.rest()
            assert b" 200 " not in rest
            assert rest == b"" or rest.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))
        assert site.app.bodies == []
        assert len(site.app.seen) <= 1


CODINGS = [
    (b"Transfer-Encoding: chunked, identity", 400),
    (b"Transfer-Encoding: identity", 400),
    (b"Transfer-Encoding: identity, chunked", 501),
    (b"Transfer-Encoding: gzip, chunked", 501),
    (b"Transfer-Encoding: gzip", 400),
    (b"Transfer-Encoding: xchunked", 400),
    (b"Transfer-Encoding: chunkedx", 400),
    (b"Transfer-Encoding: chunked, chunked", 400),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
    (b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", 501),
    (b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked", 501),
    (b"Transfer-Encoding: chunked\r\nTransfer-encoding: x", 400),
    (b'Transfer-Encoding: "chunked"', 400),
    (b"Transfer-Encoding: 'chunked'", 400),
    (b"Transfer-Encoding: chunked;q=1", 400),
    (b"Transfer-Encoding: chunked;", 400),
    (b"Transfer-Encoding: chunked foo", 400),
    (b"Transfer-Encoding: chunk ed", 400),
    (b"Transfer-Encoding: ,chunked", 400),
    (b"Transfer-Encoding: chunked,", 400),
    (b"Transfer-Encoding:", 400),
    (b"Transfer-Encoding: \x0bchunked", 400),
    (b"Transfer-Encoding: chunked\x0c", 400),
    (b"Transfer-Encoding: chunked\x00", 400),
    (b"Transfer-Encoding: \x85chunked", 400),
    (b"Transfer-Encoding: chunked\xa0", 400),
    ("Transfer-Encoding: \u212ahunked".encode(), 400),
    (b"Transfer-Encoding : chunked", 400),
    (b"Transfer-Encoding\t: chunked", 400),
    (b" Transfer-Encoding: chunked", 400),
    (b"X: y\r\n Transfer-Encoding: chunked", 400),
    (b"Transfer-Encoding:\r\n chunked", 400),
    (b"Transfer-Encoding\r\n: chunked", 400),
    (b"Transfer-Encoding: chunked\nX: y", 400),
    (b"X: y\nTransfer-Encoding: chunked", 400),
    (b"X: y\rTransfer-Encoding: chunked", 400),
    (b"Transfer-Encoding\x00: chunked", 400),
    ("Transfer-Encod\u0131ng: chunked".encode(), 400),
]


@pytest.mark.spec("HTTP-50")
@pytest.mark.parametrize(("field", "status"), CODINGS)
async def test_row_03_codings_in_disguise(field: bytes, status: int) -> None:
    async with attacked() as site:
        answer = await site.refused(post(field) + b"0\r\n\r\n")
        assert answer.status == status
    assert f"{status} " in site.log


@pytest.mark.parametrize("field", [b"Transfer_Encoding: chunked", b"X-Transfer-Encoding: chunked"])
async def test_row_03_another_field_is_no_coding(field: bytes) -> None:
    """What only resembles the field does not frame: there is no body, and no confusion."""
    async with attacked() as site, await site.open() as wire:
        await wire.send(post(field) + b"0\r\n\r\n")
        assert (await wire.answer()).body == b"served 0"
        assert (await wire.refusal()).status == 400


@pytest.mark.spec("HTTP-50")
@pytest.mark.parametrize("keep", [b"Connection: keep-alive", b"X: y"])
async def test_row_03_coding_in_http_1_0(keep: bytes) -> None:
    async with attacked() as site:
        head = post(b"Transfer-Encoding: chunked", keep, version=b"1.0")
        assert (await site.refused(head + b"0\r\n\r\n")).status == 400


@pytest.mark.parametrize("name", [b"chunked", b"Chunked", b"CHUNKED", b"\tchunked \t"])
async def test_row_03_the_honest_spellings(name: bytes) -> None:
    async with attacked() as site, await site.open() as wire:
        await wire.send(post(b"Transfer-Encoding: " + name) + b"5\r\nhello\r\n0\r\n\r\n" + SMUGGLED)
        assert (await wire.answer()).body == b"served 5"
        assert (await wire.answer()).body == b"served 0"
    assert site.app.bodies[0] == b"hello"


CHUNKS = [
    b"5\r\nhelloXX0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhello\r0\r\n\r\n",
    b"5\r\nhello\r\r0\r\n\r\n",
    b"5\r\nhello\n\r0\r\n\r\n",
    b"5\r\nhell\r\n0\r\n\r\n",
    b"5\r\nhelloo\r\n0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"5\rhello\r\n0\r\n\r\n",
    b"5\r\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"\t5\r\nhello\r\n0\r\n\r\n",
    b"5x\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"-0\r\n\r\n",
    b"5_0\r\nhello\r\n0\r\n\r\n",
    b"5.\r\nhello\r\n0\r\n\r\n",
    b"5,5\r\nhello\r\n0\r\n\r\n",
    b"\r\nhello\r\n0\r\n\r\n",
    b"\r\n\r\n",
    b";\r\nhello\r\n0\r\n\r\n",
    b"g\r\nhello\r\n0\r\n\r\n",
    "５\r\nhello\r\n0\r\n\r\n".encode(),
    b"\xb2\r\nhello\r\n0\r\n\r\n",
    b"5\x00\r\nhello\r\n0\r\n\r\n",
    b"00000000000000005\r\nhello\r\n0\r\n\r\n",
    b"10000000000000000\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\n\r\n",
    b"5\r\nhello\r\n0\r\n\n",
    b"5\r\nhello\r\n0\n\n",
    b"5\r\nhello\r\n0\r\nX\r\n\r\n",
]


@pytest.mark.spec("HTTP-53")
@pytest.mark.parametrize("body", CHUNKS)
async def test_row_04_faulty_chunks(body: bytes) -> None:
    async with attacked() as site:
        answer = await site.refused(CHUNKED + body)
        assert answer.status == 400
    assert "400 protocol_error" in site.log


@pytest.mark.spec("HTTP-15", "HTTP-53")
@pytest.mark.parametrize("body", CHUNKS[:12])
async def test_row_04_faulty_chunks_behind_a_begun_body(body: bytes) -> None:
    """The application has begun to read: it learns of the fault, and the peer too."""
    async with attacked() as site:
        async with await site.open() as wire:
            await wire.send(CHUNKED + b"3\r\nabc\r\n")
            await site.app.called.wait()
            await wire.send(body + SMUGGLED * 2)
            answer = await wire.refusal()
            assert answer.status == 400
            constant(answer)
        assert site.app.ends == ["protocol_error"]
        assert site.app.bodies == []
        assert site.app.seen == [("POST", b"/")]
    assert '"POST / HTTP/1.1" 400 protocol_error' in site.log


EXTENSIONS = [
    b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    b"5;\na\r\nhello\r\n0\r\n\r\n",
    b"5;a=\nb\r\nhello\r\n0\r\n\r\n",
    b'5;a="\n"\r\nhello\r\n0\r\n\r\n',
    b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n',
    b'5;a="b\r\nhello\r\n0\r\n\r\n',
    b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
    b"5;\r\nhello\r\n0\r\n\r\n",
    b"5;;\r\nhello\r\n0\r\n\r\n",
    b"5;=\r\nhello\r\n0\r\n\r\n",
    b"5;a=\r\nhello\r\n0\r\n\r\n",
    b"5;a b\r\nhello\r\n0\r\n\r\n",
    b"5 a\r\nhello\r\n0\r\n\r\n",
    b"5;" + b"a" * 1000 + b"\r\nhello\r\n0\r\n\r\n",
    b"5" + b";a" * 1000 + b"\r\nhello\r\n0\r\n\r\n",
    b"5;a=" + b" " * 1000 + b"b\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0;" + b"a" * 1000 + b"\r\n\r\n",
]


@pytest.mark.spec("HTTP-53")
@pytest.mark.parametrize("body", EXTENSIONS)
async def test_row_05_extensions(body: bytes) -> None:
    async with attacked() as site:
        assert (await site.refused(CHUNKED + body)).status == 400


@pytest.mark.spec("HTTP-53")
async def test_row_05_endless_extension() -> None:
    """A megabyte of it is never held, only refused."""
    async with attacked() as site, await site.open() as wire:
        await wire.send(CHUNKED + b"5;" + b"a" * 1_000_000)
        assert (await wire.refusal()).status == 400
    assert site.app.seen[1:] == []


@pytest.mark.parametrize(
    "size",
    [
        b"5;a",
        b"5;a=b",
        b'5;a="b;\\" c"',
        b"5 ; a = b",
        b"005",
        b"0000000000000005",
        b"5;" + b"a" * 200,
    ],
)
async def test_row_05_honest_extensions(size: bytes) -> None:
    async with attacked() as site, await site.open() as wire:
        await wire.send(CHUNKED + size + b"\r\nhello\r\n0\r\n\r\n")
        assert (await wire.answer()).body == b"served 5"


FORBIDDEN = [
    b"Content-Length: 40",
    b"Transfer-Encoding: chunked",
    b"Host: evil",
    b"Connection: close",
    b"Authorization: Basic eA==",
    b"Cookie: a=b",
    b"Content-Type: text/html",
    b"Content-Encoding: gzip",
    b"Expect: 100-continue",
    b"X-Forwarded-For: 1.2.3.4",
    b"Trailer: a",
    b"TE: trailers",
]


@pytest.mark.spec("HTTP-11")
async def test_row_06_forbidden_trailers_are_dropped() -> None:
    async with attacked() as site, await site.open() as wire:
        trailers = b"".join(field + b"\r\n" for field in FORBIDDEN)
        await wire.send(
            CHUNKED + b"5\r\nhello\r\n0\r\n" + trailers + b"X-Sum: 1\r\n\r\n" + SMUGGLED
        )
        assert (await wire.answer()).body == b"served 5"
        assert (await wire.answer()).body == b"served 0"
        assert site.app.trailers[0] == [(b"x-sum", b"1")]
        names = [name for name, _ in site.app.scopes[0]["headers"]]
        assert names == [b"host", b"transfer-encoding"]


@pytest.mark.parametrize(
    "trailer",
    [
        b"X: y\n",
        b" X: y\r\n",
        b"X: y\r\n folded\r\n",
        b"X : y\r\n",
        b"X: \x00\r\n",
        b"X: a\rb\r\n",
        b"no colon\r\n",
        b": y\r\n",
        b"GET /smuggled HTTP/1.1\r\nHost: h\r\n",
    ],
)
async def test_row_06_malformed_trailers(trailer: bytes) -> None:
    async with attacked() as site:
        assert (await site.refused(CHUNKED + b"0\r\n" + trailer + b"\r\n")).status == 400


@pytest.mark.parametrize(
    "trailer", [b"X: " + b"a" * 1_000_000, b"a: b\r\n" * 170_000, b"X: " + b"a\r\nY: b" * 200_000]
)
async def test_row_06_huge_trailers(trailer: bytes) -> None:
    async with attacked() as site, await site.open() as wire:
        await wire.send(CHUNKED + b"0\r\n" + trailer)
        assert (await wire.refusal()).status == 431
        assert site.app.bodies == []


CUT = [
    b"",
    b"5",
    b"5\r\n",
    b"5\r\nhel",
    b"5\r\nhello",
    b"5\r\nhello\r",
    b"5\r\nhello\r\n",
    b"5\r\nhello\r\n0",
    b"5\r\nhello\r\n0\r",
    b"5\r\nhello\r\n0\r\n",
    b"5\r\nhello\r\n0\r\n\r",
    b"5\r\nhello\r\n0\r\nX: y\r\n",
]


@pytest.mark.spec("HTTP-15")
@pytest.mark.parametrize("body", CUT)
async def test_row_07_cut_body_is_never_whole(body: bytes) -> None:
    async with attacked() as site:
        async with await site.open() as wire:
            await wire.send(CHUNKED + body)
            await site.app.called.wait()
            wire.half_close()
            assert await wire.rest() == b""
        assert site.app.bodies == []
        assert site.app.ends == ["client_closed"]
    assert '"POST / HTTP/1.1" - client_closed' in site.log


@pytest.mark.spec("HTTP-15")
async def test_row_07_cut_counted_body_is_never_whole() -> None:
    async with attacked() as site:
        async with await site.open() as wire:
            await wire.send(post(b"Content-Length: 6") + b"hello")
            wire.half_close()
            assert await wire.rest() == b""
        assert site.app.bodies == []


@pytest.mark.spec("HTTP-46", "HTTP-44")
@pytest.mark.parametrize(
    ("head", "status", "options"),
    [
        (b"GET /bad path HTTP/1.1\r\nHost: h\r\n\r\n", 400, {}),
        (post(b"Content-Length: 999999999999"), 413, {}),
        (post(b"Content-Length: 400", b"Expect: later"), 417, {}),
        (post(b"Content-Length: 400", b"X: " + b"a" * 2000), 431, {"max_head_size": 1000}),
        (b"POST /%b HTTP/1.1\r\nHost: h\r\n\r\n" % (b"a" * 2000), 414, {"max_target_size": 1000}),
        (post(b"Transfer-Encoding: gzip, chunked"), 501, {}),
        (b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", 501, {}),
        (b"POST / HTTP/3.0\r\nHost: h\r\nContent-Length: 400\r\n\r\n", 505, {}),
        (b"POST / HTTP/1.1\r\nContent-Length: 400\r\n\r\n", 400, {}),
        (CHUNKED + b"400\r\n", 413, {"max_body_size": 1000}),
    ],
)
async def test_row_17_what_follows_a_refusal(
    head: bytes, status: int, options: dict[str, Any]
) -> None:
    """The body that belongs to a refused head comes packet by packet, and looks like requests."""
    async with attacked(**options) as site:
        async with await site.open() as wire:
            await wire.send(head)
            answer = await wire.answer()
            assert answer.status == status
            for _ in range(20):
                await wire.send(SMUGGLED.replace(b"smuggled", b"admin"))
                await asyncio.sleep(0)
            assert await wire.rest() == b""
        assert site.app.seen == []


class Refuser(Recorder):
    """Answers without reading."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.note(scope)
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})


@pytest.mark.spec("HTTP-16")
@pytest.mark.parametrize("size", [len(SMUGGLED) * 20, len(SMUGGLED) * 10_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_row_17_unread_body_is_no_request(size: int, chunked: bool) -> None:
    """The application answers early; its client's body is made of requests."""
    body = SMUGGLED * (size // len(SMUGGLED))
    if chunked:
        head = CHUNKED
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)
    else:
        head = post(b"Content-Length: %d" % size)
    async with attacked(Refuser(), lives=False) as site, await site.open() as wire:
        await wire.send(head)
        assert (await wire.answer()).status == 403
        last = b"GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        kept = await wire.send(body) and await wire.send(last)
        rest = await wire.rest()
        if kept and rest:
            assert rest.count(b"HTTP/1.1 403") == 1
            assert site.app.seen == [("POST", b"/"), ("GET", b"/next")]
        else:
            assert site.app.seen == [("POST", b"/")]


@pytest.mark.spec("HTTP-12")
async def test_row_18_expectation_in_http_1_0_is_ignored() -> None:
    async with attacked() as site, await site.open() as wire:
        await wire.send(post(b"Content-Length: 5", b"Expect: 100-continue", version=b"1.0"))
        await site.app.called.wait()
        await wire.send(b"hello")
        answer = await wire.answer()
        assert (answer.status, answer.body) == (200, b"served 5")


@pytest.mark.spec("HTTP-12")
async def test_row_18_no_continue_after_the_final_response() -> None:
    """Answered without reading, then read: nothing but the end may follow the response."""

    class Late(Refuser):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)
            await receive()

    async with attacked(Late(), lives=False) as site, await site.open() as wire:
        await wire.send(post(b"Content-Length: 34", b"Expect: 100-continue"))
        answer = await wire.answer()
        assert (answer.status, answer.body, answer.closes) == (403, b"no", True)
        await wire.send(SMUGGLED)
        assert await wire.rest() == b""
        assert site.app.seen == [("POST", b"/")]


@pytest.mark.spec("HTTP-12")
@pytest.mark.parametrize(
    "value", [b"200-ok", b"100-continue, x", b"100-continue;q=1", b"100-continued", b"\xff"]
)
async def test_row_18_other_expectations(value: bytes) -> None:
    async with attacked() as site:
        head = post(b"Content-Length: 5", b"Expect: " + value)
        assert (await site.refused(head)).status == 417


@pytest.mark.spec("HTTP-12")
async def test_row_18_one_continue_however_often_asked() -> None:
    async with attacked() as site, await site.open() as wire:
        await wire.send(post(b"Content-Length: 5", *[b"Expect: 100-continue"] * 20))
        assert (await wire.answer()).status == 100
        await wire.send(b"hello")
        assert (await wire.answer()).body == b"served 5"
