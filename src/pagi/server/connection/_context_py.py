"""`ConnectionContext`: what all connections of one listener share.

One source, two builds: compiled as ``_context_c`` (see ``_context_c.pxd``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pagi.protocol.connection import DefaultFields
from pagi.protocol.http1.limits import HTTP1Limits
from pagi.protocol.http2.limits import HTTP2Limits
from pagi.server.config.http2 import HTTP2
from pagi.server.config.settings import Flow, Timeouts
from pagi.server.exchange.service import Service

if TYPE_CHECKING:
    from pagi.server.connection.proxies import TrustedProxies

__all__ = ["RECEIVE_SIZE", "Clock", "ConnectionContext"]

#: Bytes read from a socket at a time. Below what malloc maps from the system afresh for each
#: piece (128 KiB), and small enough to stay in the processor's cache from read to use.
RECEIVE_SIZE = 65_536


class Clock:
    """Coarse time for deadlines: the worker moves it once a second.

    Deadlines are stored and compared, never scheduled, so that a request costs no timer. They are
    therefore exact to a second.

    Attributes:
        now: monotonic time in seconds.
    """

    __slots__ = ("now",)

    def __init__(self, now: float) -> None:
        self.now = now


class ConnectionContext:
    """Everything a driver needs that outlives its connection.

    Attributes:
        service: the application's side.
        clock: coarse time.
        defaults: fields added to every response.
        http1: limits of the HTTP/1 machine.
        http2: limits of the HTTP/2 machine, or ``None`` where HTTP/2 is not spoken.
        http2_settings: deadlines of HTTP/2, and how it may begin.
        timeouts: deadlines, in seconds.
        flow: water marks.
        connections: the open connections of the worker; drivers add and remove themselves.
        openings: those of them that have no driver yet, the oldest first.
        max_connections: beyond this many a new connection is answered with 503.
        receive_buffer: what all connections read into, one after the other; its bytes are
            taken out before anything else can run.
        shutdown_grace: how long streams without an end may go on when a stop begins, in seconds.
        scheme: of the listener.
        proxies: who is believed about the clients it speaks for, or ``None`` if nobody is.
        log_rejected: called with ``(client, status, detail)`` for a request that never reached
            the application, or ``None``.
        closed: called when a connection is gone from ``connections``.
        logger: for the peer's faults (debug) and ours.
    """

    __slots__ = (
        "batch",
        "clock",
        "closed",
        "connections",
        "defaults",
        "flow",
        "http1",
        "http2",
        "http2_settings",
        "log_rejected",
        "logger",
        "max_connections",
        "openings",
        "proxies",
        "receive_buffer",
        "rejected",
        "scheme",
        "service",
        "shutdown_grace",
        "timeouts",
    )

    def __init__(
        self,
        service: Service,
        clock: Clock,
        defaults: DefaultFields,
        connections: set[Any],
        *,
        http1: HTTP1Limits | None = None,
        http2: HTTP2Limits | None = None,
        http2_settings: HTTP2 | None = None,
        timeouts: Timeouts | None = None,
        flow: Flow | None = None,
        max_connections: int = 1000,
        shutdown_grace: float | None = 5.0,
        scheme: str = "http",
        proxies: TrustedProxies | None = None,
        log_rejected: Callable[[str, int, str], None] | None = None,
        closed: Callable[[], None] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        self.service = service
        self.clock = clock
        self.defaults = defaults
        self.connections = connections
        self.openings: dict[Any, None] = {}
        self.http1 = http1 or HTTP1Limits()
        self.http2 = http2
        self.http2_settings = http2_settings or HTTP2()
        self.timeouts = timeouts or Timeouts()
        self.flow = flow or Flow()
        self.max_connections = max_connections
        self.shutdown_grace = shutdown_grace
        self.scheme = scheme
        self.proxies: Any = proxies
        self.log_rejected = log_rejected
        self.closed = closed
        self.logger = logger or logging.getLogger("pagi.connection")
        self.rejected = 0
        self.batch: Any = None  # made by `batch_of`, which is of a higher module
        self.receive_buffer = bytearray(RECEIVE_SIZE)
