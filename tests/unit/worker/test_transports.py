"""Which transports carry the connections, and that each sort does."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import pytest

from pagi.protocol.connection import DefaultFields
from pagi.server.connection.context import Clock, ConnectionContext
from pagi.server.errors import StartError
from pagi.server.exchange.service import Service
from pagi.server.worker.transports import (
    FastnetTransports,
    ForeignTLSTransports,
    LoopTransports,
    SocketTransports,
    TLSTransports,
    choose_transports,
    encrypted,
)
from tests.unit.connection.pairs import Notes, receive_all, reset, sockets, turns, until

SORTS = [SocketTransports, FastnetTransports, LoopTransports]


async def decline(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing: no request comes as far as an application."""


def new_context() -> ConnectionContext:
    service = Service(decline, asyncio.get_running_loop())
    return ConnectionContext(service, Clock(0.0), DefaultFields(b"now", b"pagi"), set())


class ProactorEventLoop:
    """By its name, a loop that cannot watch descriptors."""


@pytest.fixture(params=SORTS, ids=lambda sort: sort.__name__)
def sort(request: pytest.FixtureRequest) -> Any:
    if request.param is FastnetTransports:
        pytest.importorskip("aiofastnet")
    return request.param


async def test_the_best_is_chosen() -> None:
    loop = asyncio.get_running_loop()
    assert choose_transports("auto", loop) is SocketTransports
    assert choose_transports("pagi", loop) is SocketTransports
    assert choose_transports("asyncio", loop) is LoopTransports


async def test_what_is_not_installed_cannot_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setitem(sys.modules, "aiofastnet.selector_transport", None)
    with pytest.raises(StartError, match="pip install aiofastnet"):
        choose_transports("aiofastnet", loop)


def test_a_loop_that_watches_no_descriptors() -> None:
    loop: Any = ProactorEventLoop()
    assert choose_transports("auto", loop) is LoopTransports
    with pytest.raises(StartError, match="--transports auto"):
        choose_transports("pagi", loop)


async def test_a_system_that_sends_no_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows: its sockets have no sendmsg, whatever the loop."""
    monkeypatch.setattr("pagi.server.worker.transports._SENDS_PIECES", False)
    loop = asyncio.get_running_loop()
    assert choose_transports("auto", loop) is LoopTransports
    with pytest.raises(StartError, match="--transports auto"):
        choose_transports("pagi", loop)


@pytest.mark.parametrize("names", [False, True])
async def test_encrypted_ones_go_with_the_plain_ones(names: bool) -> None:
    def chosen(kind: Any) -> Any:
        certificates: Any = None
        return encrypted(kind, new_context(), certificates, 10.0, names)

    ours = chosen(SocketTransports)
    assert type(ours) is TLSTransports
    ours.close()
    assert type(chosen(LoopTransports)) is ForeignTLSTransports
    assert not chosen(LoopTransports)._fastnet
    # Those of aiofastnet would end the process when names choose among certificates.
    assert chosen(FastnetTransports)._fastnet == (not names)


@pytest.mark.parametrize("family", ["unix", "tcp", "tcp6"])
async def test_a_connection(sort: Any, family: str) -> None:
    context = new_context()
    transports = sort(asyncio.get_running_loop(), context)
    ours, peer = sockets(family)
    notes = Notes(data=lambda notes: notes.transport.write(notes.calls[-1]))
    transports.make(ours, notes)
    await until(lambda: notes.transport is not None)
    peer.send(b"hello")
    await until(lambda: notes.data)
    await until(lambda: receive_all(peer) == b"hello")
    assert notes.transport.get_extra_info("socket").fileno() == ours.fileno()
    if family != "unix":
        assert notes.transport.get_extra_info("peername") == peer.getsockname()
    peer.close()
    await until(lambda: notes.lost)
    assert notes.calls == ["made", b"hello", "eof", ("lost", None)]
    await turns()
    transports.close()


async def test_small_answers_leave_at_once(sort: Any) -> None:
    """However the listener was made: asyncio looks at the protocol number it was made with."""
    transports: Any = sort(asyncio.get_running_loop(), new_context())
    ours, peer = sockets("tcp")
    assert ours.proto == 0
    notes = Notes()
    transports.make(ours, notes)
    await until(lambda: notes.transport is not None)
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    peer.close()
    await until(lambda: notes.lost)
    await turns()
    transports.close()


async def test_a_peer_that_has_gone_before(sort: Any) -> None:
    transports: Any = sort(asyncio.get_running_loop(), new_context())
    ours, peer = sockets("tcp")
    reset(peer)
    notes = Notes()
    transports.make(ours, notes)
    await until(lambda: notes.lost)
    assert notes.names[0] == "made"
    assert notes.names.count("lost") == 1
    await turns()
    transports.close()


async def test_our_own_share_a_batch() -> None:
    context = new_context()
    loop = asyncio.get_running_loop()
    first = SocketTransports(loop, context)
    batch = context.batch
    assert batch is not None
    second = SocketTransports(loop, context)
    assert context.batch is batch
    first.close()
    second.close()
