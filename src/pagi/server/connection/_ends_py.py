"""`ConnectionEnds`: who is at the two ends of a connection, and what its scopes begin as.

One source, two builds: compiled as ``_ends_c`` (see ``_ends_c.pxd``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pagi.server.connection.tls_info import tls_extension
from pagi.server.exchange.stream import Stream

if TYPE_CHECKING:
    from pagi.server.connection.context import ConnectionContext

__all__ = ["ConnectionEnds"]


class ConnectionEnds(Stream):
    """The part of a driver that knows client and server.

    They are those of the transport, unless a trusted proxy states others: for the whole connection
    in a PROXY header, or for a request in its fields. Where nobody is trusted, that costs one look
    at the context for each connection.

    Attributes:
        stated: what the header of the PROXY protocol says of the connection, or ``None``.
    """

    __slots__ = (
        "_client",
        "_client_text",
        "_common",
        "_context",
        "_heeds",
        "_server",
        "_template",
        "_transport",
        "stated",
    )

    def __init__(self, context: ConnectionContext) -> None:
        self._context = context
        self._transport: Any = None
        self._client: Any = None
        self._client_text = "-"
        self._server: Any = None
        self.stated: Any = None
        self._heeds = False  # the peer is believed about who makes its requests
        self._template: Any = None  # what all scopes begin as
        self._common: Any = None  # the same, where the peer is believed

    def _meet(self, transport: Any) -> None:
        """Find out who is there."""
        peer = transport.get_extra_info("peername")
        if type(peer) is tuple:
            self._client = (peer[0], peer[1])
            self._client_text = peer[0]
        else:
            self._client_text = "unix"
        local = transport.get_extra_info("sockname")
        if self._client is None and type(local) is tuple:
            self._client_text = "-"  # it has gone already
        self._server = (local[0], local[1]) if type(local) is tuple else (local or None, None)
        if self._context.proxies is not None:
            self._look_through()

    def _look_through(self) -> None:
        """Take what the PROXY header states for true, and find out whether fields are read."""
        stated = self.stated
        if stated is not None:
            self._client = client = stated.client
            self._client_text = "unix" if client is None else client[0]
            self._server = stated.server
        host = None if self._client is None else self._client[0]
        # Of TCP, a peer without an address is one that has gone, and not one of a Unix socket.
        if host is not None or self._server[1] is None:
            self._heeds = self._context.proxies.heeds(host)

    def _template_for(self, request: Any, exchange: Any) -> Any:
        """Return what the scope of a request begins as; kept, unless fields of it may change it."""
        context = self._context
        template = self._common
        if template is None:
            secure = self.stated is not None and self.stated.tls
            scheme = "https" if secure else context.scheme
            template = context.service.scope_for(
                scheme, self._client, self._server, self._extensions()
            )
            if not self._heeds:
                self._template = template
                return template
            self._common = template
        # Changed for each request: the exchange copies it at once.
        template["client"] = self._client
        context.proxies.heed(request, exchange, template)
        return template

    def _extensions(self) -> Any:
        """Return what the connection adds to the extensions of its scopes."""
        if self._context.scheme != "https":
            return None
        found = tls_extension(self._transport)
        return None if found is None else {"tls": found}
