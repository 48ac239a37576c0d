"""Connections to a TLS port until their handshake is complete.

Such a connection is one of the worker's from the accept on: it has a deadline, and a stop waits for
it. There are no more of them than connections may be: beyond that the oldest is given up, because
honest clients complete a handshake in less time than it takes to open so many. When the handshake
is complete the driver is made that ALPN asks for (RFC 7301), and the transport is left to it.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from pagi.protocol.grammar import is_host
from pagi.server.connection.driver import RESOLUTION
from pagi.server.connection.http1 import HTTP1Driver
from pagi.server.connection.http2 import HTTP2Driver
from pagi.server.connection.opening import Opening, WatchedSocket, peer_text, read_up
from pagi.server.connection.tls_transport import TLSTransport
from pagi.server.connection.transport import SocketTransport, send_at_once

if TYPE_CHECKING:
    import ssl

    from pagi.protocol.proxy_protocol import ProxyHeader
    from pagi.server.connection.context import ConnectionContext
    from pagi.server.connection.readiness import Watcher

__all__ = ["Connect", "ForeignTLSOpening", "TLSOpening"]

#: Makes the transport of a socket, with TLS, for the protocol that the callable returns.
Connect = Callable[[Callable[[], Any], socket.socket], Awaitable[Any]]

#: The first byte of a record of the handshake (RFC 8446 §5.1).
_HANDSHAKE: Final = 0x16
_LOOK_SIZE: Final = 4096
_HOST: Final = re.compile(rb"\r\nhost:[ \t]*([^\r\n]*?)[ \t]*\r\n", re.IGNORECASE)


class _TLSOpening(Opening):
    """What both sorts have in common: the driver in the end.

    Args:
        context: of the connection, with the scheme ``https``.
        handshake_timeout: from now on, in seconds.
        stated: what the header of the PROXY protocol says of the connection, if there was one.
    """

    _awaited = "the TLS handshake"

    def __init__(
        self,
        context: ConnectionContext,
        handshake_timeout: float | None,
        stated: ProxyHeader | None = None,
    ) -> None:
        super().__init__(context, handshake_timeout)
        self._stated = stated

    # ------------------------------------------------------------- what the transport calls

    def connection_made(self, transport: Any) -> None:
        """The handshake is complete: leave the transport to the driver that the peer wants."""
        context = self._context
        tls = transport.get_extra_info("ssl_object")
        chosen = None if tls is None else tls.selected_alpn_protocol()
        multiplexed = chosen == "h2" and context.http2 is not None
        driver: Any = HTTP2Driver(context) if multiplexed else HTTP1Driver(context)
        driver.stated = self._stated
        self._leave()
        transport.set_protocol(driver)
        driver.connection_made(transport)
        if self._stopping_since:
            driver.expect_stop()
            driver.shut_down()

    def data_received(self, data: bytes) -> None:
        """Never called: there are no data before the handshake is complete."""

    def eof_received(self) -> bool:
        """The peer left before the handshake was complete."""
        return False

    def pause_writing(self) -> None:
        """Nothing is written."""

    def resume_writing(self) -> None:
        """Nothing is written."""

    # ------------------------------------------------------------- the log

    def _log_failure(self, sock: socket.socket, error: Exception) -> None:
        self._context.logger.debug("%s: the TLS handshake failed: %s", self._who(sock), error)

    def _log_plain(self, sock: socket.socket) -> None:
        if self._context.log_rejected is not None:
            text = "HTTP without TLS on a port of TLS"
            self._context.log_rejected(self._who(sock), 400, text)

    def _who(self, sock: socket.socket) -> str:
        stated = self._stated
        return peer_text(sock) if stated is None or stated.client is None else stated.client[0]


class TLSOpening(_TLSOpening):
    """The first protocol of a `TLSTransport`."""

    _transport: TLSTransport | None = None
    _lingering_since = 0.0

    def open(
        self, poller: Watcher, sock: socket.socket, tls: ssl.SSLContext, buffer: bytearray
    ) -> None:
        """Make the transports of an accepted socket and begin to read."""
        self._make_room()
        self._transport = TLSTransport(poller, tls, self, buffer)
        SocketTransport(poller, sock, self._transport, buffer).open()

    def plain_received(self, transport: Any, data: bytes) -> None:
        """The peer does not speak TLS; if it speaks HTTP, it is told where it is."""
        if data[:1].isalpha():
            self._log_plain(transport.get_extra_info("socket"))
            self._lingering_since = self._context.clock.now
            transport.answer_plainly(_plain_answer(data))
        else:
            transport.abort()

    def handshake_failed(self, error: Exception) -> None:
        """It was the peer's fault, or it wants what we have not."""
        self._lingering_since = self._context.clock.now
        if self._transport is not None:
            self._log_failure(self._transport.get_extra_info("socket"), error)

    def on_tick(self, now: float) -> None:
        """Compare the deadlines with ``now``."""
        since = self._lingering_since
        if not since:
            super().on_tick(now)
        elif now - since >= (self._context.timeouts.linger_timeout or 0.0) + RESOLUTION:
            self.abort("client_timeout")

    def _address(self) -> str:
        """See `_TLSOpening`."""
        transport = self._transport
        return "-" if transport is None else peer_text(transport.get_extra_info("socket"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended before the handshake was complete."""
        self._transport = None
        self._gone()

    def connection_made(self, transport: Any) -> None:
        """See `_TLSOpening`."""
        self._transport = None
        super().connection_made(transport)

    def abort(self, reason: str) -> None:
        """Give the connection up."""
        if self._transport is not None:
            self._transport.abort()


class ForeignTLSOpening(WatchedSocket, _TLSOpening):
    """Waits for the handshake that aiofastnet or the loop makes.

    Args:
        context: of the connection, with the scheme ``https``.
        connect: makes the transport.
        sock: accepted, non-blocking.
        handshake_timeout: from now on, in seconds.
        stated: see `_TLSOpening`.
    """

    def __init__(
        self,
        context: ConnectionContext,
        connect: Connect,
        sock: socket.socket,
        handshake_timeout: float | None,
        stated: ProxyHeader | None = None,
    ) -> None:
        super().__init__(context, handshake_timeout, stated)
        self._loop = context.service.loop
        self._connect = connect
        self._sock = sock
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin: look at the first byte, now or when it comes."""
        assert self._sock is not None
        self._make_room()
        send_at_once(self._sock)
        self._look()

    def _look(self) -> None:
        sock = self._sock
        assert sock is not None
        try:
            data = sock.recv(_LOOK_SIZE, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            self._watch()
            return
        except OSError:
            self._end()
            return
        self._stop_watching()
        if data[:1] == bytes((_HANDSHAKE,)):
            self._task = self._loop.create_task(self._shake_hands(sock))
            self._task.add_done_callback(self._shook_hands)
            return
        if data[:1].isalpha():
            self._log_plain(sock)
            _send_plainly(sock, _plain_answer(data))
        read_up(sock)
        self._end()

    async def _shake_hands(self, sock: socket.socket) -> None:
        try:
            await self._connect(lambda: self, sock)
        except Exception as exc:  # the peer's fault, or a peer that left
            self._log_failure(sock, exc)
            self._end()

    def _shook_hands(self, task: asyncio.Task[None]) -> None:
        """Take the end of the task; one that is cancelled early has not run at all."""
        self._task = None
        if task.cancelled():
            self._end()

    def connection_made(self, transport: Any) -> None:
        """See `_TLSOpening`."""
        self._sock = None  # it is the transport's
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer left before the handshake was complete; the task knows."""

    def abort(self, reason: str) -> None:
        """Give the connection up."""
        if self._task is not None:
            self._task.cancel()
        else:
            self._end()


def _plain_answer(data: bytes) -> bytes:
    """Return what tells a client that speaks HTTP without TLS where it is."""
    found = _HOST.search(data)
    text = b"This port speaks HTTPS.\n"
    if found is not None and found[1] and is_host(found[1]):
        text = b"This port speaks HTTPS: use https://%b/\n" % found[1]
    return (
        b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(text), text)
    )


def _send_plainly(sock: socket.socket, data: bytes) -> None:
    try:
        sock.send(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
