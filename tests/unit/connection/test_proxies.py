"""Whom a server believes, and what one look for each connection finds out."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import Any

import pytest

from pagi.protocol.connection import DefaultFields
from pagi.protocol.events import RequestReceived
from pagi.protocol.proxy_protocol import ProxyHeader
from pagi.server.config.settings import Timeouts
from pagi.server.connection import proxies as module
from pagi.server.connection.context import Clock, ConnectionContext
from pagi.server.connection.proxies import TrustedProxies
from pagi.server.connection.proxy_opening import ProxyOpening
from pagi.server.exchange.service import Service
from tests.unit.connection.pairs import reset, sockets, turns, until
from tests.unit.connection.scene import FakeTransport, Peer, get
from tests.unit.protocol.proxy_headers import line, version_2

TRUSTED = ["127.0.0.1", "10.0.0.0/8", "192.168.4.0/22", "2001:db8::/32", "::1"]


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("192.168.7.255", True),
        ("192.168.8.0", False),
        ("::1", True),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("2001:db8:ffff::1", True),
        ("2001:db9::", False),
        ("2001:db8::1%eth0", True),
        ("fe80::1%eth0", False),
        ("no address", False),
        ("", False),
        (None, False),
    ],
)
def test_peers(host: str | None, trusted: bool) -> None:
    assert TrustedProxies(TRUSTED, "x-forwarded").trusts_peer(host) is trusted
    assert TrustedProxies(TRUSTED, "x-forwarded").heeds(host) is trusted
    assert not TrustedProxies(TRUSTED, "none").heeds(host)
    assert not TrustedProxies([], "forwarded").heeds(host)
    assert TrustedProxies(["*"], "forwarded").heeds(host)
    assert TrustedProxies(["unix"], "forwarded").heeds(host) is (host is None)


def test_everybody_is_not_everybody_in_a_list() -> None:
    proxies = TrustedProxies(["*", "10.0.0.0/8"], "x-forwarded")
    assert proxies.trusts(ip_address("10.0.0.1"))
    assert not proxies.trusts(ip_address("192.0.2.1"))
    assert TrustedProxies(["0.0.0.0/0"], "none").trusts(ip_address("192.0.2.1"))
    assert not TrustedProxies(["0.0.0.0/0"], "none").trusts(ip_address("::1"))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 10)
    proxies = TrustedProxies(["10.0.0.0/8"], "x-forwarded")
    for number in range(100):
        assert not proxies.trusts(ip_address(number))
        assert len(proxies._known) <= 10


class Client:
    """As much of an exchange as matters here."""

    client = "10.0.0.1"


def heed(family: Any, *fields: tuple[bytes, bytes]) -> tuple[RequestReceived, str, Any]:
    """Read fields; return the request, the client for the log and that of the scope."""
    request = RequestReceived(1, "GET", b"/", b"", list(fields))
    template: dict[str, Any] = {"client": ("10.0.0.1", 1)}
    exchange: Any = Client()
    TrustedProxies(["10.0.0.0/8"], family).heed(request, exchange, template)
    return request, exchange.client, template["client"]


def test_what_fields_change() -> None:
    request, text, client = heed(
        "x-forwarded",
        (b"accept", b"*/*"),
        (b"host", b"inside"),
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"example.org"),
    )
    assert (request.scheme, text, client) == ("https", "192.0.2.1", ("192.0.2.1", 0))
    assert request.fields[:2] == [(b"accept", b"*/*"), (b"host", b"example.org")]
    assert len(request.fields) == 5


def test_what_they_do_not() -> None:
    untouched = (None, "10.0.0.1", ("10.0.0.1", 1))
    for fields in ([], [(b"x-forwarded-for", b"?")], [(b"forwarded", b"for=6.6.6.6")]):
        request, *ends = heed("x-forwarded", (b"host", b"h"), *fields)
        assert (request.scheme, *ends) == untouched
        assert request.fields == [(b"host", b"h"), *fields]
    request, *ends = heed("forwarded", (b"forwarded", b"proto=https;host=h"))
    assert (request.scheme, *ends) == ("https", *untouched[1:])
    assert request.fields[0] == (b"host", b"h")


# --- the driver -------------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [None, ["10.0.0.1"], ["1.2.3.4"]])
async def test_where_nobody_is_believed_scopes_begin_alike(trusted: Any) -> None:
    proxies = None if trusted is None else TrustedProxies(trusted, "x-forwarded")
    peer = Peer(proxies=proxies)
    for _ in range(2):
        await peer.send(get("/", "X-Forwarded-For: 192.0.2.1"))
        believed = trusted == ["1.2.3.4"]
        client = ("192.0.2.1", 0) if believed else ("1.2.3.4", 5)
        assert peer.request.scope["client"] == client
        await peer.request.answer()
        await peer.request.finish()
    assert [line[0] for line in peer.access] == [client[0]] * 2
    await peer.close()


async def test_a_stated_connection() -> None:
    header = ProxyHeader(2, ("192.0.2.1", 1), ("198.51.100.1", 2), tls=True)
    peer = Peer(connected=False, proxies=TrustedProxies(["*"], "none"))
    peer.driver.stated = header
    peer.driver.connection_made(peer.transport)
    await peer.send(get())
    scope = peer.request.scope
    assert (scope["client"], scope["server"]) == (header.client, header.server)
    assert scope["scheme"] == "https"
    assert "tls" not in scope["extensions"]  # it is not ours
    await peer.close()


# --- before the driver ------------------------------------------------------------------------


class Protocol:
    """A driver that only takes notes."""

    stated: Any = None
    stops = 0

    def expect_stop(self) -> None:
        self.stops += 1

    shut_down = expect_stop


class Scene:
    """An opening on a connection of two sockets."""

    def __init__(self, family: str = "tcp", trusted: str = "*", **options: Any) -> None:
        self.made: list[socket.socket] = []
        self.protocol = Protocol()
        self.ended = 0
        service = Service(self._app, asyncio.get_running_loop())
        self.context = ConnectionContext(
            service,
            Clock(100.0),
            DefaultFields(b"now", b"pagi"),
            set(),
            proxies=TrustedProxies([trusted], "x-forwarded"),
            closed=self._closed,
            timeouts=Timeouts(header_timeout=5.0),
        )
        self.ours, self.peer = sockets(family)
        self.fails = False
        self.opening = ProxyOpening(self.context, self._make, self.ours, self.protocol)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        """Never called."""

    def _make(self, sock: socket.socket, protocol: Any) -> Any:
        if self.fails:
            raise OSError("it has gone")
        self.made.append(sock)
        return protocol

    def _closed(self) -> None:
        self.ended += 1

    def close(self) -> None:
        self.ours.close()
        self.peer.close()


@pytest.mark.parametrize("family", ["tcp", "unix"])
@pytest.mark.parametrize("header", [line(), version_2()])
@pytest.mark.parametrize("early", [True, False])
async def test_not_a_byte_behind_the_header_is_taken(
    header: bytes, family: str, early: bool
) -> None:
    scene = Scene(family)
    if early:
        scene.peer.send(header + b"rest")
        scene.opening.open()
    else:
        scene.opening.open()
        assert scene.opening in scene.context.connections
        for byte in header:
            scene.peer.send(bytes([byte]))
            await turns(3)
        scene.peer.send(b"rest")
    await until(lambda: scene.made)
    assert scene.made == [scene.ours]
    assert scene.ours.recv(100) == b"rest"
    assert scene.protocol.stated.client == ("192.0.2.1", 56324)
    assert not scene.context.connections
    assert not scene.ended  # it goes on
    scene.close()


async def test_whoever_is_not_trusted_is_left_alone() -> None:
    scene = Scene(trusted="10.0.0.1")
    scene.opening.open()
    scene.peer.send(b"GET /")
    await until(lambda: scene.made)
    assert scene.ours.recv(100) == b"GET /"
    assert scene.protocol.stated is None
    scene.close()


@pytest.mark.parametrize("trusted", ["*", "10.0.0.1"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_peer_that_leaves(trusted: str, how: str) -> None:
    scene = Scene(trusted=trusted)
    scene.opening.open()
    scene.peer.close() if how == "close" else reset(scene.peer)
    await until(lambda: scene.ended)
    assert scene.ours.fileno() == -1
    assert not scene.context.connections
    scene.opening.abort("server_shutdown")
    assert scene.ended == 1
    scene.close()


async def test_a_peer_that_has_left_before() -> None:
    scene = Scene()
    reset(scene.peer)
    await turns()
    scene.opening.open()
    await until(lambda: scene.ended)
    scene.close()


async def test_a_peer_that_leaves_before_its_transport_is_made() -> None:
    scene = Scene()
    scene.fails = True
    scene.peer.send(line())
    scene.opening.open()
    await until(lambda: scene.ended)
    assert scene.ours.fileno() == -1
    scene.close()


async def test_deadlines() -> None:
    scene = Scene()
    scene.opening.open()
    scene.opening.on_tick(105.9)
    assert not scene.ended
    scene.opening.on_tick(106.0)
    assert scene.ended == 1
    scene.close()


async def test_a_stop() -> None:
    scene = Scene()
    scene.opening.open()
    scene.opening.expect_stop()
    scene.opening.shut_down()
    scene.opening.on_tick(101.9)
    assert not scene.ended
    scene.peer.send(line())
    await until(lambda: scene.made)
    assert scene.protocol.stops == 2  # and what follows knows of it
    scene.close()
    scene = Scene()
    scene.opening.open()
    scene.opening.expect_stop()
    scene.opening.on_tick(102.0)
    assert scene.ended == 1
    scene.close()


@pytest.mark.parametrize(
    ("name", "client"), [("/s", ("192.0.2.1", 0)), (None, ("192.0.2.1", 0)), (("::1", 80), None)]
)
async def test_a_peer_without_an_address(name: Any, client: Any) -> None:
    """It is one of a Unix socket, unless the server's end has an address: then it has gone."""
    peer = Peer(connected=False, proxies=TrustedProxies(["unix"], "x-forwarded"))
    peer.transport = FakeTransport(peer.loop, peername=None, sockname=name)
    peer.transport.protocol = peer.driver
    peer.driver.connection_made(peer.transport)
    await peer.send(get("/", "X-Forwarded-For: 192.0.2.1"))
    assert peer.request.scope["client"] == client
    await peer.close()
