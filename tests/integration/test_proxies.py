"""Real proxies in front: HAProxy and nginx, configured as the how-to page says."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import TIMEOUT, Serving
from tests.server.certificates import certificates, client_context
from tests.server.client import connect
from tests.server.http2_client import connect_http2
from tests.server.proxied import Told, ask, tells_ends

HAPROXY, NGINX = shutil.which("haproxy"), shutil.which("nginx")
needs_haproxy = pytest.mark.skipif(
    HAPROXY is None, reason="haproxy is not installed (apt-get install haproxy)"
)
needs_nginx = pytest.mark.skipif(
    NGINX is None, reason="nginx is not installed (apt-get install nginx-light)"
)
pytestmark = pytest.mark.once

ME = "127.0.0.1"
CERT = certificates()
#: For one step: the clients of the proxies are on this machine, too.
BELIEVED = {"trusted_proxies": "*", "lifespan": "off", "interface": "pagi"}


def free_port() -> int:
    with socket.create_server((ME, 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@asynccontextmanager
async def running(port: int, *command: str) -> AsyncIterator[int]:
    """Run a proxy in the foreground until the test is over; yield its port once it listens."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            while True:
                try:
                    _, writer = await asyncio.open_connection(ME, port)
                except OSError:
                    assert process.returncode is None, (await process.communicate())[0].decode()
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    await writer.wait_closed()
                    break
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@asynccontextmanager
async def haproxy(folder: Path, text: str, tls: bool = False) -> AsyncIterator[int]:
    """Run HAProxy with a backend of these lines."""
    assert HAPROXY is not None
    port = free_port()
    pem = folder / "pem"
    pem.write_text(Path(CERT.cert).read_text() + Path(CERT.key).read_text())
    bind = f"ssl crt {pem} alpn h2,http/1.1" if tls else ""
    mode = "tcp" if "mode tcp" in text else "http"
    config = folder / "haproxy.cfg"
    config.write_text(
        "defaults\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n"
        f"frontend f\n  mode {mode}\n  bind {ME}:{port} {bind}\n  default_backend b\n"
        f"backend b\n{text}\n"
    )
    async with running(port, HAPROXY, "-db", "-f", str(config)) as address:
        yield address


@asynccontextmanager
async def nginx(folder: Path, location: str, tls: bool = False) -> AsyncIterator[int]:
    """Run nginx with a location of these lines."""
    assert NGINX is not None
    port = free_port()
    certificate = f"ssl_certificate {CERT.cert}; ssl_certificate_key {CERT.key};" if tls else ""
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Its workers must be able to reach a socket in the folder of the test.
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        f"{user} daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;\n"
        "events { worker_connections 64; }\n"
        f"http {{ access_log off;\n{paths}"
        "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }\n"
        f"server {{ listen {ME}:{port} {'ssl http2' if tls else ''}; {certificate}\n"
        f"location / {{ {location} }} }} }}\n"
    )
    command = (NGINX, "-p", str(folder), "-e", "stderr", "-c", str(config))
    async with running(port, *command) as address:
        yield address


# --- HAProxy ----------------------------------------------------------------------------------


@needs_haproxy
@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 check"])
@pytest.mark.parametrize("kind", ["http/1.1", "websocket", "sse"])
async def test_haproxy_with_the_proxy_protocol(
    serving: Serving, tmp_path: Path, kind: str, send: str
) -> None:
    async with serving(tells_ends, proxy_protocol=True, **BELIEVED) as server:
        backend = f"  mode tcp\n  server s {ME}:{server.port} {send}"
        async with haproxy(tmp_path, backend) as port, connect(port) as client:
            name = client.writer.get_extra_info("sockname")
            told = await ask(kind, client)
    assert told.client == name
    assert told.server == (ME, port)


@needs_haproxy
@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2 proxy-v2-options crc32c,authority"])
@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
async def test_haproxy_that_passes_tls_through(
    serving: Serving, tmp_path: Path, alpn: str, send: str
) -> None:
    async with serving(tells_ends, proxy_protocol=True, **BELIEVED, **CERT.options) as server:
        backend = f"  mode tcp\n  server s {ME}:{server.port} {send}"
        async with haproxy(tmp_path, backend) as port:
            told = await over_tls(port, alpn)
    assert told.scheme == "https"
    assert told.server == (ME, port)


@needs_haproxy
@pytest.mark.parametrize("protocol", ["", "proto h2"])
async def test_haproxy_that_speaks_tls_and_says_so(
    serving: Serving, tmp_path: Path, protocol: str
) -> None:
    options = "ssl,cert-cn,ssl-cipher,authority,unique-id,crc32c"
    async with serving(tells_ends, proxy_protocol=True, **BELIEVED) as server:
        send = f"send-proxy-v2-ssl {protocol} proxy-v2-options {options}"
        backend = f"  mode http\n  server s {ME}:{server.port} {send}"
        async with haproxy(tmp_path, backend, tls=True) as port:
            for alpn in ("h2", "http/1.1"):
                told = await over_tls(port, alpn)
                assert told.scheme == "https"
                assert told.server == (ME, port)


@needs_haproxy
async def test_haproxy_with_fields(serving: Serving, tmp_path: Path) -> None:
    async with serving(tells_ends, **BELIEVED) as server:
        backend = (
            "  mode http\n  option forwardfor\n"
            "  http-request set-header X-Forwarded-Proto https if { ssl_fc }\n"
            "  http-request set-header X-Forwarded-Proto http if !{ ssl_fc }\n"
            "  http-request set-header X-Forwarded-Host %[req.hdr(host)]\n"
            f"  http-request set-header Host inside\n  server s {ME}:{server.port}"
        )
        async with haproxy(tmp_path, backend, tls=True) as port:
            for alpn in ("h2", "http/1.1"):
                told = await over_tls(port, alpn, [("X-Forwarded-For", "6.6.6.6")])
                assert told.scheme == "https"
                assert told.client == (ME, 0)  # HAProxy adds a field, and this is its address
                assert told.host == ["test"]


async def over_tls(port: int, alpn: str, headers: Any = ()) -> Told:
    """Ask a proxy that speaks TLS, or passes it through."""
    if alpn == "h2":
        async with connect_http2(port, client_context("h2")) as multiplexed:
            return Told((await multiplexed.ask(headers=headers)).body)
    async with connect(port, tls=client_context("http/1.1")) as client:
        return Told((await client.request(headers=headers)).body)


# --- nginx ------------------------------------------------------------------------------------

FIELDS = """
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_buffering off;
"""


@needs_nginx
@pytest.mark.parametrize("kind", ["http/1.1", "websocket", "sse"])
async def test_nginx_with_fields(serving: Serving, tmp_path: Path, kind: str) -> None:
    async with serving(tells_ends, **BELIEVED) as server:
        location = f"proxy_pass http://{ME}:{server.port}; {FIELDS}"
        async with nginx(tmp_path, location) as port, connect(port) as client:
            fields = [("X-Forwarded-For", "rubbish"), ("X-Forwarded-Proto", "https")]
            told = await ask(kind, client, fields)
    assert told.client == (ME, 0)
    assert told.scheme == ("ws" if kind == "websocket" else "http")
    assert told.host == ["h" if kind == "websocket" else "test"]


@needs_nginx
@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
async def test_nginx_over_a_unix_socket(serving: Serving, tmp_path: Path, alpn: str) -> None:
    path = tmp_path / "s"
    options = {**BELIEVED, "trusted_proxies": "unix", "listen": f"unix:{path}"}
    async with serving(tells_ends, **options):
        location = f"proxy_pass http://unix:{path}; {FIELDS}"
        async with nginx(tmp_path, location, tls=True) as port:
            told = await over_tls(port, alpn, [("X-Forwarded-For", '6.6.6.6, "')])
    assert (told.client, told.scheme, told.host) == ((ME, 0), "https", ["test"])
