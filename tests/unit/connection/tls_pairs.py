"""Encrypted connections of real sockets: a transport that is tested, and a client by hand."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import Callable
from typing import Any

from tests.server.certificates import certificates, client_context
from tests.unit.connection.pairs import Notes, Pair, Scene, part, receive_all, until

CHUNK = 131_072


@functools.cache
def server_context() -> ssl.SSLContext:
    """Make the context of all servers here."""
    own = certificates()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.cert, own.key)
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


class Opening(Notes):
    """Takes notes of what comes before the connection is open, and gives way to the others."""

    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self.notes = notes

    def connection_made(self, transport: Any) -> None:
        self.calls.append("made")
        transport.set_protocol(self.notes)
        self.notes.connection_made(transport)

    def plain_received(self, transport: Any, data: bytes) -> None:
        self.calls.append(data)
        transport.answer_plainly(b"plain")

    def handshake_failed(self, error: Exception) -> None:
        self.calls.append(error)


class TLSPair(Pair):
    """One connection, and its client.

    Attributes:
        opening: what was told before the handshake was complete.
        tls: the client's side.
        ended: the server has said goodbye.
    """

    def __init__(
        self, notes: Notes, opening: Opening, sock: socket.socket, peer: socket.socket
    ) -> None:
        super().__init__(notes, sock, peer)
        self.opening = opening
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = client_context()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.ended = False

    def feed(self) -> None:
        """Take what has come from the server."""
        self.incoming.write(receive_all(self.peer))

    async def send_records(self, step: int = 1 << 20) -> None:
        """Send what the client's side has to say, in pieces."""
        data = self.outgoing.read()
        for start in range(0, len(data), step):
            self.peer.send(data[start : start + step])
            if step < len(data):
                await asyncio.sleep(0)

    async def shake_hands(self, step: int = 1 << 20) -> None:
        """Complete the handshake; the last flight is sent in pieces, too."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.send_records(step)
                self.feed()
                await asyncio.sleep(0)
            else:
                break
        await self.send_records(step)
        await until(lambda: self.transport is not None)

    def records(self, *pieces: bytes) -> bytes:
        """Return records that hold these, one for each."""
        for data in pieces:
            self.tls.write(data)
        return self.outgoing.read()

    def say(self, *pieces: bytes) -> None:
        """Send pieces, a record for each."""
        self.peer.sendall(self.records(*pieces))

    def decrypt(self) -> bytes:
        """Return what the server has said by now."""
        self.feed()
        found = []
        try:
            while data := self.tls.read(1 << 20):
                found.append(data)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return b"".join(found)

    async def hear(self, size: int) -> bytes:
        """Return ``size`` bytes of the server."""
        data = b""
        while len(data) < size:
            data += self.decrypt()
            await asyncio.sleep(0)
        return data

    async def hear_to_end(self) -> bytes:
        """Return all bytes of the server up to its goodbye."""
        data = b""
        while not self.ended:
            data += self.decrypt()
            await asyncio.sleep(0)
        return data


class TLSScene(Scene):
    """Makes encrypted connections."""

    async def start(
        self, family: str = "tcp", small: bool = False, **hooks: Callable[[Notes], Any]
    ) -> TLSPair:
        """Make a connection whose handshake is to come."""
        from tests.unit.connection.pairs import sockets

        ours, peer = sockets(family, small)
        notes = Notes(**hooks)
        opening = Opening(notes)
        pair = TLSPair(notes, opening, ours, peer)
        self.pairs.append(pair)
        twin = self.kind.partition("-")[0]
        transport = part(twin, "tls_transport").TLSTransport(
            self.poller, server_context(), opening, self._buffer
        )
        self._transport_class(self.poller, ours, transport, self._buffer).open()
        return pair

    async def connect(
        self, family: str = "tcp", small: bool = False, **hooks: Callable[[Notes], Any]
    ) -> TLSPair:
        """Make a connection and complete its handshake."""
        pair = await self.start(family, small, **hooks)
        await pair.shake_hands()
        return pair
