"""Serving from Python: `serve` inside a running loop, `run` for a whole process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any

from pagi.interface.callables import App
from pagi.server.config import Config, load
from pagi.server.errors import EXIT_CONFIGURATION, StartError
from pagi.server.worker.process import bind_all, make_admin, run_worker
from pagi.server.worker.scoreboard import DRAINING, READY, Scoreboard
from pagi.server.worker.settling import prepare, settled
from pagi.server.worker.signals import Disposition
from pagi.server.worker.sockets import BoundSocket
from pagi.server.worker.starter import Starter
from pagi.server.worker.worker import Worker

__all__ = ["Server", "run", "run_loaded", "serve"]


class Server:
    """One server in a running loop. Several can run in one loop, each with its own application.

    Args:
        app: the application.
        config: the whole configuration; by default made from ``options`` and nothing else (no
            file, no variables).
        options: any option of the settings reference by name.

    Raises:
        ConfigError: an option is unknown or impossible.
    """

    def __init__(self, app: App, config: Config | None = None, **options: Any) -> None:
        self._config = config or load({"config_file": None, **options}, environ={})
        self._app = app
        self._sockets: list[BoundSocket] = []
        self._worker: Worker | None = None
        self._stopped: asyncio.Event | None = None
        self._stopping: asyncio.Task[None] | None = None

    @property
    def config(self) -> Config:
        """The effective configuration."""
        return self._config

    @property
    def sockets(self) -> list[BoundSocket]:
        """The bound sockets, in the order of the configuration."""
        return list(self._sockets)

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as text: ``http://127.0.0.1:8000``, ``unix:/run/app.sock``."""
        return [bound.address_text for bound in self._sockets]

    @property
    def port(self) -> int | None:
        """The port of the first TCP listener, as the system chose it if 0 was asked for."""
        for bound in self._sockets:
            if bound.port is not None:
                return bound.port
        return None

    @property
    def is_running(self) -> bool:
        """Whether it has started and not yet stopped."""
        return self._worker is not None and self._stopped is not None and not self._stopped.is_set()

    async def start(self) -> Server:
        """Bind, run the lifespan's startup, accept.

        Raises:
            StartError: a listener could not be opened, or the application refused to start.
        """
        process = self._config.process
        if process.user is not None or process.group is not None:
            raise StartError(
                "user, group: a server in a running loop does not change its process; "
                "leave them away, or use pagi.run",
                EXIT_CONFIGURATION,
            )
        _refuse_reload(self._config)
        self._sockets = bind_all(self._config)
        board = Scoreboard(0)
        self._site = board.site
        self._site.take(os.getpid(), 0, 0)
        admin = make_admin(board, self._config)
        self._worker = Worker(self._app, self._config, self._sockets, None, self._site, admin)
        self._stopped = asyncio.Event()
        try:
            await self._worker.start()
        except BaseException:
            self._close_sockets()
            self._stopped.set()
            raise
        self._site.state = READY
        return self

    async def shutdown(self) -> None:
        """Stop gracefully: finish requests, run the lifespan's shutdown, close the listeners.

        Calling it again waits for the same stop. Cancelling the wait does not cancel the stop.
        """
        if self._worker is None or self._stopped is None or self._stopped.is_set():
            return
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(self._worker, self._stopped))
        await asyncio.shield(self._stopping)

    async def _stop(self, worker: Worker, stopped: asyncio.Event) -> None:
        self._site.state = DRAINING
        try:
            await worker.stop()
        finally:
            self._close_sockets()
            stopped.set()

    def hurry(self) -> None:
        """End a graceful stop that is under way without waiting for requests any longer."""
        if self._worker is not None:
            self._worker.hurry()

    async def wait_closed(self) -> None:
        """Wait until the server has stopped."""
        if self._stopped is not None:
            await self._stopped.wait()

    def _close_sockets(self) -> None:
        for bound in self._sockets:
            bound.close()

    async def __aenter__(self) -> Server:
        return self if self._worker is not None else await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.shutdown()


class _Serving:
    """What `serve` returns: awaited it is a started server, entered it also stops it."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __await__(self) -> Generator[Any, Any, Server]:
        return self._server.start().__await__()

    async def __aenter__(self) -> Server:
        return await self._server.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.shutdown()


def serve(app: App, config: Config | None = None, **options: Any) -> _Serving:
    """Start a server in the running loop.

    ``server = await serve(app, port=0)`` starts it; ``async with serve(app, port=0) as server:``
    also stops it at the end of the block. Signals are left alone.

    Raises:
        ConfigError: an option is unknown or impossible.
        StartError: on awaiting: see `Server.start`.
    """
    return _Serving(Server(app, config, **options))


def run(app: App, *, config: Config | None = None, **options: Any) -> int:
    """Serve ``app`` until SIGTERM or SIGINT; blocks.

    Options given here take the place of flags; variables and the configuration file are read.

    Returns:
        0 after a clean stop.

    Raises:
        ConfigError: an option is unknown or impossible.
        StartError: the server could not start.
    """
    config = config or load(options)
    _refuse_reload(config)
    disposition = Disposition()
    try:
        return _serve_until_told(lambda: app, config)
    finally:
        disposition.put_back()


def _refuse_reload(config: Config) -> None:
    if config.development.reload:
        raise StartError(
            "reload: an application that is an object is not loaded anew; use pagi dev, or "
            "pagi run --reload",
            EXIT_CONFIGURATION,
        )


def run_loaded(
    load_app: Callable[[], App], config: Config, read_config: Callable[[], Config] | None = None
) -> int:
    """Serve the application that ``load_app()`` returns, then exit; what ``pagi run`` calls.

    With workers the application is loaded in each worker, after the fork. A stop signal that comes
    after the end of the server ends the process with the status that is returned here.

    Args:
        load_app: imports and returns the application.
        config: the whole configuration.
        read_config: reads it again when the workers are restarted.
    """
    disposition = Disposition()
    try:
        status = _serve_until_told(load_app, config, read_config)
    except BaseException:
        disposition.put_back()
        raise
    disposition.leave_with(status)
    return status


def _serve_until_told(
    load_app: Callable[[], App], config: Config, read_config: Callable[[], Config] | None = None
) -> int:
    starter = Starter()
    if config.process.daemon:
        starter.detach()
    try:
        prepare(config, starter)
        # Process 1 of a container is the parent of all orphans there: a supervisor reaps them.
        # So was whoever had its place taken.
        supervised = os.getpid() == 1 or starter.predecessor is not None
        if config.development.reload:
            from pagi.server.supervisor.development import run_developed

            status = run_developed(load_app, config, read_config, starter)
        elif config.process.supervised or supervised:
            from pagi.server.supervisor.supervisor import run_supervised

            status = run_supervised(load_app, config, read_config, starter)
        else:
            status = _serve_alone(load_app, config, starter)
    except BaseException as error:
        starter.failed(error)
        raise
    starter.ended(status)
    return status


def _serve_alone(load_app: Callable[[], App], config: Config, starter: Starter) -> int:
    sockets = bind_all(config, starter.inherited)
    try:
        with settled(config, starter):
            return run_worker(load_app(), config, sockets, starter=starter)
    finally:
        for bound in sockets:
            bound.close()
