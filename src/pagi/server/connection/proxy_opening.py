"""`ProxyOpening`: a connection until its PROXY header is read.

The header comes before all else, TLS included, and whose bytes follow it is not said anywhere. So
it is read off the socket itself, to the byte, before there is a transport. Whatever transports the
connection gets then, they find it as if it had begun there.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pagi.protocol.proxy_protocol import (
    MAX_HEADER_SIZE,
    ProxyHeader,
    ProxyReader,
    begins_proxy_header,
)
from pagi.server.connection.opening import WatchedSocket, peer_text, read_up

if TYPE_CHECKING:
    from pagi.server.connection.context import ConnectionContext

__all__ = ["MakeTransport", "ProxyOpening"]

#: Makes the transport of a socket; returns what is the worker's connection from then on.
MakeTransport = Callable[[socket.socket, Any], Any]


class ProxyOpening(WatchedSocket):
    """Reads the header of a trusted peer; others have none, and may not send one.

    Args:
        context: of the connection.
        make: makes the transport afterwards.
        sock: accepted, non-blocking.
        protocol: the driver, which is told what the header states.
    """

    _awaited = "the PROXY header"

    def __init__(
        self,
        context: ConnectionContext,
        make: MakeTransport,
        sock: socket.socket,
        protocol: Any,
    ) -> None:
        super().__init__(context, context.timeouts.header_timeout)
        self._loop = context.service.loop
        self._make = make
        self._sock = sock
        self._protocol = protocol
        self._reader: ProxyReader | None = None

    def open(self) -> None:
        """Begin to read."""
        assert self._sock is not None
        self._make_room()
        try:
            name = self._sock.getpeername()
        except OSError:  # it has left already
            self._end()
            return
        host = name[0] if isinstance(name, tuple) else None
        if self._context.proxies.trusts_peer(host):
            self._reader = ProxyReader()
        self._look()

    def _look(self) -> None:
        sock = self._sock
        assert sock is not None
        try:
            data = sock.recv(MAX_HEADER_SIZE, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            self._watch()
            return
        except OSError:
            data = b""
        if not data:
            self._end()
        elif self._reader is not None:
            self._read(sock, self._reader, data)
        elif begins_proxy_header(data):
            self._refuse(sock, "a PROXY header of a peer that is not one of trusted_proxies")
        else:
            self._proceed(sock, None)

    def _read(self, sock: socket.socket, reader: ProxyReader, data: bytes) -> None:
        sock.recv(reader.receive_data(data))  # it is there
        if reader.error is not None:
            self._refuse(sock, f"the PROXY header is faulty or missing: {reader.error}")
        elif reader.header is None:
            self._watch()
        else:
            self._proceed(sock, reader.header)

    def _proceed(self, sock: socket.socket, header: ProxyHeader | None) -> None:
        """Make the transport, as if the connection were accepted now."""
        self._stop_watching()
        self._sock = None
        self._leave()
        if header is not None and header.server is not None:
            self._protocol.stated = header
        try:
            follower = self._make(sock, self._protocol)
        except OSError:  # the peer left meanwhile
            sock.close()
            self._gone()
            return
        if self._stopping_since:
            follower.expect_stop()
            follower.shut_down()

    def _refuse(self, sock: socket.socket, detail: str) -> None:
        self._context.logger.warning("%s: refused: %s", peer_text(sock), detail)
        read_up(sock)
        self._end()

    def abort(self, reason: str) -> None:
        """Give the connection up."""
        self._end()
