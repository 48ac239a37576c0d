"""TLS on the running server: certificates, versions, and clients that speak otherwise."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pagi.server.config import ConfigError
from pagi.server.errors import StartError
from tests.conftest import TRANSPORTS
from tests.server.attacks.wire import eventually
from tests.server.certificates import certificates, client_context
from tests.server.client import connect, serving
from tests.server.conftest import Told, told
from tests.server.http2_client import connect_http2

__all__ = ["told"]

CERT = certificates()


async def tells_tls(scope: Any, receive: Any, send: Any) -> None:
    """Keep what the scope says of the connection."""
    SEEN.append(scope["extensions"].get("tls"))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})


SEEN: list[Any] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    SEEN.clear()


def serve(**options: Any) -> Any:
    """Serve with the certificate."""
    return serving(tells_tls, lifespan="off", **{**CERT.options, **options})


@pytest.mark.spec("TLS-1", "TLS-2", "TLS-3", "TLS-4", "TLS-5", "TLS-6", "TLS-7")
@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
async def test_what_an_application_learns(alpn: str) -> None:
    async with serve() as server:
        tls = client_context(alpn)
        if alpn == "h2":
            async with connect_http2(server, tls) as client:
                assert (await client.ask()).body == b"https"
        else:
            async with connect(server, tls=tls) as plain:
                assert (await plain.request()).body == b"https"
    assert [
        {
            "server_cert": Path(CERT.cert).read_text(),
            "client_cert_chain": [],
            "client_cert_name": None,
            "client_cert_error": None,
            "tls_version": 0x0304,
            "cipher_suite": SEEN[0]["cipher_suite"],
        }
    ] == SEEN
    assert SEEN[0]["cipher_suite"] in (0x1301, 0x1302, 0x1303)


async def test_without_alpn_it_is_http_1() -> None:
    async with serve() as server, connect(server, tls=client_context()) as client:
        assert (await client.request()).version == "1.1"


async def test_http_2_can_be_switched_off() -> None:
    async with serve(http2=False) as server:
        tls = client_context("h2", "http/1.1")
        async with connect(server, tls=tls) as client:
            found = client.writer.get_extra_info("ssl_object").selected_alpn_protocol()
            assert found == "http/1.1"
            assert (await client.request()).body == b"https"


@pytest.mark.spec("TLS-4", "TLS-5")
async def test_the_certificate_of_a_client() -> None:
    options = {"ssl_ca": CERT.ca, "ssl_verify_client": "optional"}
    async with serve(**options) as server:
        async with connect(server, tls=client_context(identity=CERT.client)) as client:
            await client.request()
        async with connect(server, tls=client_context()) as client:
            await client.request()
    known, unknown = SEEN
    name = known["client_cert_name"]
    assert name.startswith(r"CN=Doe\, Jane,OU=")
    assert name.endswith(r",O=\ #Org\+")
    assert Path(CERT.client).read_text().endswith(known["client_cert_chain"][0])
    assert (unknown["client_cert_name"], unknown["client_cert_chain"]) == (None, [])


@pytest.mark.parametrize("identity", [None, CERT.stranger])
async def test_a_certificate_that_is_required(identity: str | None, told: Told) -> None:
    options = {"ssl_ca": CERT.ca, "ssl_verify_client": "required"}
    async with serve(**options) as server:
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            async with connect(server, tls=client_context(identity=identity)) as client:
                await client.request()
        async with connect(server, tls=client_context(identity=CERT.client)) as client:
            assert (await client.request()).status == 200
    assert len(SEEN) == 1
    assert told.errors == []


async def test_old_versions_are_refused() -> None:
    tls = client_context()
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serve() as server, connect(server, tls=tls) as client:
        assert (await client.request()).status == 200
    async with serve(ssl_min_version="TLSv1_3") as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with connect(server, tls=tls):
                pass
    assert [seen["tls_version"] for seen in SEEN] == [0x0303]


async def test_http_without_tls_is_told_where_it_is(told: Told) -> None:
    async with serve() as server:
        async with connect(server) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % server.port)
            response = await client.response("GET")
            assert response.status == 400
            assert response.body == (
                f"This port speaks HTTPS: use https://localhost:{server.port}/\n".encode()
            )
        async with connect(server) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")
            assert (await client.response("GET")).body == b"This port speaks HTTPS.\n"
        async with connect(server) as client:
            client.send(b"\0\1\2")
            assert await client.reader.read() == b""
    assert SEEN == []
    assert told.errors == []


async def test_clients_that_say_nothing_or_stop(told: Told) -> None:
    async with serve(ssl_handshake_timeout=0.2) as server:
        async with connect(server) as silent, connect(server) as slow:
            slow.send(b"\x16\x03\x01\x02\x00\x01")
            async with asyncio.timeout(10):
                for client in (silent, slow):
                    with pytest.raises(ConnectionError):
                        if not await client.reader.read():
                            raise ConnectionError
        async with connect(server, tls=client_context()) as client:
            assert (await client.request()).status == 200
    assert told.errors == []


async def test_no_more_handshakes_at_a_time_than_connections_may_be(told: Told) -> None:
    """Those that stall give way to those that go on, and leave room for connections."""
    async with serve(max_connections=5) as server, AsyncExitStack() as stalled:
        silent = [await stalled.enter_async_context(connect(server)) for _ in range(20)]
        for client in silent:
            client.send(b"\x16\x03\x01\x02\x00\x01")
        async with asyncio.timeout(10):
            for client in silent[:14]:  # the oldest are given up
                with pytest.raises(ConnectionError):
                    if not await client.reader.read():
                        raise ConnectionError
        async with connect(server, tls=client_context()) as client:
            assert (await client.request()).status == 200
    assert told.errors == []


@pytest.mark.skipif(TRANSPORTS != "pagi", reason="the others close before they have read it all")
async def test_a_plain_upload_hears_where_it_is(told: Told) -> None:
    async with serve() as server, connect(server) as client:
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n"
        client.send(head + bytes(1_000_000))
        assert (await client.response("POST")).status == 400
    assert told.errors == []


async def test_a_stop_during_handshakes(told: Told) -> None:
    async with serve() as server:
        async with connect(server) as silent, connect(server) as slow:
            slow.send(b"\x16\x03\x01\x02\x00\x01")
            await asyncio.sleep(0.05)
            async with asyncio.timeout(30):
                await server.shutdown()
            del silent
    assert told.errors == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ssl_cert": "/nowhere.pem"}, ["/nowhere.pem", "does not exist", "ssl_cert"]),
        ({"ssl_key": "/nowhere.pem"}, ["/nowhere.pem", "does not exist", "ssl_key"]),
        ({"ssl_key": CERT.client}, ["does not belong to"]),
        ({"ssl_cert": __file__}, ["no certificate", "ssl_cert"]),
        ({"ssl_verify_client": "required"}, ["needs ssl_ca"]),
        ({"ssl_verify_client": "optional", "ssl_ca": __file__}, ["ssl_ca"]),
        ({"ssl_ciphers": "NONSENSE"}, ["ssl_ciphers", "NONSENSE"]),
    ],
)
async def test_mistakes_are_told_in_one_line(options: Any, words: list[str]) -> None:
    with pytest.raises(StartError) as caught:
        async with serve(**options):
            pass
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


async def test_a_certificate_of_its_own_key_file() -> None:
    both = Path(CERT.cert).with_name("both.pem")
    both.write_text(Path(CERT.key).read_text() + Path(CERT.cert).read_text())
    async with serve(ssl_cert=str(both), ssl_key=None) as server:
        async with connect(server, tls=client_context()) as client:
            assert (await client.request()).status == 200


def shown(client: Any) -> bytes:
    """Return the certificate that the server has shown."""
    found: bytes = client.writer.get_extra_info("ssl_object").getpeercert(True)
    return found


async def test_a_certificate_that_is_renewed(tmp_path: Path, told: Told) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(Path(CERT.cert).read_bytes())
    key.write_bytes(Path(CERT.key).read_bytes())
    tls = client_context()
    async with serve(ssl_cert=str(cert), ssl_key=str(key)) as server:
        async with connect(server, tls=tls) as old:
            before = shown(old)
            cert.write_text("half of a certifi")
            await eventually(lambda: len(told.errors) == 1, 5.0)
            async with connect(server, tls=tls) as client:
                assert shown(client) == before  # what is wrong is not used
            for name, path in (("cert", cert), ("key", key)):
                path.write_text(Path(getattr(CERT.renewed, name)).read_text())
            await eventually(lambda: any("renewed" in text for text in told.texts), 5.0)
            async with connect(server, tls=tls) as new:
                assert shown(new) != before
                assert (await new.request()).status == 200
            assert (await old.request()).status == 200
    assert "not used" in told.errors[0]


@pytest.mark.parametrize(
    ("name", "alternative"),
    [
        ("named.example", True),
        ("NAMED.example", True),
        ("a.wild.example", True),
        ("a.b.wild.example", False),
        ("localhost", False),
        ("other.example", False),
    ],
)
async def test_certificates_by_names(name: str, alternative: bool) -> None:
    sni = [f"named.example={CERT.named}", f"*.wild.example={CERT.named}:{CERT.named}"]
    tls = client_context("http/1.1")
    tls.check_hostname = False
    async with serve(ssl_sni=sni) as server:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=tls, server_hostname=name
        )
        names = writer.get_extra_info("peercert")["subjectAltName"]
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
    assert (("DNS", "named.example") in names) is alternative
    expected = Path(CERT.named if alternative else CERT.cert).read_text()
    assert SEEN[0]["server_cert"] in expected


@pytest.mark.parametrize("sni", ["named.example", "=x.pem", "a b=x.pem", "x=/nowhere.pem"])
async def test_names_that_are_none(sni: str) -> None:
    with pytest.raises((StartError, ConfigError), match="ssl_sni|sni"):
        async with serve(ssl_sni=[sni]):
            pass
