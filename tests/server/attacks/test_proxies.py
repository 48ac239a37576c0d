"""Clients that pass for others: PROXY headers and fields of proxies, from whoever may not."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.server.attacks.http2 import frame
from tests.server.attacks.site import Recorder, Site, attacked
from tests.server.attacks.wire import Wire, eventually
from tests.server.certificates import certificates, client_context
from tests.server.http2_client import connect_http2
from tests.unit.protocol.proxy_headers import LOCAL, line, version_2

CERT = certificates()
ME = "127.0.0.1"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REQUEST = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
HEADERS = {"1": line(), "2": version_2(), "local": LOCAL, "unknown": b"PROXY UNKNOWN\r\n"}


async def ask(site: Site, *fields: bytes) -> dict[str, Any]:
    """Make a request with these lines; return the scope it made."""
    async with await Wire.open(site.port) as wire:
        await wire.send(b"\r\n".join([b"GET / HTTP/1.1", b"Host: h", *fields, b"", b""]))
        assert (await wire.answer()).status == 200
    scope: dict[str, Any] = site.app.scopes[-1]
    return scope


def ends(scope: dict[str, Any]) -> tuple[str, str, bytes]:
    """Return the address of the client, the scheme and the host of a scope."""
    host = next(value for name, value in scope["headers"] if name == b"host")
    return scope["client"][0], scope["scheme"], host


# --- row 31: PROXY headers --------------------------------------------------------------------


@pytest.mark.parametrize("follows", [REQUEST, PREFACE + frame("SETTINGS")], ids=["h1", "h2"])
@pytest.mark.parametrize("name", HEADERS)
async def test_row_31_where_it_is_not_spoken_it_is_a_malformed_request(
    name: str, follows: bytes
) -> None:
    """Also from a peer that is trusted: nobody may switch it on but the configuration."""
    async with attacked(trusted_proxies=ME) as site:
        answer = await site.refused(HEADERS[name] + follows)
        assert answer.status == 400
    assert ends(site.app.scopes[-1])[0] == ME


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("name", HEADERS)
async def test_row_31_a_peer_that_is_not_trusted(name: str, tls: bool) -> None:
    options = {
        "listen": [
            "plain:127.0.0.1:0",
            {"host": ME, "port": 0, "proxy_protocol": True, "role": "serve" if tls else "plain"},
        ],
        "trusted_proxies": ["10.0.0.0/8", "unix", "::1"],
        **CERT.options,
    }
    async with attacked(**options) as site:
        async with await Wire.open(site.server.sockets[1].port or 0) as wire:
            await wire.send(HEADERS[name] + REQUEST)
            assert await wire.rest() == b""
            assert not wire.was_reset
        assert site.app.seen == []
        told = [each.getMessage() for each in site.records if each.levelname == "WARNING"]
        assert told == [
            f"{ME}: refused: a PROXY header of a peer that is not one of trusted_proxies"
        ]


async def test_row_31_a_peer_that_is_not_trusted_and_does_not_pretend() -> None:
    async with attacked(proxy_protocol=True, trusted_proxies="10.0.0.1") as site:
        scope = await ask(site, b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-Proto: https")
        assert ends(scope) == (ME, "http", b"h")
        for begun in (b"P", b"PROXY", b"\r", b"\r\n\r\n\0"):
            # Whether it is one cannot be seen yet; HTTP does not take it either.
            async with await Wire.open(site.port) as wire:
                await wire.send(begun)
                await asyncio.sleep(0.05)
                header = line() if begun[:1] == b"P" else version_2()
                await wire.send(header[len(begun) :] + REQUEST)
                assert (await wire.refusal()).status == 400


@pytest.mark.parametrize(
    "sent",
    [
        REQUEST,
        PREFACE,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n" + REQUEST,
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 99999\r\n" + REQUEST,
        b"PROXY TCP4 " + b"1" * 200,
        version_2()[:12] + b"\x21\x11\xff\xff" + bytes(1000),
        version_2(checksum=True)[:-1] + b"\0" + REQUEST,
        b"\0" * 1000,
    ],
)
async def test_row_31_a_trusted_peer_must_speak_it(sent: bytes) -> None:
    options = {"listen": ["127.0.0.1:0", {"host": ME, "port": 0, "proxy_protocol": True}]}
    async with attacked(trusted_proxies=ME, **options) as site:
        async with await Wire.open(site.server.sockets[1].port or 0) as wire:
            await wire.send(sent)
            assert await wire.rest() == b""
        assert site.app.seen == []
        told = [each.getMessage() for each in site.records if each.levelname == "WARNING"]
        assert len(told) == 1
        assert "the PROXY header is faulty or missing" in told[0]


async def test_row_31_a_second_header() -> None:
    """The client may send one of its own behind that of the proxy."""
    options = {"listen": ["127.0.0.1:0", {"host": ME, "port": 0, "proxy_protocol": True}]}
    async with attacked(trusted_proxies=ME, **options) as site:
        for header in HEADERS.values():
            async with await Wire.open(site.server.sockets[1].port or 0) as wire:
                await wire.send(line() + header + REQUEST)
                assert (await wire.refusal()).status == 400
        assert site.app.seen == []


async def test_row_31_headers_that_never_end_cost_little() -> None:
    options = {"listen": ["127.0.0.1:0", {"host": ME, "port": 0, "proxy_protocol": True}]}
    async with attacked(trusted_proxies=ME, header_timeout=1.0, **options) as site:
        wires = [await Wire.open(site.server.sockets[1].port or 0) for _ in range(100)]
        for wire in wires:
            await wire.send(version_2(tlvs=[(4, bytes(3000))])[:-1])
        for wire in wires:
            assert await wire.rest() == b""
            wire.close()
        await eventually(lambda: site.server._worker.connections == 0)


# --- row 32: fields of proxies ----------------------------------------------------------------

SPOOFED = [
    b"X-Forwarded-For: 6.6.6.6",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: evil.example",
    b"X-Forwarded-Port: 443",
    b"X-Forwarded: for=6.6.6.6",
    b"Forwarded: for=6.6.6.6;proto=https;host=evil.example",
    b"X-Real-IP: 6.6.6.6",
    b"Client-IP: 6.6.6.6",
    b"True-Client-IP: 6.6.6.6",
    b"X-Forwarded-Scheme: https",
    b"X-Url-Scheme: https",
    b"Front-End-Https: on",
    b"X-Forwarded-Ssl: on",
]
REAL = [b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: real"]


@pytest.mark.spec("HTTP-59")
@pytest.mark.parametrize("family", ["none", "x-forwarded", "forwarded"])
@pytest.mark.parametrize("trusted", [[], ["10.0.0.0/8", "unix", "::/0"]])
async def test_row_32_from_a_peer_that_is_not_trusted(trusted: list[str], family: str) -> None:
    async with attacked(trusted_proxies=trusted, forwarded=family) as site:
        assert ends(await ask(site, *SPOOFED)) == (ME, "http", b"h")
        assert len(site.app.scopes[-1]["headers"]) == 1 + len(SPOOFED)
    assert "6.6.6.6" not in re.sub(r'"[^"]*"', "", site.log)


async def test_row_32_the_family_that_is_not_read() -> None:
    async with attacked(trusted_proxies=ME) as site:
        assert ends(await ask(site, SPOOFED[5], *SPOOFED[6:], *REAL)) == (
            "192.0.2.1",
            "https",
            b"real",
        )
        assert ends(await ask(site, SPOOFED[5])) == (ME, "http", b"h")
    async with attacked(trusted_proxies=ME, forwarded="forwarded") as site:
        real = b"Forwarded: for=192.0.2.1;proto=https;host=real"
        assert ends(await ask(site, *SPOOFED[:5], real)) == ("192.0.2.1", "https", b"real")
        assert ends(await ask(site, *SPOOFED[:5])) == (ME, "http", b"h")


@pytest.mark.spec("HTTP-62")
@pytest.mark.parametrize(
    "told",
    [
        b"6.6.6.6",
        b"6.6.6.6, 127.0.0.1",
        b"127.0.0.1, 127.0.0.1",
        b"10.0.0.1",
        b"rubbish",
        b'"',
        b"<script>alert(1)</script>",
        b",,,,",
        b"\xff\xfe",
        b"unknown",
        b"1.2.3.4," * 5000,
        b"127.0.0.1," * 40,
    ],
)
@pytest.mark.parametrize("separate", [False, True])
async def test_row_32_what_a_client_adds_on_the_left(told: bytes, separate: bool) -> None:
    """The proxy appends the address it sees; nothing that the client says hides it."""
    line = b"X-Forwarded-For: "
    fields = [line + told, line + b"192.0.2.1"] if separate else [line + told + b", 192.0.2.1"]
    async with attacked(trusted_proxies=[ME, "10.0.0.0/8"]) as site:
        assert ends(await ask(site, *fields, *REAL[1:])) == ("192.0.2.1", "https", b"real")
    assert '192.0.2.1 "GET / HTTP/1.1" 200' in site.log


@pytest.mark.parametrize("told", [b'for="', b'for="6.6.6.6, x', b"for=6.6.6.6;proto=", b'a="\\'])
async def test_row_32_a_quotation_mark_that_is_left_open(told: bytes) -> None:
    async with attacked(trusted_proxies=ME, forwarded="forwarded") as site:
        field = b"Forwarded: " + told + b", for=192.0.2.1;proto=https;host=real"
        assert ends(await ask(site, field)) == ("192.0.2.1", "https", b"real")


@pytest.mark.spec("HTTP-62")
@pytest.mark.parametrize(
    "spoiled",
    [
        [b"X-Forwarded-For: 192.0.2.1, nonsense"],
        [b"X-Forwarded-For: 192.0.2.1:99999"],
        [b"X-Forwarded-For: 192.0.2.1, for=127.0.0.1"],
        [b"X-Forwarded-For: " + b", ".join([ME.encode()] * 40)],
        [*REAL[:1], b"X-Forwarded-Proto: ftp"],
        [*REAL[:1], b"X-Forwarded-Proto: https,http"],
        [*REAL, b"X-Forwarded-Proto: http"],
        [*REAL, b"X-Forwarded-Host: evil"],
        [*REAL[:2], b"X-Forwarded-Host: evil/admin?"],
        [*REAL[:2], b"X-Forwarded-Host: me@evil"],
        [*REAL[:2], b"X-Forwarded-Host: a, b"],
        [*REAL[:2], b"X-Forwarded-Host:"],
    ],
)
async def test_row_32_rubbish_and_duplicates_are_ignored_as_a_whole(spoiled: list[bytes]) -> None:
    async with attacked(trusted_proxies=ME) as site:
        assert ends(await ask(site, *spoiled)) == (ME, "http", b"h")
        assert any("not believed" in each.getMessage() for each in site.records)


async def test_row_32_whoever_is_a_peer_may_not_name_itself() -> None:
    """``*`` trusts the peer, for the one step it knows of."""
    async with attacked(trusted_proxies="*") as site:
        scope = await ask(site, b"X-Forwarded-For: 127.0.0.1, 6.6.6.6, 192.0.2.1")
        assert scope["client"] == ("192.0.2.1", 0)


async def test_row_32_the_admin_listener_reads_no_fields() -> None:
    """A page whose name leads to this machine may write them, and may not read the answers."""
    async with attacked(trusted_proxies=ME, admin="127.0.0.1:0") as site:
        admin = next(each.port for each in site.server.sockets if each.listen.role == "admin")
        statuses = []
        for field in (b"", b"X-Forwarded-Host: localhost\r\n"):
            async with await Wire.open(admin) as wire:
                await wire.send(b"GET /status HTTP/1.1\r\nHost: evil.example\r\n%b\r\n" % field)
                statuses.append((await wire.answer()).status)
        assert statuses[0] >= 400
        assert statuses[1] == statuses[0]


async def test_row_32_ports_and_brackets() -> None:
    async with attacked(trusted_proxies=ME) as site:
        for text, client in (
            (b"192.0.2.1:80", ("192.0.2.1", 80)),
            (b"[2001:db8::1]:80", ("2001:db8::1", 80)),
            (b"2001:DB8::1", ("2001:db8::1", 0)),
            (b"::ffff:192.0.2.1", ("192.0.2.1", 0)),
        ):
            assert (await ask(site, b"X-Forwarded-For: " + text))["client"] == client


@pytest.mark.spec("HTTP-7")
@pytest.mark.parametrize("trusted", [[], [ME]])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_row_32_the_scheme_of_http2(scheme: str, trusted: list[str]) -> None:
    """Written by whoever is the client: it makes no connection secure."""
    for options, real in (({}, "http"), (CERT.options, "https")):
        app = Recorder()
        async with attacked(app, lives=not options, trusted_proxies=trusted, **options) as site:
            tls = client_context("h2") if options else None
            async with connect_http2(site.port, tls) as client:
                await client.request(pseudo=[(":scheme", scheme)]).answer()
            assert app.scopes[0]["scheme"] == real


async def test_row_32_nothing_stays_for_the_next_request() -> None:
    app = Recorder()
    async with attacked(app, trusted_proxies=ME) as site, await site.open() as wire:
        request = b"GET / HTTP/1.1\r\nHost: h\r\n"
        real = b"".join(field + b"\r\n" for field in REAL)
        await wire.send((request + real + b"\r\n" + request + b"\r\n") * 3)
        for _ in range(6):
            assert (await wire.answer()).status == 200
        assert [ends(scope) for scope in app.scopes] == [
            ("192.0.2.1", "https", b"real"),
            (ME, "http", b"h"),
        ] * 3
