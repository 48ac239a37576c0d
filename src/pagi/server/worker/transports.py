"""Which transports carry the connections of a worker."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from pagi.server.connection.context import ConnectionContext
from pagi.server.connection.driver import batch_of
from pagi.server.connection.poller import make_poller
from pagi.server.connection.proxy_opening import ProxyOpening
from pagi.server.connection.tls_opening import ForeignTLSOpening, TLSOpening
from pagi.server.connection.transport import SocketTransport, send_at_once
from pagi.server.errors import EXIT_CONFIGURATION, StartError
from pagi.server.worker.tls import Certificates

__all__ = ["ProxyTransports", "Transports", "choose_transports", "encrypted"]

#: How long a client may take to answer the end of a TLS connection, in seconds.
_GOODBYE_TIME: Final = 5.0
#: Windows' sockets have no sendmsg, whatever the loop.
_SENDS_PIECES: bool = hasattr(socket.socket, "sendmsg")


class Transports:
    """Makes transports of accepted sockets; subclasses know which.

    Args:
        loop: the running loop.
        context: what the connections share.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, context: ConnectionContext) -> None:
        self._loop = loop

    def make(self, sock: socket.socket, protocol: Any) -> Any:
        """Make the transport of an accepted socket and give it the protocol.

        Returns:
            What is the worker's connection from now on, or from one of the next turns on.
        """

    def close(self) -> None:
        """Release what the transports shared; they are all gone."""


class SocketTransports(Transports):
    """Our own: the fastest and smallest, for plain sockets on loops that can watch descriptors."""

    def __init__(self, loop: asyncio.AbstractEventLoop, context: ConnectionContext) -> None:
        super().__init__(loop, context)
        self._poller = make_poller(loop, batch_of(context))
        self._buffer = context.receive_buffer

    def make(self, sock: socket.socket, protocol: Any) -> Any:
        """Make the transport and begin to read."""
        SocketTransport(self._poller, sock, protocol, self._buffer).open()
        return protocol

    def close(self) -> None:
        """Close the poller."""
        self._poller.close()


class FastnetTransports(Transports):
    """Those of aiofastnet."""

    def make(self, sock: socket.socket, protocol: Any) -> Any:
        """Make the transport; it calls the protocol in the next turn of the loop."""
        from aiofastnet.selector_transport import SelectorSocketTransport

        send_at_once(sock)
        SelectorSocketTransport(self._loop, sock, protocol)
        return protocol


class LoopTransports(Transports):
    """The loop's own, which takes a task for each."""

    def __init__(self, loop: asyncio.AbstractEventLoop, context: ConnectionContext) -> None:
        super().__init__(loop, context)
        self._tasks: set[asyncio.Task[Any]] = set()

    def make(self, sock: socket.socket, protocol: Any) -> Any:
        """Begin to make the transport; it calls the protocol in one of the next turns."""
        send_at_once(sock)
        task = self._loop.create_task(self._connect(sock, protocol))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return protocol

    async def _connect(self, sock: socket.socket, protocol: Any) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, sock)
        except OSError:  # the peer left while we were busy
            sock.close()


class TLSTransports(Transports):
    """Encrypted ones, ours.

    Args:
        loop: the running loop.
        context: what the connections share.
        certificates: whose context each new connection gets.
        handshake_timeout: from the accept on, in seconds.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: ConnectionContext,
        certificates: Certificates,
        handshake_timeout: float | None,
    ) -> None:
        super().__init__(loop, context)
        self._context = context
        self._poller = make_poller(loop, batch_of(context))
        self._certificates = certificates
        self._handshake_timeout = handshake_timeout

    def make(self, sock: socket.socket, protocol: Any) -> Any:
        """Make the transport and begin to read; the driver is chosen after the handshake."""
        context = self._context
        opening = TLSOpening(context, self._handshake_timeout, protocol.stated)
        opening.open(self._poller, sock, self._certificates.context, context.receive_buffer)
        return opening

    def close(self) -> None:
        """Close the poller."""
        self._poller.close()


class ForeignTLSTransports(Transports):
    """Encrypted ones of aiofastnet, whose TLS is OpenSSL on the socket, or the loop's own.

    Args:
        loop: the running loop.
        context: what the connections share.
        certificates: whose context each new connection gets.
        handshake_timeout: from the accept on, in seconds.
        fastnet: use aiofastnet's.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: ConnectionContext,
        certificates: Certificates,
        handshake_timeout: float | None,
        fastnet: bool,
    ) -> None:
        super().__init__(loop, context)
        self._context = context
        self._certificates = certificates
        self._handshake_timeout = handshake_timeout
        self._fastnet = fastnet

    def make(self, sock: socket.socket, protocol: Any) -> Any:
        """Wait for the client to begin its handshake; the driver is chosen after it."""
        opening = ForeignTLSOpening(
            self._context, self._connect, sock, self._handshake_timeout, protocol.stated
        )
        opening.open()
        return opening

    async def _connect(self, make_protocol: Callable[[], Any], sock: socket.socket) -> None:
        # Its own deadline would be a timer for each connection; ours comes with the tick.
        forever = 86_400.0
        if self._fastnet:
            from aiofastnet import connect_accepted_socket

            await connect_accepted_socket(
                self._loop,
                make_protocol,
                sock,
                ssl=self._certificates.context,
                ssl_handshake_timeout=forever,
                ssl_shutdown_timeout=_GOODBYE_TIME,
            )
        else:
            await self._loop.connect_accepted_socket(
                make_protocol,
                sock,
                ssl=self._certificates.context,
                ssl_handshake_timeout=forever,
                ssl_shutdown_timeout=_GOODBYE_TIME,
            )


class ProxyTransports(Transports):
    """Others, once trusted peers have said for whom they speak.

    Args:
        loop: the running loop.
        context: what the connections share; it knows whom to trust.
        others: make the transports then.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: ConnectionContext, others: Transports
    ) -> None:
        super().__init__(loop, context)
        self._context = context
        self._others = others

    def make(self, sock: socket.socket, protocol: Any) -> Any:
        """Wait for the header of the PROXY protocol."""
        opening = ProxyOpening(self._context, self._others.make, sock, protocol)
        opening.open()
        return opening

    def close(self) -> None:
        """Close the others."""
        self._others.close()


def choose_transports(name: str, loop: asyncio.AbstractEventLoop) -> type[Transports]:
    """Return what makes transports, by the value of the option ``transports``.

    Raises:
        StartError: those that are wanted by name cannot be had here.
    """
    ours = _SENDS_PIECES and _watches_descriptors(loop)
    if name == "asyncio" or (name == "auto" and not ours):
        return LoopTransports
    if name == "aiofastnet":
        _require_aiofastnet()
        return FastnetTransports
    if not ours:
        raise StartError(
            "the transports pagi cannot be used on this system or event loop; "
            "use --transports auto",
            EXIT_CONFIGURATION,
        )
    return SocketTransports


def _watches_descriptors(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether the loop has ``add_reader``, which Windows' default loop has not."""
    return not type(loop).__name__.startswith("Proactor")


def _require_aiofastnet() -> None:
    try:
        import aiofastnet.selector_transport  # noqa: F401
    except ImportError:
        raise StartError(
            "the transports aiofastnet are not installed; run 'pip install aiofastnet' or "
            "use --transports auto",
            EXIT_CONFIGURATION,
        ) from None


def encrypted(
    kind: type[Transports],
    context: ConnectionContext,
    certificates: Certificates,
    handshake_timeout: float | None,
    names: bool,
) -> Transports:
    """Return what makes encrypted transports.

    Args:
        kind: of the plain ones.
        context: what the connections share.
        certificates: whose context each new connection gets.
        handshake_timeout: from the accept on, in seconds.
        names: there are several certificates, chosen by name.
    """
    loop = context.service.loop
    if kind is SocketTransports:
        return TLSTransports(loop, context, certificates, handshake_timeout)
    # aiofastnet 1.2 ends the whole process when a context has a callback for names: it makes
    # OpenSSL's connection without the Python object that the callback looks for.
    fastnet = kind is FastnetTransports and not names
    return ForeignTLSTransports(loop, context, certificates, handshake_timeout, fastnet)
