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
from collections import deque
from collections.abc import Sequence
from functools import partial
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final

from pagi.interface.callables import App
from pagi.server.config import Config
from pagi.server.connection.http1 import HTTP1Driver
from pagi.server.worker.accepting import Acceptor
from pagi.server.worker.access_log import AccessLog
from pagi.server.worker.clock import Ticker
from pagi.server.worker.counters import Counters
from pagi.server.worker.endpoints import Endpoints
from pagi.server.worker.lifespan import Lifespan
from pagi.server.worker.memory import resident_memory
from pagi.server.worker.observer import Observer
from pagi.server.worker.report import Report
from pagi.server.worker.scoreboard import Scoreboard, Slot
from pagi.server.worker.slowness import SlowRequests, SlowTurns
from pagi.server.worker.sockets import BoundSocket
from pagi.server.worker.transports import Transports, choose_transports

if TYPE_CHECKING:
    from pagi.server.worker.admin import Admin

__all__ = ["Worker"]

#: How long cancelled applications may take to end before they are named in the log and left.
CANCEL_GRACE: Final = 5.0
#: How long the application of an event stream or a WebSocket that has ended may take to notice it
#: during a stop, in seconds, before it is cancelled: it may wait for ever for something to send.
NOTICE_TIME: Final = 1.0
#: How long log lines wait for company before they are written, in seconds.
LOG_DELAY: Final = 0.1
#: Ticks, one a second, among which the latest counts: whoever looks now and then shall see it.
LAG_TICKS: Final = 5


class Worker:
    """Serves one application on the sockets it is given, and closes them when a stop begins.

    Args:
        app: the application.
        config: the whole configuration.
        sockets: bound, listening, non-blocking.
        worker_num: 1, 2, … of several processes; ``None`` for a single one.
        slot: where it says how it is; by default one of its own.
        report: where stacks can be written; only in a process that does nothing but serve.
        admin: the application of admin listeners; there must be one if any of the sockets is one.
    """

    def __init__(
        self,
        app: App,
        config: Config,
        sockets: Sequence[BoundSocket],
        worker_num: int | None = None,
        slot: Slot | None = None,
        admin: Admin | None = None,
        report: Report | None = None,
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
        self._acceptors: list[Acceptor] = []
        self._access_log: AccessLog | None = None
        self._endpoints: Endpoints | None = None
        self._ticker: Ticker | None = None
        self._empty: asyncio.Future[None] | None = None
        self._hurry: asyncio.Future[None] | None = None
        self._hurried = False
        self._slot = slot or Scoreboard(0).site
        self._admin = admin
        self._observed = bool(config.listening.admins())
        self._expected_tick = 0.0
        self._slow_requests: SlowRequests | None = None
        self._slow_turns: SlowTurns | None = None
        limit = config.logging.slow_turn
        if report is not None and limit is not None:
            self._slow_turns = SlowTurns(limit, report, self._logger)
        self._lags: deque[float] = deque(maxlen=LAG_TICKS)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return 0 if self._endpoints is None else len(self._endpoints.connections)

    def activities(self) -> dict[asyncio.Task[Any], tuple[Any, Any]]:
        """See `AppRunner.activities`; of all listeners."""
        return {} if self._endpoints is None else self._endpoints.activities

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
        endpoints = Endpoints(self._config, self._sockets, self._logger)
        self._open_access_log(loop)
        try:
            await self._lifespan.startup()
            await self._begin(loop, endpoints, open_transports)
        except BaseException:
            await self._finish()
            raise

    async def _begin(
        self,
        loop: asyncio.AbstractEventLoop,
        endpoints: Endpoints,
        open_transports: type[Transports],
    ) -> None:
        self._endpoints = endpoints
        endpoints.open(self._app, loop, self._lifespan, self._observer(), self._admin)
        await asyncio.sleep(0)
        self._ticker = Ticker(
            loop,
            endpoints.clock,
            endpoints.defaults,
            self._config.headers.date_header,
            endpoints.connections,
            self._tick,
        )
        self._ticker.start()
        for bound in self._sockets:
            endpoint = endpoints.endpoint(bound, open_transports, self._connection_closed)
            make_driver = partial(HTTP1Driver, endpoint.context)
            acceptor = Acceptor(loop, bound.sock, make_driver, endpoint.transports, self._logger)
            acceptor.start()
            self._acceptors.append(acceptor)

    def _observer(self) -> Observer | None:
        """Return what is told of each exchange: the log, and what else is wanted."""
        observer: Observer | None = self._access_log
        if self._config.process.max_requests or self._observed:
            observer = Counters(self._slot.counters, self._slot.request_cell, observer)
        limit = self._config.logging.slow_request
        if limit is not None:
            observer = self._slow_requests = SlowRequests(limit, observer, self._logger)
        return observer

    def _tick(self, wall: float) -> None:
        self._beat(monotonic())
        self._look_for_slowness()
        if self._admin is not None:
            self._admin.tick()
        if self._access_log is not None:
            self._access_log.tick(wall)
        if self._endpoints is not None:
            self._endpoints.renew()

    def _look_for_slowness(self) -> None:
        if self._slow_turns is not None:
            self._slow_turns.tick(self._lags[-1], self._expected_tick - self._slot.beat)
        if self._slow_requests is not None:
            self._slow_requests.tick(self.activities())

    def _beat(self, now: float) -> None:
        """Say how this worker is: it turns its loop, among other things."""
        slot = self._slot
        slot.beat = now
        self._lags.append(max(0.0, now - self._expected_tick) if self._expected_tick else 0.0)
        slot.lag = max(self._lags)
        slot.max_lag = max(slot.max_lag, slot.lag)
        slot.connections = self.connections
        slot.memory = resident_memory()
        if self._observed and self._endpoints is not None:
            slot.open_http, slot.open_sse, slot.open_websockets = self._endpoints.count_open()
        # The next one is on the next full second of the clock on the wall.
        self._expected_tick = now + 1.0 - time() % 1.0

    def reopen_logs(self) -> None:
        """Open the file of the access log again, after it was renamed."""
        if self._access_log is not None:
            self._access_log.reopen()

    def _open_access_log(self, loop: asyncio.AbstractEventLoop) -> None:
        logging_ = self._config.logging
        if logging_.access_log is None:
            return

        def schedule() -> None:
            loop.call_later(LOG_DELAY, log.flush)

        log = AccessLog(logging_.access_log_format, logging_.access_log, schedule=schedule)
        self._access_log = log

    def _connection_closed(self) -> None:
        if self._empty is not None and not self.connections and not self._empty.done():
            self._empty.set_result(None)

    def hurry(self) -> None:
        """End a stop, under way or to come, without waiting for requests any longer."""
        self._hurried = True
        if self._hurry is not None and not self._hurry.done():
            self._hurry.set_result(None)

    async def stop(self) -> None:
        """Stop gracefully; see the timeline above. Never raises; cancelling it skips the grace."""
        loop = asyncio.get_running_loop()
        self._hurry = loop.create_future()
        if self._hurried:
            self.hurry()
        try:
            if self._endpoints is not None:
                await self._drain(self._endpoints)
        finally:
            await self._finish()

    async def _finish(self) -> None:
        """Do what is always done at the end, whatever fails or is cancelled on the way."""
        try:
            if self._endpoints is not None:
                await self._force(self._endpoints)
        finally:
            try:
                await self._lifespan.shutdown()
            finally:
                if self._ticker is not None:
                    self._ticker.stop()
                if self._slow_turns is not None:
                    self._slow_turns.stop()
                if self._endpoints is not None:
                    self._endpoints.close_transports()
                if self._access_log is not None:
                    self._access_log.close()

    async def _drain(self, endpoints: Endpoints) -> None:
        self._lifespan.notice()
        endpoints.begin_draining()
        for driver in endpoints.connections:
            driver.expect_stop()
        for acceptor in self._acceptors:
            acceptor.stop()
        for bound in self._sockets:
            bound.close()
        # The transports of the connections just taken call their protocols in the next turns.
        for _ in range(3):
            await asyncio.sleep(0)
        for driver in tuple(endpoints.connections):
            driver.shut_down()
        timeout = self._config.process.shutdown_timeout
        deadline = None if timeout is None else monotonic() + timeout
        if endpoints.connections:
            self._empty = asyncio.get_running_loop().create_future()
            await self._wait([self._empty], deadline)
        # Applications that work on after their response, and those that missed the end of theirs.
        if endpoints.tasks:
            soon = monotonic() + NOTICE_TIME
            await self._wait(endpoints.tasks, soon if deadline is None else min(soon, deadline))
            endpoints.cancel_forsaken()
        if endpoints.tasks:
            await self._wait(endpoints.tasks, deadline)

    async def _wait(self, futures: Sequence[asyncio.Future[Any]], deadline: float | None) -> None:
        """Wait for all of ``futures``, the deadline, or somebody in a hurry."""
        hurry = self._hurry
        assert hurry is not None
        while futures and not hurry.done():
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                return
            await asyncio.wait([*futures, hurry], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            futures = [future for future in futures if not future.done()]

    async def _force(self, endpoints: Endpoints) -> None:
        """Abort and cancel what is left; wait for the cancelled, and name what hangs."""
        if endpoints.connections:
            self._logger.warning(
                "%d connections were still open at the end of the grace and were aborted",
                len(endpoints.connections),
            )
            for driver in tuple(endpoints.connections):
                driver.abort("server_shutdown")
        tasks = endpoints.tasks
        for task in tasks:
            task.cancel()
        if tasks:
            _, hanging = await asyncio.wait(tasks, timeout=CANCEL_GRACE)
            for task in hanging:
                self._logger.error("an application does not end although cancelled: %r", task)
        endpoints.close_services()
        # Aborted transports tell their protocols in the next turn.
        for _ in range(3):
            await asyncio.sleep(0)
