"""Behind proxies: whom the server believes, and that every kind of scope shows it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pagi.server.config import ConfigError
from tests.server.attacks.wire import eventually
from tests.server.certificates import certificates, client_context
from tests.server.client import connect, serving
from tests.server.conftest import Told as Log
from tests.server.conftest import told
from tests.server.http2_client import connect_http2
from tests.server.proxied import KINDS, ask, behind, tells_ends
from tests.unit.protocol.proxy_headers import LOCAL, line, version_2

__all__ = ["told"]

CERT = certificates()
CLIENT, SERVER = ("192.0.2.1", 56324), ("198.51.100.1", 443)
CLIENT6, SERVER6 = ("2001:db8::1", 1), ("2001:db8::2", 2)
ME = "127.0.0.1"

HEADERS = {
    "version 1": (line(), CLIENT, SERVER),
    "version 1, IPv6": (line(CLIENT6, SERVER6), CLIENT6, SERVER6),
    "version 2": (version_2(), CLIENT, SERVER),
    "version 2, IPv6": (version_2(CLIENT6, SERVER6), CLIENT6, SERVER6),
    "TLVs": (version_2(tlvs=[(2, b"a.example"), (4, bytes(500))], checksum=True), CLIENT, SERVER),
}


def serve(**options: Any) -> Any:
    """Serve where this machine is a trusted proxy."""
    options = {"trusted_proxies": ME, "lifespan": "off", "interface": "pagi", **options}
    return serving(tells_ends, **options)


# --- the PROXY protocol -----------------------------------------------------------------------


@pytest.mark.spec("HTTP-60")
@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("kind", KINDS)
async def test_stated_ends(kind: str, name: str) -> None:
    header, client, server = HEADERS[name]
    async with serve(proxy_protocol=True) as site, behind(site, header) as proxy:
        told = await ask(kind, proxy)
    assert (told.client, told.server) == (client, server)
    assert told.type == ("websocket" if kind == "websocket" else kind.partition("/")[0])
    assert told.scheme == ("ws" if kind == "websocket" else "http")


@pytest.mark.spec("HTTP-60")
@pytest.mark.parametrize("alpn", ["http/1.1", "h2"])
async def test_stated_ends_of_an_encrypted_connection(alpn: str) -> None:
    async with serve(proxy_protocol=True, **CERT.options) as site:
        async with behind(site, version_2(), client_context(alpn)) as proxy:
            told = await ask("http/2" if alpn == "h2" else "http/1.1", proxy)
        async with behind(site, line(), client_context("http/1.1")) as proxy:
            other = await ask("websocket", proxy)
    assert (told.client, told.server, told.scheme) == (CLIENT, SERVER, "https")
    assert (other.client, other.server, other.scheme) == (CLIENT, SERVER, "wss")


@pytest.mark.parametrize("tls", [False, True])
async def test_a_header_in_pieces(tls: bool) -> None:
    """The first bytes of what follows come with its last ones."""
    options = CERT.options if tls else {}
    header = version_2(tlvs=[(4, bytes(50))])
    async with serve(proxy_protocol=True, **options) as site:
        for piece in (1, 15, 16, 30):
            async with behind(site) as proxy:
                for start in range(0, len(header), piece):
                    proxy.send(header[start : start + piece])
                    await asyncio.sleep(0.001)
                if tls:
                    await proxy.writer.start_tls(client_context(), server_hostname="localhost")
                told = await ask("http/1.1", proxy)
                assert told.client == CLIENT
        async with behind(site) as proxy:
            proxy.send(header + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 2 if not tls else header)
            if not tls:
                for _ in range(2):
                    assert b"192.0.2.1" in (await proxy.response()).body


@pytest.mark.parametrize(
    "header", [LOCAL, b"PROXY UNKNOWN\r\n", version_2()[:13] + b"\0\0\0"], ids=["L", "U1", "U2"]
)
async def test_what_states_nothing(header: bytes) -> None:
    """Such as the proxy's own look whether we live."""
    async with serve(proxy_protocol=True) as site, behind(site, header) as proxy:
        told = await ask("http/1.1", proxy)
        assert told.client is not None
        assert told.client[0] == ME
        assert told.server == (ME, site.port)


@pytest.mark.spec("HTTP-60")
@pytest.mark.parametrize("tls", [True, False])
async def test_a_proxy_that_speaks_tls_with_the_client(tls: bool) -> None:
    value = bytes([tls, 0, 0, 0, 0])
    async with serve(proxy_protocol=True) as site:
        for kind in ("http/1.1", "http/2", "websocket"):
            async with behind(site, version_2(tlvs=[(0x20, value)])) as proxy:
                told = await ask(kind, proxy)
                plain, secure = ("ws", "wss") if kind == "websocket" else ("http", "https")
                assert told.scheme == (secure if tls else plain)


async def test_unix_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    options = {"socket": path, "proxy_protocol": True, "trusted_proxies": "unix"}
    async with serve(**options):
        async with behind(path, line()) as proxy:
            told = await ask("http/2", proxy)
            assert (told.client, told.server) == (CLIENT, SERVER)
        async with behind(path, version_2("", "/run/proxy")) as proxy:
            told = await ask("http/1.1", proxy)
            assert (told.client, told.server) == (None, ("/run/proxy", None))
        async with behind(path, LOCAL) as proxy:
            told = await ask("http/1.1", proxy)
            assert (told.client, told.server) == (None, (path, None))


async def test_each_listener_for_itself() -> None:
    places = [
        "127.0.0.1:0",
        {"host": "127.0.0.1", "port": 0, "proxy_protocol": True},
        {"host": "127.0.0.1", "port": 0, "proxy_protocol": True, "role": "plain"},
    ]
    async with serve(listen=places, **CERT.options) as site:
        ports = [each.port for each in site.sockets]
        async with connect(site, tls=client_context()) as client:
            assert (await ask("http/1.1", client)).client[0] == ME
        async with behind(ports[1], line(), client_context()) as proxy:
            assert (await ask("http/1.1", proxy)).client == CLIENT
        async with behind(ports[2], line()) as proxy:
            assert (await ask("http/1.1", proxy)).client == CLIENT


async def test_redirects_behind_a_proxy() -> None:
    places = ["127.0.0.1:0", {"host": "127.0.0.1", "port": 0, "role": "redirect"}]
    async with serve(listen=places, proxy_protocol=True, **CERT.options) as site:
        async with behind(site.sockets[1].port or 0, line()) as proxy:
            fields = [("X-Forwarded-Host", "example.org")]
            answer = await proxy.request("/x", headers=fields)
            assert (answer.status, answer["location"]) == (
                308,
                f"https://test:{site.port}/x".encode(),
            )
    async with serve(listen=places, **CERT.options) as site:
        async with behind(site.sockets[1].port or 0) as proxy:
            answer = await proxy.request("/x", headers=fields)
            assert answer["location"] == f"https://example.org:{site.port}/x".encode()


async def test_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with serve(proxy_protocol=True, access_log=str(log), access_log_format="%h %s") as site:
        for kind in KINDS:
            async with behind(site, line()) as proxy:
                await ask(kind, proxy)
        async with behind(site, line()) as proxy:
            proxy.send("rubbish\r\n\r\n")
            await proxy.rest()
        async with behind(site, LOCAL) as proxy:
            await ask("http/1.1", proxy)
    lines = log.read_text().splitlines()
    assert sorted(lines) == sorted(
        ["192.0.2.1 200"] * 4 + ["192.0.2.1 101", "192.0.2.1 400", f"{ME} 200"]
    )


@pytest.mark.parametrize("tls", [False, True])
async def test_whoever_says_nothing_is_closed_at_the_deadline(tls: bool) -> None:
    options = CERT.options if tls else {}
    async with serve(proxy_protocol=True, header_timeout=0.1, **options) as site:
        for begun in (b"", b"PROXY TCP4", version_2()[:20]):
            async with behind(site, begun) as proxy:
                assert await proxy.rest() == b""
        await eventually(lambda: site._worker.connections == 0)


async def test_leaving_at_every_byte(told: Log) -> None:
    header = version_2()
    async with serve(proxy_protocol=True) as site:
        for size in range(len(header) + 1):
            async with behind(site, header[:size]) as proxy:
                if size % 2:
                    proxy.abort()
        await eventually(lambda: site._worker.connections == 0)
    assert told.errors == []


@pytest.mark.parametrize("sent", [b"", b"PROXY TCP4", line()])
async def test_a_stop_does_not_wait_for_proxies(sent: bytes) -> None:
    async with serve(proxy_protocol=True, shutdown_timeout=20) as site:
        async with behind(site, sent) as proxy:
            await eventually(lambda: site._worker.connections == 1)
            stopping = asyncio.ensure_future(site.shutdown())
            assert await proxy.rest() == b""
            async with asyncio.timeout(5):
                await stopping


async def test_a_request_during_a_stop() -> None:
    async with serve(proxy_protocol=True, shutdown_timeout=20) as site:
        async with behind(site, b"PROXY ") as proxy:
            await eventually(lambda: site._worker.connections == 1)
            stopping = asyncio.ensure_future(site.shutdown())
            await asyncio.sleep(0.05)
            proxy.send(line()[6:])
            answer = await proxy.request()
            assert b"192.0.2.1" in answer.body
            assert answer.closes
            await stopping


async def test_too_many_connections() -> None:
    async with serve(proxy_protocol=True, max_connections=1) as site:
        async with behind(site, line()) as first:
            assert (await first.request()).status == 200
            async with behind(site, line()) as second:
                second.send_request()
                assert (await second.response()).status == 503


async def test_nobody_to_speak_it() -> None:
    for place in ({"proxy_protocol": True}, {"listen": [{"fd": 0, "proxy_protocol": True}]}):
        with pytest.raises(ConfigError, match="set trusted_proxies"):
            async with serve(trusted_proxies=(), **place):
                pass


# --- fields of proxies ------------------------------------------------------------------------

X_FORWARDED = [
    ("X-Forwarded-For", "6.6.6.6, 192.0.2.1"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "example.org:8443"),
]
FORWARDED = [
    ("Forwarded", 'for=6.6.6.6, for="192.0.2.1:56324";proto=https;host="example.org:8443"')
]


@pytest.mark.spec("HTTP-61")
@pytest.mark.parametrize("family", ["x-forwarded", "forwarded"])
@pytest.mark.parametrize("kind", KINDS)
async def test_fields(kind: str, family: str) -> None:
    async with serve(forwarded=family) as site:
        async with behind(site) as proxy:
            told = await ask(kind, proxy, [*X_FORWARDED, *FORWARDED])
    assert told.client == ("192.0.2.1", 0 if family == "x-forwarded" else 56324)
    assert told.server == (ME, site.port)
    assert told.scheme == ("wss" if kind == "websocket" else "https")
    assert told.host == ["example.org:8443"]


@pytest.mark.spec("HTTP-59")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {"forwarded": "none"},
        {"trusted_proxies": ()},
        {"trusted_proxies": ("10.0.0.0/8", "unix", "::1")},
    ],
)
async def test_fields_that_nobody_believes(kind: str, options: dict[str, Any]) -> None:
    async with serve(**options) as site:
        async with behind(site) as proxy:
            told = await ask(kind, proxy, [*X_FORWARDED, *FORWARDED])
    assert told.client is not None
    assert told.client[0] == ME
    assert told.scheme == ("ws" if kind == "websocket" else "http")
    assert told.host in (["h"], ["test"])


async def test_each_request_of_a_connection_for_itself() -> None:
    """And what one states is gone with it."""
    async with serve() as site:
        async with behind(site) as proxy:
            for number in range(4):
                client = f"192.0.2.{number}"
                body = (await proxy.request(headers=[("X-Forwarded-For", client)])).body
                assert client.encode() in body
                body = (await proxy.request()).body
                assert ME.encode() in body.partition(b"]")[0]
        async with connect_http2(site) as client2:
            answers = await asyncio.gather(
                *(client2.ask(headers=[("X-Forwarded-For", f"192.0.2.{n}")]) for n in range(50))
            )
            for number, answer in enumerate(answers):
                assert f'"192.0.2.{number}"'.encode() in answer.body


async def test_fields_over_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    for trusted, client in (("unix", ("192.0.2.1", 0)), ("*", ("192.0.2.1", 0)), (ME, None)):
        async with serve(socket=path, trusted_proxies=trusted):
            async with behind(path) as proxy:
                assert (await ask("http/1.1", proxy, X_FORWARDED)).client == client


async def test_an_http_1_0_request_gets_its_host() -> None:
    async with serve() as site, behind(site) as proxy:
        proxy.send("GET / HTTP/1.0\r\nX-Forwarded-Host: example.org\r\n\r\n")
        assert b'["example.org"]' in (await proxy.response()).body


async def test_fields_behind_a_header() -> None:
    """Whether the fields are read, the stated client decides: the proxy is the one behind it."""
    async with serve(proxy_protocol=True, trusted_proxies=[ME, "192.0.2.1"]) as site:
        fields = [("X-Forwarded-For", "203.0.113.7")]
        async with behind(site, line()) as proxy:
            assert (await ask("http/1.1", proxy, fields)).client == ("203.0.113.7", 0)
        async with behind(site, line(("192.0.2.2", 1))) as proxy:
            assert (await ask("http/1.1", proxy, fields)).client == ("192.0.2.2", 1)


@pytest.mark.spec("HTTP-61")
async def test_a_client_that_is_not_known(tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = {"forwarded": "forwarded", "access_log": str(log), "access_log_format": "%h"}
    async with serve(**options) as site:
        for node in ("unknown", "_hidden"):
            async with behind(site) as proxy:
                told = await ask("http/1.1", proxy, [("Forwarded", f"for={node};proto=https")])
                assert (told.client, told.scheme) == (None, "https")
    assert log.read_text().splitlines() == ["unknown", "_hidden"]
