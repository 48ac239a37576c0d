"""Listeners that differ: TLS, plain, and those that redirect to TLS."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from pagi import Server
from tests.server.certificates import certificates, client_context
from tests.server.client import Client, connect, serving
from tests.server.http2_client import connect_http2

CERT = certificates()


async def names_scheme(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the scheme and whether the client has shown a certificate."""
    tls = scope["extensions"].get("tls")
    known = "-" if tls is None else "known" if tls["client_cert_name"] else "unknown"
    text = f"{scope['scheme']} {known}"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})


def serve(*listen: Any, **options: Any) -> Any:
    """Serve on several listeners with the certificate."""
    return serving(names_scheme, lifespan="off", listen=listen, **{**CERT.options, **options})


def port(server: Server, index: int) -> int:
    """Return the port of a listener."""
    found = server.sockets[index].port
    assert found is not None
    return found


@pytest.mark.parametrize("word", ["plain:127.0.0.1:0", {"fd": "…", "role": "plain"}])
async def test_plain_beside_tls(word: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        if isinstance(word, dict):
            word = {**word, "fd": inherited.detach()}
        async with serve("127.0.0.1:0", word) as server:
            assert server.addresses == [
                f"https://127.0.0.1:{port(server, 0)}",
                f"http://127.0.0.1:{port(server, 1)}",
            ]
            async with connect(server, tls=client_context()) as client:
                assert (await client.request()).body == b"https unknown"
            async with connect(port(server, 1)) as client:
                assert (await client.request()).body == b"http -"


async def test_a_listener_with_a_certificate_of_its_own() -> None:
    own = {"host": "127.0.0.1", "port": 0, "ssl_cert": CERT.named, "ssl_key": CERT.named}
    async with serve("127.0.0.1:0", own) as server:
        tls = client_context()
        async with connect(server, tls=tls) as client:
            assert (await client.request()).status == 200
        tls.check_hostname = False
        async with connect(port(server, 1), tls=tls) as client:
            shown = client.writer.get_extra_info("ssl_object").getpeercert()
            assert ("DNS", "named.example") in shown["subjectAltName"]
            assert (await client.request()).body == b"https unknown"


async def test_a_listener_that_asks_for_certificates() -> None:
    asks = {
        "host": "127.0.0.1",
        "port": 0,
        "ssl_ca": CERT.ca,
        "ssl_verify_client": "required",
    }
    async with serve("127.0.0.1:0", asks) as server:
        async with connect(server, tls=client_context()) as client:
            assert (await client.request()).body == b"https unknown"
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            async with connect(port(server, 1), tls=client_context()) as client:
                await client.request()
        tls = client_context(identity=CERT.client)
        async with connect(port(server, 1), tls=tls) as client:
            assert (await client.request()).body == b"https known"


async def ask(client: Client, head: bytes) -> tuple[int, bytes | None]:
    """Send a head; return the status and where it leads."""
    client.send(head)
    answer = await client.response()
    return answer.status, answer["location"]


@pytest.mark.parametrize(
    ("request_head", "location"),
    [
        (b"GET /a?b=%20 HTTP/1.1\r\nhost: h:1\r\n\r\n", b"https://h:443x/a?b=%20"),
        (b"POST /%41 HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n", b"https://h:443x/%41"),
        (b"GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", b"https://[::1]:443x/"),
        (b"GET / HTTP/1.1\r\nhost: [::1]\r\n\r\n", b"https://[::1]:443x/"),
        (b"GET / HTTP/1.1\r\nhost: h:\r\n\r\n", b"https://h:443x/"),
        (b"OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n", b"https://h:443x/"),
        (b"GET http://other/x HTTP/1.1\r\nhost: other\r\n\r\n", b"https://other:443x/x"),
        (
            b"GET /ws HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            b"https://h:443x/ws",
        ),
    ],
)
async def test_where_a_redirect_leads(request_head: bytes, location: bytes) -> None:
    async with serve("127.0.0.1:0", "redirect:127.0.0.1:0") as server:
        async with connect(port(server, 1)) as client:
            there = location.replace(b"443x", str(port(server, 0)).encode())
            assert await ask(client, request_head) == (308, there)
    async with serve("127.0.0.1:0", "redirect:127.0.0.1:0", redirect_port=443) as server:
        async with connect(port(server, 1)) as client:
            there = location.replace(b":443x", b"")
            assert await ask(client, request_head) == (308, there)


async def test_a_redirect_without_a_host() -> None:
    async with serve("127.0.0.1:0", "redirect:127.0.0.1:0") as server:
        async with connect(port(server, 1)) as client:
            assert await ask(client, b"GET / HTTP/1.0\r\n\r\n") == (400, None)
        async with connect(port(server, 1)) as client:
            head = b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n"
            assert (await ask(client, head))[0] == 400


async def test_a_redirect_answers_http_2() -> None:
    async with serve("127.0.0.1:0", "redirect:127.0.0.1:0") as server:
        async with connect_http2(port(server, 1)) as client:
            answer = await client.ask("/x")
            there = f"https://test:{port(server, 0)}/x"
            assert (answer.status, answer["location"]) == (308, there)


async def test_redirects_are_in_the_access_log(tmp_path: Any) -> None:
    log = tmp_path / "log"
    async with serve("127.0.0.1:0", "redirect:127.0.0.1:0", access_log=str(log)) as server:
        async with connect(port(server, 1)) as client:
            await client.request("/there")
    assert '"GET /there" 308' in log.read_text()
