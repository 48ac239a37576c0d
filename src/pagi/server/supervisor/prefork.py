"""Prefork: the supervisor binds, forks the workers and keeps their number.

Signals only enqueue: all of them are blocked and taken one by one with ``sigtimedwait``, so that
no code of ours runs inside a handler. Exit statuses mean something: a worker that could not load
or start its application will not do better a second time, so the whole server stops with that
status. Any other death is answered with a replacement, later and later if it goes on; so is that
of a replacement which cannot start, because the others still serve and its reason may pass.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from pagi.interface.callables import App
from pagi.server.config import Config
from pagi.server.errors import EXIT_APPLICATION, EXIT_CONFIGURATION, EXIT_STARTUP, StartError
from pagi.server.worker.process import bind_for_workers, run_worker
from pagi.server.worker.signals import STOP_SIGNALS, hurry_signal, ignore_stop_signals
from pagi.server.worker.sockets import BoundSocket

__all__ = ["run_workers"]

_SIGNALS: Final = frozenset({*STOP_SIGNALS, signal.SIGCHLD})
_FATAL: Final = frozenset({EXIT_APPLICATION, EXIT_CONFIGURATION, EXIT_STARTUP})
#: A worker that lived this long, in seconds, did not die of what makes a crash loop.
HEALTHY_LIFE: Final = 10.0
MAX_BACKOFF: Final = 30.0
#: Beyond the worker's own shutdown timeouts before it is killed, in seconds.
KILL_GRACE: Final = 15.0


def run_workers(load_app: Callable[[], App], config: Config) -> int:
    """Run ``config.process.workers`` workers until a stop signal; return the exit status.

    Stop signals are ignored then; see `Disposition`.
    """
    listeners = bind_for_workers(config)
    # Whoever started us may ignore its children: then nobody would tell us of a death.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        return _Supervisor(load_app, config, listeners).run()
    finally:
        ignore_stop_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        _close(listeners)


def _close(listeners: list[list[BoundSocket]], *, but: Sequence[BoundSocket] = ()) -> None:
    for bound in {bound for own in listeners for bound in own}.difference(but):
        bound.close()


class _Supervisor:
    def __init__(
        self, load_app: Callable[[], App], config: Config, listeners: list[list[BoundSocket]]
    ) -> None:
        self._load_app = load_app
        self._config = config
        self._listeners = listeners  # of worker 1, of worker 2, …
        self._logger = logging.getLogger("pagi.server")
        self._workers: dict[int, tuple[int, float]] = {}  # pid → number, birth
        self._due: dict[int, float] = {}  # number → when to fork it again
        self._deaths: dict[int, int] = {}  # number → early deaths in a row; absent before its first
        self._status = 0
        self._stopping = False
        self._kill_at: float | None = None

    def run(self) -> int:
        count = self._config.process.workers
        where = ", ".join(bound.address_text for bound in self._listeners[0])
        self._logger.info("listening on %s; starting %d workers", where, count)
        try:
            for number in range(1, count + 1):
                self._fork(number)
            self._watch()
        except BaseException:  # a fault of ours must not leave workers that nobody can stop
            self._tell_all(signal.SIGTERM)
            raise
        return self._status

    def _watch(self) -> None:
        while self._workers or (self._due and not self._stopping):
            self._take_signal()
            self._reap()
            self._fork_due()
            if self._kill_at is not None and monotonic() >= self._kill_at:
                self._kill_at = None
                self._logger.error(
                    "%d workers did not end within their timeouts and are killed",
                    len(self._workers),
                )
                self._tell_all(signal.SIGKILL)

    def _take_signal(self) -> None:
        times = [*self._due.values()]
        if self._kill_at is not None:
            times.append(self._kill_at)
        timeout = 60.0 if not times else max(0.0, min(times) - monotonic())
        taken = signal.sigtimedwait(_SIGNALS, timeout)
        if taken is not None and taken.si_signo != signal.SIGCHLD:
            self._stop(0)

    def _stop(self, status: int) -> None:
        """Begin to stop; asked again, hurry the workers."""
        if self._stopping:
            self._tell_all(hurry_signal())
            return
        self._stopping = True
        self._status = status
        # Ours first: the worker that closes the last copy has taken what waits there.
        _close(self._listeners)
        timeouts = self._config.process, self._config.application
        grace = (timeouts[0].shutdown_timeout, timeouts[1].lifespan_shutdown_timeout)
        if None not in grace:
            self._kill_at = monotonic() + sum(filter(None, grace)) + KILL_GRACE
        self._tell_all(signal.SIGTERM)

    def _tell_all(self, number: signal.Signals) -> None:
        for pid in self._workers:
            try:
                os.kill(pid, number)
            except ProcessLookupError:  # it has ended and waits to be reaped
                continue

    def _fork(self, number: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as exc:  # the system is short of processes or memory
            delay = self._put_off(number, early=True)
            self._logger.error(
                "worker %d cannot be forked: %s; trying again in %.1f s",
                number,
                exc.strerror,
                delay,
            )
            return
        if pid:
            self._workers[pid] = (number, monotonic())
            return
        status = 1
        try:
            status = self._work(number)
        except StartError as exc:
            self._logger.error("worker %d: %s", number, exc)
            status = exc.exit_status
        except KeyboardInterrupt:
            status = 0
        except BaseException:
            self._logger.exception("worker %d failed", number)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _work(self, number: int) -> int:
        # A terminal's Ctrl-C reaches the whole group, but a stop is the supervisor's to order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        own = self._listeners[number - 1]
        _close(self._listeners, but=own)
        return run_worker(self._load_app(), self._config, own, number)

    def _reap(self) -> None:
        while self._workers:
            pid, wait_status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            if pid in self._workers:
                number, birth = self._workers.pop(pid)
                self._buried(number, pid, birth, os.waitstatus_to_exitcode(wait_status))

    def _buried(self, number: int, pid: int, birth: float, status: int) -> None:
        if self._stopping:
            return
        if status in _FATAL and number not in self._deaths:
            self._logger.error("worker %d cannot start; stopping", number)
            self._stop(status)
            return
        delay = self._put_off(number, early=monotonic() - birth < HEALTHY_LIFE)
        self._logger.error(
            "worker %d (pid %d) ended with %s; replacing it in %.1f s",
            number,
            pid,
            _describe(status),
            delay,
        )

    def _put_off(self, number: int, *, early: bool) -> float:
        """Plan the next fork; return how long it is till then."""
        deaths = self._deaths.get(number, 0) + 1 if early else 0
        self._deaths[number] = deaths
        delay = min(MAX_BACKOFF, 0.0 if deaths <= 1 else 0.5 * 2 ** min(deaths - 2, 10))
        self._due[number] = monotonic() + delay
        return delay

    def _fork_due(self) -> None:
        if self._stopping:
            return
        now = monotonic()
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            self._fork(number)


def _describe(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:  # a real-time signal
        name = "of real time"
    hint = " (was the system short of memory?)" if -status == signal.SIGKILL else ""
    return f"signal {-status} {name}{hint}"
