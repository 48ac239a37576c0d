"""Attacks by malformed heads, hosts and targets (rows 8, 9, 10, 16, 21, 62)."""

from __future__ import annotations

import pytest

from tests.server.attacks.site import attacked

HOST = b"Host: h\r\n"


def get(field: bytes) -> bytes:
    """Make a head of GET with a field line, which brings its own line end."""
    return b"GET / HTTP/1.1\r\n" + HOST + field + b"\r\n"


HEADS = [
    # request lines
    b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r" + HOST + b"\r\n",
    b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /  HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n",
    b" GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\tGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / \tHTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /\x0bHTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / x HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /\r\n" + HOST + b"\r\n",
    b"GET\r\n" + HOST + b"\r\n",
    b"GET / \r\n" + HOST + b"\r\n",
    b"GET HTTP/1.1\r\n" + HOST + b"\r\n",
    b"/ HTTP/1.1\r\n" + HOST + b"\r\n",
    b"G\x00T / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"G(T / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"G\xc3\x89T / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET: / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\rGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    # versions
    b"GET / http/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/11\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.\r\n" + HOST + b"\r\n",
    b"GET / HTTP/.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.10\r\n" + HOST + b"\r\n",
    b"GET / HTTP/01.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/+1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.x\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.\xb2\r\n" + HOST + b"\r\n",
    b"GET / HTTP /1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTPS/1.1\r\n" + HOST + b"\r\n",
    b"GET / ICY/1.1\r\n" + HOST + b"\r\n",
    # line ends
    get(b"A: b\n"),
    get(b"A: b\nB: c\r\n"),
    get(b"A: b\r\r\n"),
    get(b"A: b\rB: c\r\n"),
    get(b"A: b\n\r\n"),
    get(b"A: b\r\n\n"),
    get(b"A: b\n\n"),
    # folded lines
    get(b"A: b\r\n c\r\n"),
    get(b"A: b\r\n\tc\r\n"),
    get(b" A: b\r\n"),
    get(b"\tA: b\r\n"),
    get(b" \r\nA: b\r\n"),
    b"GET / HTTP/1.1\r\n " + HOST + b"\r\n",
    # names
    get(b"A : b\r\n"),
    get(b"A\t: b\r\n"),
    get(b": b\r\n"),
    get(b"A\r\n"),
    get(b"A b: c\r\n"),
    get(b"A\x00: b\r\n"),
    get(b"A\x0b: b\r\n"),
    get(b"A\x7f: b\r\n"),
    get(b"A\xe9: b\r\n"),
    get(b"A/B: c\r\n"),
    get(b"A@: c\r\n"),
    get(b'"A": c\r\n'),
    get(b"A[0]: c\r\n"),
    get(b"{A}: c\r\n"),
    get(b"A;B: c\r\n"),
    get(b"A,B: c\r\n"),
    get(b"A=B: c\r\n"),
    # values
    get(b"A: b\x00c\r\n"),
    get(b"A: \x00\r\n"),
    get(b"A: b\x01\r\n"),
    get(b"A: b\x08c\r\n"),
    get(b"A: b\x0bc\r\n"),
    get(b"A: b\x0cc\r\n"),
    get(b"A: b\x1bc\r\n"),
    get(b"A: b\x1cc\r\n"),
    get(b"A: b\x1d\r\n"),
    get(b"A: b\x1e\r\n"),
    get(b"A: \x1f\r\n"),
    get(b"A: b\x7fc\r\n"),
    # names that the parser knows, with values that it remembers
    get(b"User-Agent: curl\x00/8\r\n"),
    get(b"User-Agent: curl/8\x0b\r\n"),
    get(b"Accept: text/html\r\n folded\r\n"),
    get(b"Cookie: a=b\x00\r\n"),
    get(b"Connection: keep-alive\x00\r\n"),
    get(b"Connection : keep-alive\r\n"),
]


@pytest.mark.spec("HTTP-44", "HTTP-52")
@pytest.mark.parametrize("head", HEADS)
async def test_row_08_malformed_heads(head: bytes) -> None:
    async with attacked() as site:
        assert (await site.refused(head)).status == 400
    assert "400 protocol_error" in site.log


@pytest.mark.parametrize("place", [0, 5, 7, 8, 9, 15, 16, 23, 40])
@pytest.mark.parametrize("byte", [0, 1, 8, 10, 11, 13, 27, 31, 127])
async def test_row_08_a_control_character_anywhere_in_a_value(place: int, byte: int) -> None:
    """At every offset: a reader of several bytes at once must not step over it."""
    value = bytearray(b"a" * 41)
    value[place] = byte
    async with attacked() as site:
        for name in (b"X", b"User-Agent", b"X-Unknown-To-All"):
            answer = await site.refused(get(name + b": " + bytes(value) + b"\r\n"))
            assert answer.status == 400


async def test_row_08_all_bytes_that_a_value_may_hold() -> None:
    value = bytes([9, *range(32, 127), *range(128, 256)]).strip()
    async with attacked() as site, await site.open() as wire:
        await wire.send(get(b"A: \t " + value + b" \t\r\n"))
        assert (await wire.answer()).status == 200
        assert site.app.scopes[0]["headers"] == [(b"host", b"h"), (b"a", value)]


@pytest.mark.parametrize("chosen", range(0, len(HEADS), 3))
async def test_row_08_malformed_behind_an_honest_request(chosen: int) -> None:
    """The honest request is answered, the other refused, and nothing is read on."""
    async with attacked() as site:
        async with await site.open() as wire:
            await wire.send(b"GET /honest HTTP/1.1\r\nHost: h\r\n\r\n" + HEADS[chosen])
            assert (await wire.answer()).status == 200
            assert (await wire.refusal()).status == 400
        assert site.app.seen == [("GET", b"/honest")]


async def test_row_08_malformed_heads_in_pieces() -> None:
    """The verdict does not depend on packets."""
    async with attacked() as site:
        for head in HEADS[::9]:
            async with await site.open() as wire:
                for index in range(len(head)):
                    if not await wire.send(head[index : index + 1]):
                        break
                assert (await wire.refusal()).status == 400
        assert site.app.seen == []


HOSTS = [
    b"Host: a/admin?",
    b"Host: a/admin",
    b"Host: a?x",
    b"Host: a#x",
    b"Host: a@b",
    b"Host: user:pass@b",
    b"Host: a b",
    b"Host: a,b",
    b"Host: a, b",
    b"Host: a\tb",
    b"Host: a\\b",
    b"Host: <a>",
    b"Host: a'\"",
    b"Host: {a}",
    b"Host: a|b",
    b"Host: a^b",
    b"Host: a`b",
    b"Host: %zz",
    b"Host: a%",
    b"Host: http://a",
    b"Host: //a",
    b"Host: a:b",
    b"Host: a:80:80",
    b"Host: a:-1",
    b"Host: a:+80",
    b"Host: a:65536",
    b"Host: a:999999",
    b"Host: a: 80",
    b"Host: ::1",
    b"Host: [::1",
    b"Host: ::1]",
    b"Host: [::1]x",
    b"Host: [::1]:x",
    b"Host: [:::1]",
    b"Host: [1:2:3:4:5:6:7:8:9]",
    b"Host: [::1%25eth0]",
    b"Host: [a/b]",
    b"Host: []",
    b"Host: h\xe9",
    b"Host: \xff",
    "Host: h\u2024com".encode(),
    b"Host: h\x00",
    b"Host: a\x0b",
    b"Host: a\r\nHost: a",
    b"Host: a\r\nHost: b",
    b"Host: a\r\nhost: b",
    b"Host: a\r\nHost:",
    b"Host: a\r\nX: y\r\nHOST: b",
    b"Host: a\r\n" * 50 + b"X: y",
    b"X: y",
    b"X-Host: a",
    b"Host : a",
    b" Host: a",
]


@pytest.mark.spec("HTTP-51")
@pytest.mark.parametrize("host", HOSTS)
async def test_row_09_hosts(host: bytes) -> None:
    async with attacked() as site:
        answer = await site.refused(b"GET /path HTTP/1.1\r\n" + host + b"\r\n\r\n")
        assert answer.status == 400


@pytest.mark.spec("HTTP-51")
async def test_row_09_hosts_after_a_good_one_was_remembered() -> None:
    """What was seen before on another connection excuses nothing."""
    long = b"Host: a-host-long-enough-to-be-remembered.example\r\n"
    async with attacked() as site:
        for _ in range(3):
            async with await site.open() as wire:
                await wire.send(b"GET / HTTP/1.1\r\n" + long + b"\r\n")
                assert (await wire.answer()).status == 200
        for lines in (long * 2, long + b"Host: b\r\n", b"Host: b\r\n" + long):
            assert (await site.refused(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")).status == 400


@pytest.mark.spec("HTTP-51")
@pytest.mark.parametrize(
    "lines", [b"", b"Host: a\r\n", b"Host:\r\n", b"Host: a\r\nHost: a\r\n", b"Host: a/b\r\n"]
)
async def test_row_09_hosts_of_http_1_0(lines: bytes) -> None:
    """There it may be missing, but not double or malformed."""
    async with attacked() as site, await site.open() as wire:
        await wire.send(b"GET / HTTP/1.0\r\n" + lines + b"\r\n")
        expected = 400 if lines.count(b"Host") > 1 or b"/" in lines else 200
        assert (await wire.answer()).status == expected


TARGETS = [
    (b"GET *", 400),
    (b"POST *", 400),
    (b"HEAD *", 400),
    (b"OPTIONS *", b"*"),
    (b"OPTIONS **", 400),
    (b"GET h:80", 400),
    (b"GET h", 400),
    (b"OPTIONS h:80", 400),
    (b"GET x/y", 400),
    (b"GET ?x", 400),
    (b"GET #x", 400),
    (b"GET /#x", 400),
    (b"GET /a?b#c", 400),
    (b"GET http://x/", b"/"),
    (b"GET http://x", b"/"),
    (b"GET http://x/a/b?c", b"/a/b"),
    (b"GET HTTP://X/a", b"/a"),
    (b"GET http://x?c", b"/"),
    (b"GET http://x:80/a", b"/a"),
    (b"GET http://[::1]:80/a", b"/a"),
    (b"OPTIONS http://x", b"*"),
    (b"OPTIONS http://x/", b"/"),
    (b"GET http:///a", 400),
    (b"GET http://", 400),
    (b"GET http:/a", 400),
    (b"GET http:a", 400),
    (b"GET http://:80/a", 400),
    (b"GET http://u@x/a", 400),
    (b"GET http://u:p@x/a", 400),
    (b"GET http://x y/a", 400),
    (b"GET http://x\\y/a", 400),
    (b"GET http://x:99999/a", 400),
    (b"GET http://x:y/a", 400),
    (b"GET http://x/a#b", 400),
    (b"GET ftp://x/a", 400),
    (b"GET file:///etc/passwd", 400),
    (b"GET javascript:x", 400),
    (b"GET //x/a", b"//x/a"),
    (b"GET /..//../a", b"/..//../a"),
    (b"GET /%2e%2e/%00", b"/%2e%2e/%00"),
    (b"GET /%", b"/%"),
    (b"GET /\x00", 400),
    (b"GET /\x7f", 400),
    (b"GET /\xe9", 400),
    (b"GET /\x1b[2J", 400),
    (b"CONNECT h:80", 501),
    (b"CONNECT /", 400),
    (b"CONNECT http://h/", 400),
    (b"CONNECT h", 400),
    (b"CONNECT :80", 400),
    (b"CONNECT *", 400),
    (b"PRI *", 400),
    (b"get /", b"/"),
]


@pytest.mark.spec("HTTP-6", "HTTP-44")
@pytest.mark.parametrize(("line", "expected"), TARGETS)
async def test_row_10_targets(line: bytes, expected: int | bytes) -> None:
    head = line + b" HTTP/1.1\r\nHost: h\r\n\r\n"
    async with attacked() as site:
        if isinstance(expected, int):
            assert (await site.refused(head)).status == expected
            return
        async with await site.open() as wire:
            await wire.send(head)
            assert (await wire.answer()).status == 200
        assert site.app.seen == [(line.partition(b" ")[0].decode(), expected)]


@pytest.mark.spec("HTTP-6")
async def test_row_10_the_authority_of_the_target_wins() -> None:
    """Else an application and a cache in front would take the request for two sites."""
    async with attacked() as site, await site.open() as wire:
        await wire.send(b"GET http://good/x HTTP/1.1\r\nA: b\r\nHost: evil\r\n\r\n")
        assert (await wire.answer()).status == 200
        assert site.app.scopes[0]["headers"] == [(b"a", b"b"), (b"host", b"good")]


@pytest.mark.parametrize("host", [b"", b"Host: a\r\nHost: a\r\n", b"Host: a/b\r\n"])
async def test_row_10_an_absolute_target_excuses_no_host(host: bytes) -> None:
    async with attacked() as site:
        head = b"GET http://x/ HTTP/1.1\r\n" + host + b"\r\n"
        assert (await site.refused(head)).status == 400


async def test_row_10_preface_of_http_2_where_it_is_not_spoken() -> None:
    async with attacked(http2=False) as site:
        answer = await site.refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
        assert answer.status == 505


CLIENT_HELLO = bytes.fromhex(
    "16030100c8010000c40303" + "ab" * 32 + "20" + "cd" * 32 + "0004130113030100" + "00" * 90
)


@pytest.mark.parametrize(
    "data",
    [
        CLIENT_HELLO,
        b"\x16",
        b"\x80\x2e\x01\x03\x01",
        b"\x00" * 400,
        b"\xff" * 400,
        b"\r\n\x16\x03\x01",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n",
        b"\r\n\r\n\x00\r\nQUIT\n" + bytes(50),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"EHLO x\r\n",
        b"\x05\x01\x00",
    ],
)
async def test_row_16_other_protocols_on_the_port(data: bytes) -> None:
    """A TLS handshake on a plain port, and others: a clean refusal, not a hang."""
    async with attacked() as site:
        async with await site.open() as wire:
            await wire.send(data)
            wire.half_close()
            rest = await wire.rest()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert site.app.seen == []


async def test_row_16_handshake_is_refused_at_once() -> None:
    """The first byte tells; nobody waits for the others."""
    async with attacked() as site:
        assert (await site.refused(CLIENT_HELLO)).status == 400
        async with await site.open() as wire:
            await wire.send(CLIENT_HELLO[:1])
            assert (await wire.refusal()).status == 400
    assert site.log.count("400 protocol_error") == 2


@pytest.mark.spec("WS-3")
@pytest.mark.parametrize(
    "protocol", [b"\x80", b"\xff\xfe", "é".encode(), b"a, \xe9", b"a b", b"a;b"]
)
async def test_row_21_subprotocol_that_is_no_token(protocol: bytes) -> None:
    async with attacked() as site:
        request = (
            b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Protocol: " + protocol + b"\r\n\r\n"
        )
        assert (await site.refused(request)).status == 400
        assert site.app.scopes == []


async def test_row_21_control_characters_in_it() -> None:
    async with attacked() as site:
        assert (await site.refused(get(b"Sec-WebSocket-Protocol: \x0b\r\n"))).status == 400


MARKED = b"<script>zq9</script>"


@pytest.mark.spec("HTTP-45")
@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + MARKED + b" x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + MARKED + b"\r\n\r\n",
        b"zq9/ / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/zq9\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + MARKED + b": x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: \x00" + MARKED + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + MARKED + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nExpect: " + MARKED + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: zq9, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + MARKED,
    ],
)
async def test_row_62_nothing_is_reflected(data: bytes) -> None:
    async with attacked() as site, await site.open() as wire:
        await wire.send(data + b"\r\n")
        wire.half_close()
        rest = await wire.rest()
        assert rest.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501"))
        assert b"zq9" not in rest
        assert b"script" not in rest
    assert "zq9" not in site.log


@pytest.mark.spec("HTTP-45")
async def test_row_62_a_failed_application_tells_nothing() -> None:
    async def fails(scope: object, receive: object, send: object) -> None:
        raise ValueError("the password is zq9")

    async with attacked(fails, errors_expected=True, lives=False) as site:
        async with await site.open() as wire:
            await wire.send(get(b""))
            answer = await wire.refusal()
        assert answer.status == 500
        assert answer.body == b"Internal Server Error"
    assert '"GET / HTTP/1.1" 500' in site.log
    assert site.errors() == ["the application failed; answered with 500"]
