"""Openings whose handshake somebody else makes, given up before it has begun."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from pagi.protocol.connection import DefaultFields
from pagi.server.connection.context import Clock, ConnectionContext
from pagi.server.connection.tls_opening import ForeignTLSOpening
from pagi.server.exchange.service import Service
from tests.unit.connection.pairs import sockets, turns


async def decline(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing."""


async def never(make_protocol: Any, sock: socket.socket) -> None:
    """Take for ever to shake hands."""
    await asyncio.Event().wait()


def new_context(**options: Any) -> ConnectionContext:
    service = Service(decline, asyncio.get_running_loop())
    return ConnectionContext(
        service, Clock(1.0), DefaultFields(b"now", b"pagi"), set(), scheme="https", **options
    )


async def test_given_up_before_its_task_has_run() -> None:
    """As the oldest of many that came in the same turn."""
    context = new_context(max_connections=1)
    openings, ours = [], []
    for _ in range(2):
        mine, peer = sockets("tcp")
        peer.send(b"\x16\x03\x01")
        opening = ForeignTLSOpening(context, never, mine, 10.0)
        opening.open()
        openings.append(opening)
        ours.append((mine, peer))
    await turns()
    first, second = ours
    assert first[0].fileno() == -1, "closed"
    assert second[0].fileno() >= 0
    assert context.connections == {openings[1]}
    openings[1].abort("server_shutdown")
    await turns()
    assert context.connections == set()
    assert second[0].fileno() == -1
    assert list(context.openings) == []
    for _, peer in ours:
        peer.close()
