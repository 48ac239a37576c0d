"""A process that does nothing but serve: its sockets, its loop, its signals."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from pagi._build import active_twins
from pagi.interface.callables import App
from pagi.server.config import Config
from pagi.server.errors import EXIT_CONFIGURATION, StartError
from pagi.server.worker.activation import Inherited
from pagi.server.worker.daemon import end_relay
from pagi.server.worker.link import HURRY, REOPEN, STOP, Link
from pagi.server.worker.log_file import reopen_log_file
from pagi.server.worker.privileges import wanted_identity
from pagi.server.worker.report import Report
from pagi.server.worker.scoreboard import DRAINING, READY, Scoreboard
from pagi.server.worker.signals import STOP_SIGNALS, Terminal, leave_signals
from pagi.server.worker.sockets import BoundSocket, bind
from pagi.server.worker.starter import Starter
from pagi.server.worker.telemetry import traced
from pagi.server.worker.threads import Threads
from pagi.server.worker.worker import Worker

if TYPE_CHECKING:
    from pagi.server.worker.admin import Admin

__all__ = [
    "bind_all",
    "describe_places",
    "is_admin",
    "make_admin",
    "make_loop",
    "run_admin",
    "run_worker",
]


def bind_all(config: Config, inherited: Inherited | None = None) -> list[BoundSocket]:
    """Open every listener of the configuration, or none.

    Args:
        config: the whole configuration.
        inherited: sockets that another program opened; those at addresses of the configuration
            are taken, or all if it names none.

    Raises:
        StartError: one cannot be opened.
    """
    listening = config.listening
    identity = wanted_identity(config.process)
    sockets: list[BoundSocket] = []
    claim = (inherited or Inherited()).claim(config)
    try:
        for listen in claim.places:
            opened = claim.sockets.pop(listen, None) or bind(
                listen,
                backlog=listening.backlog,
                reuseport=listening.reuseport,
                beside=claim.places,
                owner=None if identity is None else (identity.uid, identity.gid),
            )
            for bound in opened:
                bound.listen = listen
                bound.scheme = "https" if config.tls_of(listen) else "http"
            sockets += opened
    except BaseException:
        claim.close()
        for bound in sockets:
            bound.close()
        raise
    return sockets


def is_admin(bound: BoundSocket) -> bool:
    """Tell whether a listener is one for health and status of the server itself."""
    return bound.listen is not None and bound.listen.role == "admin"


def describe_places(sockets: Iterable[BoundSocket]) -> str:
    """Return where listeners are, for people."""
    return ", ".join(bound.address_text for bound in sockets)


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
    app: App,
    config: Config,
    sockets: list[BoundSocket],
    link: Link | None = None,
    starter: Starter | None = None,
    admin: Admin | None = None,
) -> int:
    """Run one worker on bound sockets until it is told to stop; return the exit status.

    Stop signals are ignored then; see `Disposition`. `SystemExit` or `KeyboardInterrupt` of the
    application begins the same stop, and is raised after it.

    Args:
        app: the application.
        config: the whole configuration.
        sockets: bound, listening, non-blocking.
        link: to the supervisor; ``None`` for a process without one.
        starter: told what happens, if there is no supervisor.
        admin: the application of admin listeners; a process without a supervisor makes its own.
    """
    starter = starter or Starter({})
    process = config.process
    asked, ended = asyncio.Event(), asyncio.Event()
    with (
        ExitStack() as after,
        asyncio.Runner(loop_factory=lambda: make_loop(process.loop)) as runner,
    ):
        if config.application.otel:
            app, flush = traced(app)
            after.callback(flush)
        try:
            runner.run(_run_worker(app, config, sockets, link, starter, admin, asked, ended))
        except (SystemExit, KeyboardInterrupt) as exc:
            if not ended.is_set():
                _logger().error(
                    "the application ended the process by %s; stopping", type(exc).__name__
                )
                asked.set()
                runner.run(_wait(ended))
            raise
    return 0


def run_admin(
    scoreboard: Scoreboard, config: Config, sockets: list[BoundSocket], link: Link
) -> int:
    """Run the process that serves the admin listeners of a server with workers, like a worker."""
    quiet = replace(
        config,
        listening=replace(config.listening, admin=None, listen=()),
        process=replace(config.process, max_requests=0, shutdown_timeout=1.0, shutdown_grace=1.0),
        application=replace(
            config.application, lifespan="off", otel=False, interface="asgi", root_path=""
        ),
        logging=replace(config.logging, access_log=None),
    )
    admin = make_admin(scoreboard, config)
    return run_worker(_serves_nothing, quiet, sockets, link, admin=admin)


def make_admin(scoreboard: Scoreboard, config: Config) -> Admin | None:
    """Make the application of admin listeners, if there are any; only then is it loaded."""
    if not config.listening.admins():
        return None
    from pagi.server.worker.admin import Admin

    return Admin(scoreboard, config)


async def _serves_nothing(scope: Any, receive: Any, send: Any) -> None:
    """The application of the admin process, which has no listener that would lead to it."""


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _run_worker(
    app: App,
    config: Config,
    sockets: list[BoundSocket],
    link: Link | None,
    starter: Starter,
    admin: Admin | None,
    asked: asyncio.Event,
    ended: asyncio.Event,
) -> None:
    loop = asyncio.get_running_loop()
    report = Report() if link is None else link.report
    if link is None:
        board = Scoreboard(0)
        slot = board.site
        slot.take(os.getpid(), 0, 0)
        worker = Worker(app, config, sockets, None, slot, make_admin(board, config), report)
    else:
        slot = link.slot
        worker = Worker(app, config, sockets, link.number, slot, admin, report)
    threads = Threads(loop)
    report.install(_logger(), _name(link), worker.activities)
    begun = asyncio.Event()
    if link is None:
        _heed_signals(loop, worker, asked, begun)
    else:
        _heed_supervisor(loop, worker, asked, link)
    try:
        if await _start(worker, asked):
            if link is None:
                _announce(sockets, config, loop)
                slot.state = READY
                starter.ready(describe_places(sockets))
                _give_signs_of_life(loop, starter)
            else:
                _logger().info("%s is ready", _name(link))
                link.ready()
                end_relay()
            await asked.wait()
            slot.state = DRAINING
            starter.stopping()
            if link is None and config.process.drain_delay is not None:
                await _delay(config.process.drain_delay, begun)
            begun.set()
            await worker.stop()
    finally:
        await threads.end()
        if link is not None:
            link.leave()
        report.uninstall()
        if link is None:
            report.close()
        leave_signals(loop)
        ended.set()


def _give_signs_of_life(loop: asyncio.AbstractEventLoop, starter: Starter) -> None:
    """Let the service manager know, as often as it wants, that the loop turns."""
    starter.tick(monotonic())
    deadline = starter.deadline()
    if deadline is not None:
        delay = max(0.0, deadline - monotonic())
        loop.call_later(delay, _give_signs_of_life, loop, starter)


async def _delay(seconds: float, begun: asyncio.Event) -> None:
    """Go on serving for a while although a stop was asked for, while readiness says no."""
    _logger().info("stopping in %g s (drain_delay); still serving", seconds)
    try:
        async with asyncio.timeout(seconds):
            await begun.wait()
    except TimeoutError:
        return


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
    loop: asyncio.AbstractEventLoop, worker: Worker, asked: asyncio.Event, begun: asyncio.Event
) -> None:
    """Heed the signals of a process that has no supervisor.

    Args:
        loop: the running loop.
        worker: the worker.
        asked: set when a stop is asked for.
        begun: set when the stop need not be delayed any longer.
    """
    terminal = Terminal()

    def reopen() -> None:
        worker.reopen_logs()
        reopen_log_file()

    def stop() -> None:
        if begun.is_set():
            worker.hurry()
        elif asked.is_set():
            begun.set()
        asked.set()

    def stop_at_once() -> None:
        asked.set()
        begun.set()
        worker.hurry()

    def hang_up() -> None:
        if terminal.has_gone():
            stop()
        else:
            refuse()

    def refuse() -> None:
        _logger().warning(
            "restarting and scaling take a supervisor; start with --workers 1 or more"
        )

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    for name, heed in (
        ("SIGQUIT", stop_at_once),
        ("SIGHUP", hang_up),
        ("SIGUSR1", reopen),
        ("SIGTTIN", refuse),
        ("SIGTTOU", refuse),
    ):
        taken: signal.Signals | None = getattr(signal, name, None)
        # nohup has SIGHUP ignored on purpose; shells have SIGQUIT ignored in what they start by &.
        on_purpose = name == "SIGHUP" and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        if taken is not None and not on_purpose:
            loop.add_signal_handler(taken, heed)


def _heed_supervisor(
    loop: asyncio.AbstractEventLoop, worker: Worker, asked: asyncio.Event, link: Link
) -> None:
    """Heed the supervisor; of signals only SIGTERM, which stops this worker alone."""

    def reopen() -> None:
        worker.reopen_logs()
        reopen_log_file()

    def orphaned() -> None:
        _logger().error("the supervisor has gone; stopping")
        asked.set()

    loop.add_signal_handler(signal.SIGTERM, asked.set)
    commands = {STOP: asked.set, HURRY: worker.hurry, REOPEN: reopen}
    link.follow(loop, commands, orphaned)


def _name(link: Link | None) -> str:
    if link is None:
        return "this process"
    return f"worker {link.number}" if link.number else "the admin process"


def _logger() -> logging.Logger:
    return logging.getLogger("pagi.server")


def _announce(sockets: list[BoundSocket], config: Config, loop: asyncio.AbstractEventLoop) -> None:
    log = _logger()
    twins = active_twins()
    kind = "compiled" if twins and all(twins.values()) else "pure Python"
    log.info("serving on %s", describe_places(bound for bound in sockets if not is_admin(bound)))
    if admin := [bound for bound in sockets if is_admin(bound)]:
        log.info("admin on %s", describe_places(admin))
    log.info(
        "Python %d.%d, loop %s, %s; stop with Ctrl-C",
        sys.version_info[0],
        sys.version_info[1],
        type(loop).__module__.partition(".")[0],
        kind,
    )
