"""`Worker`: one loop's share of the server: accepting, lifespan, tick, access log, stop.

Timeline of a stop::

    begin          draining becomes visible (connection objects, lifespan.shutdown.notice);
                   from here on requests are answered with ``Connection: close``;
                   what the kernel already accepted is taken, then the listeners are closed
    at once        idle connections close
    shutdown_grace  event streams are ended, WebSockets closed (1012), spread over this time
    one second later  applications of such streams that took no note of their end are cancelled
    … grace …      ends as soon as the last request has ended
    shutdown_timeout  connections are aborted, applications cancelled and waited for
    always         lifespan.shutdown, then the access log is flushed
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic, perf_counter
from typing import Any, Final

from pagi.interface.callables import App
from pagi.protocol.connection import DefaultFields
from pagi.protocol.http2.engine import AVAILABLE
from pagi.protocol.http2.limits import HTTP2Limits
from pagi.server.config import Config
from pagi.server.connection.context import Clock, ConnectionContext
from pagi.server.connection.http1 import HTTP1Driver
from pagi.server.exchange.service import Service
from pagi.server.exchange.validation import check_message
from pagi.server.worker.accepting import Acceptor
from pagi.server.worker.access_log import AccessLog
from pagi.server.worker.clock import Ticker
from pagi.server.worker.lifespan import Lifespan
from pagi.server.worker.sockets import BoundSocket
from pagi.server.worker.tls import Certificates
from pagi.server.worker.transports import (
    TLSTransports,
    Transports,
    choose_transports,
    has_fast_tls,
)

__all__ = ["Worker"]

#: How long cancelled applications may take to end before they are named in the log and left.
CANCEL_GRACE: Final = 5.0
#: How long the application of an event stream or a WebSocket that has ended may take to notice it
#: during a stop, in seconds, before it is cancelled: it may wait for ever for something to send.
NOTICE_TIME: Final = 1.0
#: How long log lines wait for company before they are written, in seconds.
LOG_DELAY: Final = 0.1


class Worker:
    """Serves one application on the sockets it is given, and closes them when a stop begins.

    Args:
        app: the application.
        config: the whole configuration.
        sockets: bound, listening, non-blocking.
        worker_num: 1, 2, … of several processes; ``None`` for a single one.
    """

    def __init__(
        self,
        app: App,
        config: Config,
        sockets: Sequence[BoundSocket],
        worker_num: int | None = None,
    ) -> None:
        self._app = app
        self._config = config
        self._sockets = sockets
        self._logger = logging.getLogger("pagi.server")
        application = config.application
        self._lifespan = Lifespan(
            app,
            mode=application.lifespan,
            startup_timeout=application.lifespan_startup_timeout,
            shutdown_timeout=application.lifespan_shutdown_timeout,
            worker_num=worker_num,
            is_worker=worker_num is not None,
            logger=self._logger,
        )
        self._connections: set[Any] = set()
        self._acceptors: list[Acceptor] = []
        self._access_log: AccessLog | None = None
        self._service: Service | None = None
        self._ticker: Ticker | None = None
        self._transports: Transports | None = None
        self._certificates: Certificates | None = None
        self._empty: asyncio.Future[None] | None = None
        self._hurry: asyncio.Future[None] | None = None

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def start(self) -> None:
        """Run the lifespan's startup, then accept.

        Raises:
            StartError: the application refused to start, or took too long; the access log cannot
                be opened; the transports are not installed; a certificate is wrong.

        Cancelling it ends the application's lifespan task. However it fails, nothing is left to
        be stopped; the sockets stay open.
        """
        loop = asyncio.get_running_loop()
        open_transports = choose_transports(self._config.process.transports, loop)
        self._certificates = self._make_certificates()
        self._open_access_log(loop)
        try:
            await self._lifespan.startup()
            await self._begin(loop, open_transports)
        except BaseException:
            await self._finish()
            raise

    async def _begin(
        self, loop: asyncio.AbstractEventLoop, open_transports: type[Transports]
    ) -> None:
        context = self._make_context(loop)
        context.service.runner.prepare()
        await asyncio.sleep(0)
        self._ticker = Ticker(
            loop,
            context.clock,
            context.defaults,
            self._config.headers.date_header,
            self._connections,
            self._tick,
        )
        self._ticker.start()
        transports = self._transports = self._make_transports(loop, context, open_transports)
        for bound in self._sockets:
            acceptor = Acceptor(
                loop, bound.sock, lambda: HTTP1Driver(context), transports, self._logger
            )
            acceptor.start()
            self._acceptors.append(acceptor)

    def _tick(self, wall: float) -> None:
        if self._access_log is not None:
            self._access_log.tick(wall)
        if self._certificates is not None:
            self._certificates.renew()

    def _make_transports(
        self,
        loop: asyncio.AbstractEventLoop,
        context: ConnectionContext,
        open_transports: type[Transports],
    ) -> Transports:
        certificates = self._certificates
        if certificates is None:
            return open_transports(loop, context)
        # aiofastnet 1.2 ends the whole process when a context has a callback for names: it makes
        # OpenSSL's connection without the Python object that the callback looks for.
        fast = has_fast_tls(self._config.process.transports) and not self._config.tls.sni
        return TLSTransports(loop, context, certificates, self._config.tls.handshake_timeout, fast)

    def _open_access_log(self, loop: asyncio.AbstractEventLoop) -> None:
        logging_ = self._config.logging
        if logging_.access_log is None:
            return

        def schedule() -> None:
            loop.call_later(LOG_DELAY, log.flush)

        log = AccessLog(logging_.access_log_format, logging_.access_log, schedule=schedule)
        self._access_log = log

    def _make_context(self, loop: asyncio.AbstractEventLoop) -> ConnectionContext:
        config = self._config
        log = self._access_log
        interface = config.application.interface
        self._service = Service(
            self._app,
            loop,
            flow=config.flow,
            state=self._lifespan.state,
            context=self._lifespan.context,
            root_path=config.application.root_path,
            native=None if interface == "auto" else interface == "pagi",
            sse=config.sse,
            websocket=config.websocket,
            websocket_limits=config.websocket_limits,
            log_access=None if log is None else log.log,
            time=perf_counter,
            check=check_message if config.application.validate_events else None,
        )
        return ConnectionContext(
            self._service,
            Clock(monotonic()),
            DefaultFields(server=config.headers.server_header.encode("latin-1")),
            self._connections,
            http1=config.http1,
            http2=self._http2_limits(),
            http2_settings=config.http2,
            timeouts=config.timeouts,
            flow=config.flow,
            max_connections=config.listening.connection_limit(),
            shutdown_grace=config.process.shutdown_grace,
            scheme="http" if self._certificates is None else "https",
            log_rejected=None if log is None else log.log_rejected,
            closed=self._connection_closed,
        )

    def _make_certificates(self) -> Certificates | None:
        if not self._config.tls.wanted:
            return None
        alpn = ("h2", "http/1.1") if self._http2_limits() is not None else ("http/1.1",)
        return Certificates(self._config.tls, alpn, self._logger)

    def _http2_limits(self) -> HTTP2Limits | None:
        """Return the limits of HTTP/2, those of HTTP/1 where they mean the same; None for none."""
        config = self._config
        if not config.listening.http2 or not AVAILABLE:
            return None
        return replace(
            config.http2_limits,
            max_header_count=config.http1.max_header_count,
            max_target_size=config.http1.max_target_size,
            max_body_size=config.http1.max_body_size,
        )

    def _connection_closed(self) -> None:
        if self._empty is not None and not self._connections and not self._empty.done():
            self._empty.set_result(None)

    def hurry(self) -> None:
        """End a stop that is under way without waiting for requests any longer."""
        if self._hurry is not None and not self._hurry.done():
            self._hurry.set_result(None)

    async def stop(self) -> None:
        """Stop gracefully; see the timeline above. Never raises; cancelling it skips the grace."""
        loop = asyncio.get_running_loop()
        self._hurry = loop.create_future()
        try:
            if self._service is not None:
                await self._drain(self._service)
        finally:
            await self._finish()

    async def _finish(self) -> None:
        """Do what is always done at the end, whatever fails or is cancelled on the way."""
        try:
            if self._service is not None:
                await self._force(self._service)
        finally:
            try:
                await self._lifespan.shutdown()
            finally:
                if self._ticker is not None:
                    self._ticker.stop()
                if self._transports is not None:
                    self._transports.close()
                if self._access_log is not None:
                    self._access_log.close()

    async def _drain(self, service: Service) -> None:
        self._lifespan.notice()
        service.begin_draining()
        for driver in self._connections:
            driver.expect_stop()
        for acceptor in self._acceptors:
            acceptor.stop()
        for bound in self._sockets:
            bound.close()
        # The transports of the connections just taken call their protocols in the next turns.
        for _ in range(3):
            await asyncio.sleep(0)
        for driver in tuple(self._connections):
            driver.shut_down()
        timeout = self._config.process.shutdown_timeout
        deadline = None if timeout is None else monotonic() + timeout
        if self._connections:
            self._empty = asyncio.get_running_loop().create_future()
            await self._wait([self._empty], deadline)
        # Applications that work on after their response, and those that missed the end of theirs.
        if service.runner.tasks:
            soon = monotonic() + NOTICE_TIME
            await self._wait(
                list(service.runner.tasks), soon if deadline is None else min(soon, deadline)
            )
            service.runner.cancel_forsaken()
        if service.runner.tasks:
            await self._wait(list(service.runner.tasks), deadline)

    async def _wait(self, futures: list[asyncio.Future[Any]], deadline: float | None) -> None:
        """Wait for all of ``futures``, the deadline, or somebody in a hurry."""
        hurry = self._hurry
        assert hurry is not None
        while futures and not hurry.done():
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                return
            await asyncio.wait([*futures, hurry], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            futures = [future for future in futures if not future.done()]

    async def _force(self, service: Service) -> None:
        """Abort and cancel what is left; wait for the cancelled, and name what hangs."""
        if self._connections:
            self._logger.warning(
                "%d connections were still open at the end of the grace and were aborted",
                len(self._connections),
            )
            for driver in tuple(self._connections):
                driver.abort("server_shutdown")
        tasks = set(service.runner.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, hanging = await asyncio.wait(tasks, timeout=CANCEL_GRACE)
            for task in hanging:
                self._logger.error("an application does not end although cancelled: %r", task)
        service.runner.close()
        service.files.close()
        # Aborted transports tell their protocols in the next turn.
        for _ in range(3):
            await asyncio.sleep(0)
