"""A process that does nothing but serve: its sockets, its loop, its signals."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import ExitStack, closing
from typing import Final

from pagi._build import active_twins
from pagi.interface.callables import App
from pagi.server.config import Config
from pagi.server.errors import EXIT_CONFIGURATION, StartError
from pagi.server.worker.signals import STOP_SIGNALS, hurry_signal, leave_signals
from pagi.server.worker.sockets import BoundSocket, bind, bind_beside
from pagi.server.worker.threads import Threads
from pagi.server.worker.worker import Worker

__all__ = ["bind_all", "bind_for_workers", "make_loop", "run_worker"]

#: How often a worker looks whether its supervisor is still there, in seconds.
SUPERVISOR_CHECK: Final = 1.0


def bind_all(config: Config) -> list[BoundSocket]:
    """Open every listener of the configuration, or none. Raises StartError."""
    listening = config.listening
    sockets: list[BoundSocket] = []
    try:
        for listen in listening.addresses():
            opened = bind(
                listen,
                backlog=listening.backlog,
                reuseport=listening.reuseport,
                beside=listening.addresses(),
            )
            for bound in opened:
                bound.listen = listen
                bound.scheme = "https" if config.tls_of(listen) else "http"
            sockets += opened
    except BaseException:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def bind_for_workers(config: Config) -> list[list[BoundSocket]]:
    """Open the listeners of each worker. Raises StartError.

    All workers accept from the same, except from TCP listeners with ``reuseport``: of those each
    has its own, among which the kernel distributes new connections. They are opened before the
    first fork and outlive their worker, so what waits in one is served by the replacement.
    """
    backlog = config.listening.backlog
    with ExitStack() as opened:
        first = [opened.enter_context(closing(bound)) for bound in bind_all(config)]

        def one_set() -> list[BoundSocket]:
            return [
                opened.enter_context(closing(bind_beside(bound, backlog)))
                if bound.shared
                else bound
                for bound in first
            ]

        listeners = [first, *(one_set() for _ in range(1, config.process.workers))]
        opened.pop_all()
    return listeners


def make_loop(name: str) -> asyncio.AbstractEventLoop:
    """Make an event loop: ``uvloop``, ``asyncio``, or ``auto`` for uvloop where installed."""
    if name in ("auto", "uvloop"):
        try:
            import uvloop
        except ImportError:
            if name == "uvloop":
                raise StartError(
                    "the loop uvloop is not installed; run 'pip install uvloop' or use --loop auto",
                    EXIT_CONFIGURATION,
                ) from None
        else:
            return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def run_worker(
    app: App, config: Config, sockets: list[BoundSocket], worker_num: int | None = None
) -> int:
    """Run one worker on bound sockets until a stop signal; return the exit status.

    Stop signals are ignored then; see `Disposition`. `SystemExit` or `KeyboardInterrupt` of the
    application begins the same stop, and is raised after it.
    """
    process = config.process
    asked, ended = asyncio.Event(), asyncio.Event()
    with asyncio.Runner(loop_factory=lambda: make_loop(process.loop)) as runner:
        try:
            runner.run(_run_worker(app, config, sockets, worker_num, asked, ended))
        except (SystemExit, KeyboardInterrupt) as exc:
            if not ended.is_set():
                logging.getLogger("pagi.server").error(
                    "the application ended the process by %s; stopping", type(exc).__name__
                )
                asked.set()
                runner.run(_wait(ended))
            raise
    return 0


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _run_worker(
    app: App,
    config: Config,
    sockets: list[BoundSocket],
    worker_num: int | None,
    asked: asyncio.Event,
    ended: asyncio.Event,
) -> None:
    loop = asyncio.get_running_loop()
    worker = Worker(app, config, sockets, worker_num)
    threads = Threads(loop)
    _heed_signals(loop, worker, asked, supervised=worker_num is not None)
    try:
        if await _start(worker, asked):
            if worker_num is None:
                _announce(sockets, config, loop)
            else:
                logging.getLogger("pagi.server").info("worker %d is ready", worker_num)
            await asked.wait()
            await worker.stop()
    finally:
        await threads.end()
        leave_signals(loop)
        ended.set()


async def _start(worker: Worker, asked: asyncio.Event) -> bool:
    """Start the worker; ``False`` if a stop was asked for meanwhile and it did not get ready."""
    starting = asyncio.ensure_future(worker.start())
    waiting = asyncio.ensure_future(asked.wait())
    await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():  # stopped while the application was still starting
        starting.cancel()
        await asyncio.wait([starting])
        if starting.cancelled():
            return False
    waiting.cancel()
    starting.result()
    return True


def _heed_signals(
    loop: asyncio.AbstractEventLoop, worker: Worker, asked: asyncio.Event, *, supervised: bool
) -> None:
    def on_signal() -> None:
        if asked.is_set():
            worker.hurry()
        asked.set()

    if supervised:  # SIGINT stays ignored: the supervisor hears it, too
        loop.add_signal_handler(signal.SIGTERM, asked.set)
        loop.add_signal_handler(hurry_signal(), worker.hurry)
        _watch_supervisor(loop, asked, os.getppid())
    else:
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, on_signal)


def _watch_supervisor(loop: asyncio.AbstractEventLoop, asked: asyncio.Event, pid: int) -> None:
    """Ask for a stop when the supervisor has been killed: nobody else would stop its workers."""
    if os.getppid() == pid:
        loop.call_later(SUPERVISOR_CHECK, _watch_supervisor, loop, asked, pid)
    else:
        logging.getLogger("pagi.server").error("the supervisor has gone; stopping")
        asked.set()


def _announce(sockets: list[BoundSocket], config: Config, loop: asyncio.AbstractEventLoop) -> None:
    log = logging.getLogger("pagi.server")
    twins = active_twins()
    kind = "compiled" if twins and all(twins.values()) else "pure Python"
    where = ", ".join(bound.address_text for bound in sockets)
    log.info("serving on %s", where)
    log.info(
        "Python %d.%d, loop %s, %s; stop with Ctrl-C",
        sys.version_info[0],
        sys.version_info[1],
        type(loop).__module__.partition(".")[0],
        kind,
    )
