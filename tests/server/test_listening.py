"""Where a server listens: TCP, IPv6, Unix sockets, inherited descriptors, several at once."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

import pagi
from tests.network import has_ipv6
from tests.server.client import connect, get, serving


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with who talks to whom."""
    text = f"{scope['client']} {scope['server']}"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})


@pytest.mark.spec("HTTP-8")
async def test_port_0_is_readable() -> None:
    async with serving(app) as server:
        assert server.port
        assert server.addresses == [f"http://127.0.0.1:{server.port}"]
        assert len(server.sockets) == 1
        assert server.is_running
        async with connect(server) as client:
            mine = client.writer.get_extra_info("sockname")
            response = await client.request()
            assert response.body == f"{mine} {('127.0.0.1', server.port)}".encode()
    assert not server.is_running


@pytest.mark.spec("HTTP-8")
async def test_a_unix_socket_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    async with serving(app, socket=str(path), socket_mode=0o660) as server:
        status = os.stat(path)
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o660
        assert server.port is None
        assert server.addresses == [f"unix:{path}"]
        async with connect(str(path)) as client:
            response = await client.request()
            assert response.body == f"None ({str(path)!r}, None)".encode()
    assert not os.path.exists(path)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.spec("HTTP-8")
async def test_ipv6() -> None:
    async with serving(app, host="::1") as server:
        assert server.addresses == [f"http://[::1]:{server.port}"]
        with socket.socket(socket.AF_INET6) as sock:
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, ("::1", server.port))
            await loop.sock_sendall(sock, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            data = b""
            while piece := await loop.sock_recv(sock, 4096):
                data += piece
        assert data.endswith(f" ('::1', {server.port})".encode())


async def test_an_inherited_descriptor() -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    port = sock.getsockname()[1]
    async with serving(app, fd=sock.detach()) as server:
        assert server.port == port
        assert (await get(server)).status == 200


async def test_several_at_once(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    places = ["127.0.0.1:0", f"unix:{path}", "127.0.0.1:0"]
    if has_ipv6():
        places.append("[::1]:0")
    async with serving(app, listen=places) as server:
        assert len(server.sockets) == len(places)
        for bound in server.sockets:
            name = bound.sock.getsockname()
            if isinstance(name, str):
                async with connect(name) as client:
                    assert (await client.request()).status == 200
            elif len(name) == 2:
                async with connect(name[1]) as client:
                    assert (await client.request()).status == 200


async def test_a_port_in_use_is_one_clear_error() -> None:
    async with serving(app) as server:
        with pytest.raises(pagi.StartError, match=str(server.port)):
            await pagi.serve(app, port=server.port, access_log=None)


async def test_sockets_are_closed_at_the_end() -> None:
    async with serving(app) as server:
        """Start and stop."""
    assert server.port
    with pytest.raises(OSError, match="refused|Connect call failed"):
        async with connect(server):
            """It cannot be reached."""


async def test_the_same_port_again() -> None:
    async with serving(app) as server:
        port = server.port
        assert (await get(server)).status == 200
    async with serving(app, port=port) as server:
        assert server.port == port
        assert (await get(server)).status == 200
