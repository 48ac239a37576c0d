"""`Endpoints`: what the connections of a worker share, listener by listener.

Listeners differ in the role they have, in their options of TLS and in whether proxies speak first.
Those that agree in all share one `Endpoint`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic, perf_counter
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from pagi.interface.callables import App
from pagi.protocol.connection import DefaultFields
from pagi.protocol.http2.limits import HTTP2Limits
from pagi.server.config import Config
from pagi.server.config.tls import TLS
from pagi.server.connection.context import Clock, ConnectionContext
from pagi.server.connection.proxies import TrustedProxies
from pagi.server.exchange.service import Service
from pagi.server.exchange.sse import SSEExchange
from pagi.server.exchange.validation import check_message
from pagi.server.exchange.websocket import WebSocketExchange
from pagi.server.worker.lifespan import Lifespan
from pagi.server.worker.observer import Observer
from pagi.server.worker.redirect import redirect_to_https
from pagi.server.worker.sockets import BoundSocket
from pagi.server.worker.tls import Certificates
from pagi.server.worker.transports import ProxyTransports, Transports, encrypted

__all__ = ["Endpoint", "Endpoints"]

_HTTPS_PORT: Final = 443

#: Which application: the one that is served, or one of ours.
_Serves: TypeAlias = Literal["application", "redirect", "admin"]


class _Key(NamedTuple):
    """In what listeners differ."""

    serves: _Serves
    tls: TLS | None
    proxied: bool


class Endpoint(NamedTuple):
    """What the connections of one sort of listeners share.

    Attributes:
        context: of their drivers.
        transports: makes their transports.
    """

    context: ConnectionContext
    transports: Transports


class Endpoints:
    """Makes the endpoints of the listeners; reads their certificates at once.

    Args:
        config: the whole configuration.
        sockets: the listeners.
        logger: told of renewed certificates.

    Attributes:
        connections: those that are open, of all listeners.
        clock: coarse time.
        defaults: fields added to every response.
        services: the application's side by what is served: the application, redirects, admin.

    Raises:
        StartError: a certificate is missing or wrong.
    """

    def __init__(
        self, config: Config, sockets: Sequence[BoundSocket], logger: logging.Logger
    ) -> None:
        self._config = config
        self._sockets = sockets
        self.connections: set[Any] = set()
        self.clock = Clock(monotonic())
        self.defaults = DefaultFields(server=config.headers.server_header.encode("latin-1"))
        self.services: dict[_Serves, Service] = {}
        self._http2 = _http2_limits(config)
        self._made: dict[_Key, Endpoint] = {}
        alpn = ("h2", "http/1.1") if self._http2 is not None else ("http/1.1",)
        self._certificates = {
            tls: Certificates(tls, alpn, logger)
            for tls in dict.fromkeys(self._key(bound).tls for bound in sockets)
            if tls is not None
        }

    def _key(self, bound: BoundSocket) -> _Key:
        config, listen = self._config, bound.listen
        if listen is None:
            tls = config.tls if config.tls.wanted else None
            return _Key("application", tls, config.listening.proxy_protocol)
        role = listen.role
        serves: _Serves = role if role == "redirect" or role == "admin" else "application"
        return _Key(serves, config.tls_of(listen), bool(listen.proxy_protocol))

    def open(
        self,
        app: App,
        loop: asyncio.AbstractEventLoop,
        lifespan: Lifespan,
        log: Observer | None,
        admin: App | None = None,
    ) -> None:
        """Make the application's side.

        Args:
            app: the application.
            loop: the running loop.
            lifespan: which has completed its startup.
            log: written at the end of each exchange.
            admin: the application of admin listeners; nobody logs what is asked of it.
        """
        self._log = log
        wanted = {self._key(bound).serves for bound in self._sockets}
        self.services["application"] = _make_service(self._config, app, loop, lifespan, log)
        if "redirect" in wanted:
            redirect = redirect_to_https(self._redirect_port())
            self.services["redirect"] = _own_service(self._config, redirect, loop, log)
        if "admin" in wanted and admin is not None:
            self.services["admin"] = _own_service(self._config, admin, loop, None)
        for service in self.services.values():
            service.runner.prepare()

    def _redirect_port(self) -> int:
        configured = self._config.listening.redirect_port
        ports = (bound.port for bound in self._sockets if bound.scheme == "https")
        return configured or next(filter(None, ports), _HTTPS_PORT)

    def endpoint(
        self,
        bound: BoundSocket,
        open_transports: type[Transports],
        closed: Callable[[], None],
    ) -> Endpoint:
        """Return the endpoint of a listener.

        Args:
            bound: the listener.
            open_transports: makes those of plain connections.
            closed: called when a connection is gone from `connections`.
        """
        key = self._key(bound)
        if key not in self._made:
            # Nobody counts what is asked of the admin listener.
            log = None if key.serves == "admin" else self._log
            context = self._context(key, log, closed)
            transports = self._transports(context, key.tls, open_transports)
            if key.proxied:
                transports = ProxyTransports(context.service.loop, context, transports)
            self._made[key] = Endpoint(context, transports)
        return self._made[key]

    def _context(
        self, key: _Key, log: Observer | None, closed: Callable[[], None]
    ) -> ConnectionContext:
        config = self._config
        return ConnectionContext(
            self.services[key.serves],
            self.clock,
            self.defaults,
            self.connections,
            http1=config.http1,
            http2=self._http2,
            http2_settings=config.http2,
            timeouts=config.timeouts,
            flow=config.flow,
            max_connections=config.listening.connection_limit(),
            shutdown_grace=config.process.shutdown_grace,
            scheme="http" if key.tls is None else "https",
            proxies=self._proxies(key),
            log_rejected=None if log is None else log.log_rejected,
            closed=closed,
        )

    def _proxies(self, key: _Key) -> TrustedProxies | None:
        trusted, family = self._config.proxies.trusted_proxies, self._config.proxies.forwarded
        if not trusted:
            return None
        # A web page that is visited on a trusted machine can send fields, but no `Host`, by which
        # the admin listener knows it.
        return TrustedProxies(trusted, "none" if key.serves == "admin" else family)

    def _transports(
        self, context: ConnectionContext, tls: TLS | None, open_transports: type[Transports]
    ) -> Transports:
        if tls is None:
            return open_transports(context.service.loop, context)
        certificates = self._certificates[tls]
        return encrypted(
            open_transports, context, certificates, tls.handshake_timeout, bool(tls.sni)
        )

    def renew(self) -> None:
        """Look whether files of certificates have changed; called once a second."""
        for certificates in self._certificates.values():
            certificates.renew()

    def begin_draining(self) -> None:
        """Make the beginning of a stop visible on every open scope."""
        for service in self.services.values():
            service.begin_draining()

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        """Those of applications that have not ended."""
        return [task for service in self.services.values() for task in service.runner.tasks]

    @property
    def activities(self) -> dict[asyncio.Task[Any], tuple[Any, Any]]:
        """See `AppRunner.activities`."""
        return {
            task: activity
            for service in self.services.values()
            for task, activity in service.runner.activities().items()
        }

    def count_open(self) -> tuple[int, int, int]:
        """Return how many requests, event streams and WebSockets wait for something."""
        exchanges = [
            exchange for exchange, _ in self.services["application"].runner.activities().values()
        ]
        streams = sum(isinstance(each, SSEExchange) and each.streaming for each in exchanges)
        websockets = sum(isinstance(exchange, WebSocketExchange) for exchange in exchanges)
        parked = sum(exchange is None for exchange in exchanges)
        return len(exchanges) - parked - streams - websockets, streams, websockets

    def cancel_forsaken(self) -> None:
        """Cancel the applications that missed the end of their exchange."""
        for service in self.services.values():
            service.runner.cancel_forsaken()

    def close_services(self) -> None:
        """Release what the application's side holds; its tasks have ended or are given up."""
        for service in self.services.values():
            service.runner.close()
            service.files.close()

    def close_transports(self) -> None:
        """Release what the transports share; they are all gone."""
        for endpoint in self._made.values():
            endpoint.transports.close()


def _make_service(
    config: Config,
    app: App,
    loop: asyncio.AbstractEventLoop,
    lifespan: Lifespan,
    log: Observer | None,
) -> Service:
    interface = config.application.interface
    return Service(
        app,
        loop,
        flow=config.flow,
        state=lifespan.state,
        context=lifespan.context,
        root_path=config.application.root_path,
        native=None if interface == "auto" else interface == "pagi",
        sse=config.sse,
        websocket=config.websocket,
        websocket_limits=config.websocket_limits,
        log_access=None if log is None else log.log,
        time=perf_counter,
        check=check_message if config.application.validate_events else None,
        show_error=_error_page() if config.shows_errors else None,
    )


def _error_page() -> Callable[[dict[str, Any], BaseException | None], Any]:
    from pagi.server.worker.error_page import show_error  # production never loads it

    return show_error


def _own_service(
    config: Config, app: App, loop: asyncio.AbstractEventLoop, log: Observer | None
) -> Service:
    return Service(
        app,
        loop,
        flow=config.flow,
        log_access=None if log is None else log.log,
        time=perf_counter,
    )


def _http2_limits(config: Config) -> HTTP2Limits | None:
    """Return the limits of HTTP/2, those of HTTP/1 where they mean the same; None for none."""
    if not config.listening.http2:
        return None
    return replace(
        config.http2_limits,
        max_header_count=config.http1.max_header_count,
        max_target_size=config.http1.max_target_size,
        max_body_size=config.http1.max_body_size,
    )
