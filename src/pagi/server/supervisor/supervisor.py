"""`run_supervised`: binds, forks the workers, and keeps as many of them as are wanted.

What is decided is decided by `Crew` and `Watch`, which know no processes; here are the processes.
Everything that happens is taken in one loop, one thing after the other: signals, words of workers,
and the passing of time.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
from collections.abc import Callable
from contextlib import closing
from time import monotonic
from typing import Final

from pagi.interface.callables import App
from pagi.server.config import Config, ConfigError
from pagi.server.errors import StartError
from pagi.server.supervisor.child import Child
from pagi.server.supervisor.crew import Crew
from pagi.server.supervisor.handover import Handover, guard, named_directory, send_signal
from pagi.server.supervisor.listeners import Listeners
from pagi.server.supervisor.nursery import Nursery
from pagi.server.supervisor.signals import SIGNALS, SignalQueue
from pagi.server.supervisor.watch import Stuck, Watch, Worn
from pagi.server.worker.link import HURRY, REOPEN, Link
from pagi.server.worker.log_file import reopen_log_file
from pagi.server.worker.process import describe_places, run_admin, run_worker
from pagi.server.worker.report import REPORT_SIGNAL
from pagi.server.worker.scoreboard import DRAINING, READY
from pagi.server.worker.settling import settled
from pagi.server.worker.signals import Terminal
from pagi.server.worker.starter import Starter

__all__ = ["KILL_GRACE", "run_supervised"]

#: Beyond the worker's own shutdown timeouts before it is killed, in seconds.
KILL_GRACE: Final = 15.0
#: How long a worker whose loop does not turn has to say where it is before it is killed.
REPORT_TIME: Final = 0.5
#: How often the supervisor looks at its workers, in seconds.
LOOK: Final = 0.5


def run_supervised(
    load_app: Callable[[], App],
    config: Config,
    read_config: Callable[[], Config] | None = None,
    starter: Starter | None = None,
    make: type[Supervisor] | None = None,
) -> int:
    """Run workers until a stop signal; return the exit status.

    Stop signals are ignored then; see `Disposition`.

    Args:
        load_app: called in each worker, or once before the first if ``preload`` is on.
        config: the whole configuration.
        read_config: reads it again for a restart; without it, it stays as it is.
        starter: handed over sockets perhaps, and is told what happens.
        make: a kind of supervisor.

    Raises:
        ConfigError, StartError: it could not begin.
    """
    starter = starter or Starter({})
    listeners = Listeners(config, starter.inherited)
    with closing(listeners), settled(config, starter):
        if config.process.preload:
            app = load_app()
            load_app = lambda: app  # noqa: E731
        # Whoever started us may ignore its children: then nobody would tell us of a death.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        queue = SignalQueue(SIGNALS)
        try:
            make = make or Supervisor
            supervisor = make(load_app, config, listeners, queue, read_config, starter)
            status = supervisor.run()
            if os.getpid() == 1 and supervisor.successor is not None:
                status = guard(supervisor.successor, queue)
        finally:
            queue.close()
    return status


class Supervisor:
    """The hands of a `Crew`, and the loop.

    Args:
        load_app: called in each worker.
        config: the whole configuration.
        listeners: those of all workers.
        signals: the signals of this process.
        read_config: reads the configuration again.
        starter: is told what happens.

    Attributes:
        successor: the server that has taken over.
    """

    def __init__(
        self,
        load_app: Callable[[], App],
        config: Config,
        listeners: Listeners,
        signals: SignalQueue,
        read_config: Callable[[], Config] | None = None,
        starter: Starter | None = None,
    ) -> None:
        self._load_app = load_app
        self._config = config
        self._listeners = listeners
        self._signals = signals
        self._read_config = read_config
        self._starter = starter or Starter({})
        self._logger = logging.getLogger("pagi.server")
        self._nursery = Nursery(signals, self._logger)
        self._children = self._nursery.children
        self._selector = self._nursery.selector
        self._site = self._nursery.scoreboard.site
        self._site.take(os.getpid(), 0, 0)
        self._site.wanted = config.process.count
        now = monotonic()
        self._crew = Crew(config.process.count, self, now, self._logger)
        # The admin process is kept like a worker, and outlives the others: it tells of them.
        self._attendant = Crew(
            1 if listeners.admin else 0,
            _Attending(self._nursery, self._attend, self.retire),
            now,
            self._logger,
            "admin process",
        )
        self._watch = Watch(config.process, now)
        self._terminal = Terminal()
        self._look_at = now
        self._drain_until: float | None = None
        self._directory = named_directory()
        self._handover: Handover | None = None
        self.successor: Handover | None = None
        self._was_complete = False
        self._actions = {
            signal.SIGCHLD: self._reap,
            signal.SIGTERM: self._asked_to_stop,
            signal.SIGINT: self._asked_to_stop,
            signal.SIGQUIT: self._asked_to_hurry,
            signal.SIGHUP: self._asked_to_restart,
            signal.SIGUSR1: self._asked_to_reopen,
            signal.SIGUSR2: self._asked_to_hand_over,
            signal.SIGTTIN: self._asked_for_more,
            signal.SIGTTOU: self._asked_for_fewer,
        }

    def run(self) -> int:
        """Serve until stopped; return the exit status."""
        self._logger.info(
            "listening on %s; starting %d workers",
            self._listeners.text,
            self._config.process.count,
        )
        if self._listeners.admin:
            self._logger.info("admin on %s", describe_places(self._listeners.admin))
        self._selector.register(self._signals, selectors.EVENT_READ)
        try:
            while not (self._crew.finished and self._attendant.finished):
                self._turn()
        except BaseException:  # a fault of ours must not leave workers that nobody can stop
            for child in self._children.values():
                child.signal(signal.SIGTERM)
            raise
        finally:
            self._selector.close()
        return self._crew.status

    # ------------------------------------------------------------- the loop

    def _turn(self) -> None:
        now = monotonic()
        self._crew.tick(now)
        self._attendant.tick(now)
        for key, _ in self._selector.select(max(0.0, self._deadline(now) - now)):
            if key.fileobj is self._signals:
                for number in self._signals.take():
                    self._take(number)
            elif key.fileobj is self._handover:
                self._hear_successor(self._handover)
            elif key.data.pid in self._children:  # it may just have been buried
                self._hear(key.data)
        self._look(monotonic())

    def _take(self, number: signal.Signals) -> None:
        """Heed a signal; as process 1, after a hot restart, it is meant for the successor."""
        if self.successor is None or os.getpid() != 1 or number == signal.SIGCHLD:
            self._actions[number]()
        else:
            send_signal(self.successor.pid, number)

    def _deadline(self, now: float) -> float:
        times = [self._look_at, self._drain_until, self._starter.deadline()]
        times += [self._crew.deadline(), self._attendant.deadline()]
        times += [child.kill_at for child in self._children.values()]
        times.append(self._watch.deadline(self._watched()))
        return min(time for time in times if time is not None)

    def _serving(self) -> list[Child]:
        return [
            place.serving
            for place in self._crew.places
            if place.serving is not None and not place.serving.reported
        ]

    def _watched(self) -> list[Child]:
        """Return those whose loops are to turn; who is coming may hang in its first request."""
        coming = [place.coming for place in self._crew.places if place.coming is not None]
        return self._serving() + [child for child in coming if not child.reported]

    def _hear(self, child: Child) -> None:
        if child.says_ready():
            self._crew_of(child).ready(child, monotonic())
            self._tell_when_complete()
        else:  # it has ended, or closed its side
            self._nursery.unlisten(child)

    def _crew_of(self, child: Child) -> Crew:
        return self._crew if child.number else self._attendant

    def _tell_when_complete(self) -> None:
        complete = self._crew.is_complete
        if complete and not self._was_complete:
            self._completed()
        self._was_complete = complete

    def _completed(self) -> None:
        """Every worker is ready."""
        self._starter.ready(f"{self._crew.serving} workers on {self._listeners.text}")
        if self._site.state != DRAINING:
            self._site.state = READY

    def _look(self, now: float) -> None:
        """Do what its time has come for."""
        self._look_at = now + LOOK
        self._site.beat = now
        self._starter.tick(now)
        if self._drain_until is not None and now >= self._drain_until:
            self._stop()
        for child in self._children.values():
            if child.kill_at is not None and now >= child.kill_at:
                self._kill(child)
        if self._crew.stopping:
            if self._crew.finished:
                self._attendant.stop()
            return
        for stuck in self._watch.stuck(self._watched(), now):
            self._report(stuck, now)
        for worn in self._watch.worn(self._serving(), now):
            self._recycle(worn, now)

    def _recycle(self, worn: Worn, now: float) -> None:
        """Have another worker take the place of one that has served enough."""
        child: Child = worn.child
        place = self._crew.place_of(child)
        if worn.hard:
            self._logger.error("worker %s is killed: %s", child, worn.why)
            child.reported = True
            child.kill()
            if place is not None:
                self._crew.replace_now(place, now, worn.why)
        elif place is not None and place.coming is None:
            self._crew.renew(place, now, worn.why)

    # ------------------------------------------------------------- workers

    def fork(self, number: int, generation: int) -> Child | None:
        """Make a worker; see `Hands.fork`."""
        return self._nursery.fork(number, generation, self._work)

    def _work(self, link: Link) -> int:
        """Be a worker, in its process."""
        own = self._listeners.of(link.number)
        self._listeners.close(but=own)
        return run_worker(self._load_app(), self._config, own, link)

    def _attend(self, link: Link) -> int:
        """Be the admin process."""
        own = self._listeners.admin
        self._listeners.close(but=own)
        return run_admin(self._nursery.scoreboard, self._config, own, link)

    def retire(self, child: Child) -> None:
        """Tell a worker to stop gracefully; see `Hands.retire`."""
        if child.reported:  # it hears nothing, and is about to be killed
            return
        process, application = self._config.process, self._config.application
        grace = (process.shutdown_timeout, application.lifespan_shutdown_timeout)
        if None not in grace:
            child.kill_at = monotonic() + sum(filter(None, grace)) + KILL_GRACE
        child.signal(signal.SIGTERM)

    def _kill(self, child: Child) -> None:
        child.kill_at = None
        if child.reported:
            self._kill_stuck(child)
        else:
            self._logger.error("worker %s did not end within its timeouts and is killed", child)
            child.kill()

    def _reap(self) -> None:
        for child, status in self._nursery.reap():
            self._watch.forget(child)
            crew = self._crew_of(child)
            if child.number and crew.place_of(child) is not None:
                self._site.deaths += 1
            crew.died(child, status, monotonic())
        self._tell_when_complete()
        if self._crew.stopping and self._site.state != DRAINING:
            self._begin_stop()

    # ------------------------------------------------------------- workers that hang

    def _report(self, stuck: Stuck, now: float) -> None:
        """Ask a worker that hangs where it is, and have another take its place."""
        child: Child = stuck.child
        self._logger.error(
            "worker %s has not turned its loop for %.1f s, more than heartbeat_timeout; "
            "asking where it is and replacing it",
            child,
            stuck.silence,
        )
        self._site.hangs += 1
        child.reported = True
        child.kill_at = now + REPORT_TIME
        if REPORT_SIGNAL is not None:
            child.signal(REPORT_SIGNAL)
        place = self._crew.place_of(child)
        if place is not None:
            self._crew.replace_now(place, now, "it hung")

    def _kill_stuck(self, child: Child) -> None:
        stacks = child.report.stacks()
        if stacks:  # it could not log them itself: its interpreter does not get a turn
            self._logger.error(
                "worker %s hangs in a call that does not return", child, extra={"detail": stacks}
            )
        if monotonic() - child.slot.beat < REPORT_TIME:
            self._logger.warning("worker %s goes on; it is replaced all the same", child)
            child.reported = False
            if self._crew.place_of(child) is None:
                self.retire(child)
            return
        child.kill()

    # ------------------------------------------------------------- what is asked for

    def _asked_to_stop(self) -> None:
        """Stop gracefully; asked again, sooner."""
        if self._crew.stopping:
            for child in self._children.values():
                child.send(HURRY)
        elif self._drain_until is not None or not self._config.process.drain_delay:
            self._stop()
        else:
            delay = self._config.process.drain_delay
            self._drain_until = monotonic() + delay
            self._site.state = DRAINING
            self._logger.info("stopping in %g s (drain_delay); still serving", delay)

    def _asked_to_hurry(self) -> None:
        self._stop()
        for child in self._children.values():
            child.send(HURRY)

    def _stop(self) -> None:
        self._drain_until = None
        if self._handover is not None:  # nobody is to serve any more
            send_signal(self._handover.pid, signal.SIGTERM)
        if not self._crew.stopping:
            self._begin_stop()
            self._crew.stop()

    def _begin_stop(self) -> None:
        self._starter.stopping()
        self._site.state = DRAINING
        # Ours first: the worker that closes the last copy has taken what waits there.
        self._listeners.close()

    def _asked_to_restart(self) -> None:
        if self._terminal.has_gone():
            self._asked_to_stop()
        if self._crew.stopping or self._drain_until is not None:
            return
        try:
            config = self._config if self._read_config is None else self._read_config()
        except ConfigError as error:
            for problem in error.problems:
                self._logger.error("not restarting: %s", problem)
            return
        self._starter.reloading()
        if config.process.preload:  # the application is loaded in this process
            self._asked_to_hand_over()
            return
        self._take_config(config)
        self._logger.info("restarting the workers, one after the other")
        self._was_complete = False
        self._crew.restart(monotonic())
        self._site.generation = self._crew.generation
        self._attendant.restart(monotonic())

    def _take_config(self, config: Config) -> None:
        if config.listening != self._config.listening:
            self._logger.warning("listeners are changed by a hot restart (SIGUSR2) only")
        before, self._config = self._config, config
        self._watch.take(config.process)
        if config.process.count != before.process.count:
            self._scale(config.process.count)

    def _asked_to_reopen(self) -> None:
        reopen_log_file()
        for child in self._children.values():
            child.send(REOPEN)

    def _asked_to_hand_over(self) -> None:
        """Hot restart: start the program again, with the listeners; see `Handover`."""
        if self._crew.stopping or self._drain_until is not None:
            return
        if self._handover is not None:
            self._logger.warning("process %d is taking over already", self._handover.pid)
            return
        before = self._starter.predecessor
        try:
            self._handover = Handover(
                self._listeners.handed(),
                self._starter.variables(),
                -1 if before is None else before.init,
                self._directory,
            )
        except OSError as error:
            self._logger.error("the program cannot be started again: %s", error.strerror)
            return
        self._logger.info("process %d is to take over", self._handover.pid)
        self._selector.register(self._handover, selectors.EVENT_READ)

    def _hear_successor(self, handover: Handover) -> None:
        """Stop if the new program serves; go on if it has failed."""
        self._selector.unregister(handover)
        self._handover = None
        pid = handover.hear()
        if pid is None:
            handover.close()
            self._logger.error("process %d does not take over; going on", handover.pid)
            self._starter.ready("a hot restart has failed; serving on")
            return
        self._logger.info("process %d has taken over; stopping", pid)
        self.successor = handover
        self._listeners.disown()
        self._site.state = DRAINING
        self._listeners.close()
        self._crew.stop()

    def _asked_for_more(self) -> None:
        self._scale(len(self._crew.places) + 1)

    def _asked_for_fewer(self) -> None:
        self._scale(max(1, len(self._crew.places) - 1))

    def _scale(self, count: int) -> None:
        before = len(self._crew.places)
        if count != before and not self._crew.stopping:
            try:
                self._listeners.provide(count)
            except StartError as error:
                self._logger.error("still %d workers: %s", before, error)
                return
            self._logger.info("%d workers instead of %d", count, before)
            self._was_complete = False
            self._crew.scale(count, monotonic())
            self._site.wanted = count


class _Attending:
    """Hands that make the admin process, whose number is 0."""

    def __init__(
        self, nursery: Nursery, work: Callable[[Link], int], retire: Callable[[Child], None]
    ) -> None:
        self._nursery = nursery
        self._work = work
        self.retire = retire

    def fork(self, number: int, generation: int) -> Child | None:
        """Make it; the crew counts from 1."""
        return self._nursery.fork(0, generation, self._work)
