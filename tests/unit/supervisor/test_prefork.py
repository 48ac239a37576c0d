"""The supervisor against a system of the test's own: forks, deaths, signals and time by script.

With real processes: ``tests/server/test_processes.py``.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pagi.server.config import Config, load
from pagi.server.errors import (
    EXIT_APPLICATION,
    EXIT_CONFIGURATION,
    EXIT_LISTENING,
    EXIT_STARTUP,
    StartError,
)
from pagi.server.supervisor import prefork
from pagi.server.supervisor.prefork import HEALTHY_LIFE, KILL_GRACE, MAX_BACKOFF
from pagi.server.worker.signals import Disposition, hurry_signal

TERM, KILL, INT = signal.SIGTERM, signal.SIGKILL, signal.SIGINT


class System:
    """What the supervisor sees of the operating system.

    Attributes:
        now: the time; it passes when the supervisor waits.
        forked: pids in order.
        sent: signals sent to workers.
        script: what happens while the supervisor waits, one after the other: called, and what it
            returns is the signal that ends the waiting, or ``None`` if the time has passed.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.forked: list[int] = []
        self.born: list[float] = []
        self.sent: list[tuple[int, int]] = []
        self.waits: list[float] = []
        self.dead: list[tuple[int, int]] = []
        self.script: list[Callable[[], int | None]] = []

    def fork(self) -> int:
        self.forked.append(100 + len(self.forked))
        self.born.append(self.now)
        return self.forked[-1]

    def kill(self, pid: int, number: int) -> None:
        if pid in (gone for gone, _ in self.dead):
            raise ProcessLookupError
        self.sent.append((pid, number))

    def waitpid(self, pid: int, options: int) -> tuple[int, int]:
        assert (pid, options) == (-1, os.WNOHANG)
        return self.dead.pop(0) if self.dead else (0, 0)

    def sigtimedwait(self, numbers: Any, timeout: float) -> Any:
        self.waits.append(timeout)
        if not self.script:
            raise AssertionError("it waits for ever")
        number = self.script.pop(0)()
        if number is None:
            self.now += timeout
            return None
        return SimpleNamespace(si_signo=number)

    # --- what may happen

    def dies(self, pid: int, status: int, after: float = 0.0) -> None:
        """Plan: a worker ends with an exit status, or by a signal if it is negative."""
        waiting = -status if status < 0 else status << 8

        def happen() -> int:
            self.now += after
            self.dead.append((pid, waiting))
            return signal.SIGCHLD

        self.script.append(happen)

    def told(self, number: signal.Signals) -> None:
        """Plan: somebody sends the supervisor a signal."""
        self.script.append(lambda: number)

    def passes(self) -> None:
        """Plan: nothing happens until the time is over."""
        self.script.append(lambda: None)


class Bound:
    """A bound socket."""

    address_text = "http://127.0.0.1:8000"

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """Put a system in place of the real one."""
    made = System()
    monkeypatch.setattr(prefork, "monotonic", lambda: made.now)
    for name in ("fork", "kill", "waitpid"):
        monkeypatch.setattr(prefork.os, name, getattr(made, name))
    monkeypatch.setattr(prefork.signal, "sigtimedwait", made.sigtimedwait)
    monkeypatch.setattr(prefork.signal, "pthread_sigmask", lambda *arguments: set())
    disposition, before = Disposition(), signal.getsignal(signal.SIGCHLD)
    yield made
    disposition.put_back()
    signal.signal(signal.SIGCHLD, before)


def configuration(workers: int = 2, **options: Any) -> Config:
    return load({"config_file": None, "workers": workers, **options}, environ={})


def supervise(monkeypatch: pytest.MonkeyPatch, bound: Bound | None = None, **options: Any) -> int:
    bound = bound or Bound()
    monkeypatch.setattr(
        prefork, "bind_for_workers", lambda config: [[bound]] * config.process.workers
    )
    return prefork.run_workers(lambda: None, configuration(**options))  # type: ignore[arg-type, return-value]


# --- stopping --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [TERM, INT])
def test_a_stop_tells_every_worker_and_waits_for_all(
    number: signal.Signals,
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "pagi.server")
    bound = Bound()
    system.told(number)
    system.dies(101, 0)
    system.dies(100, 0)
    assert supervise(monkeypatch, bound) == 0
    assert system.forked == [100, 101]
    assert system.sent == [(100, TERM), (101, TERM)]
    assert bound.closed >= 1
    assert "listening on http://127.0.0.1:8000; starting 2 workers" in caplog.text


def test_the_listeners_are_closed_before_the_workers_are_told(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = Bound()
    order: list[str] = []
    monkeypatch.setattr(bound, "close", lambda: order.append("closed"))
    monkeypatch.setattr(prefork.os, "kill", lambda *arguments: order.append("told"))
    system.told(TERM)
    system.dies(100, 0)
    system.dies(101, 0)
    assert supervise(monkeypatch, bound) == 0
    assert order[:3] == ["closed", "told", "told"]


def test_a_second_signal_hurries_the_workers_that_are_left(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.told(TERM)
    system.dies(100, 0)
    system.told(INT)
    system.dies(101, 0)
    assert supervise(monkeypatch) == 0
    assert system.sent == [(100, TERM), (101, TERM), (101, hurry_signal())]


def test_workers_that_do_not_end_are_killed(
    system: System, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Both of their own deadlines come first."""
    system.told(TERM)
    system.passes()
    system.dies(100, -KILL)
    system.dies(101, -KILL)
    assert supervise(monkeypatch, shutdown_timeout=20, lifespan_shutdown_timeout=5) == 0
    assert system.waits[1] == 25 + KILL_GRACE
    assert system.sent[2:] == [(100, KILL), (101, KILL)]
    assert "2 workers did not end within their timeouts and are killed" in caplog.text


@pytest.mark.parametrize("name", ["shutdown_timeout", "lifespan_shutdown_timeout"])
def test_without_a_deadline_nobody_is_killed(
    name: str, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.told(TERM)
    for _ in range(100):
        system.passes()
    system.dies(100, 0)
    system.dies(101, 0)
    assert supervise(monkeypatch, **{name: 0}) == 0
    assert KILL not in [number for _, number in system.sent]


def test_a_worker_that_has_just_ended_need_not_be_told(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def together() -> int:
        system.dead.append((100, 0))
        return TERM

    system.script.append(together)
    system.dies(101, 0)
    assert supervise(monkeypatch) == 0
    assert system.sent == [(101, TERM)]
    assert system.forked == [100, 101]


# --- deaths ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (-9, "signal 9 SIGKILL (was the system short of memory?)"),
        (-11, "signal 11 SIGSEGV; "),
        (-40, "signal 40 of real time; "),
        (1, "status 1"),
        (0, "status 0"),
        (EXIT_LISTENING, ""),
    ],
)
def test_a_dead_worker_is_replaced_at_once(
    status: int,
    text: str,
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    system.dies(101, status, after=1.0)
    system.told(TERM)
    system.dies(100, 0)
    system.dies(102, 0)
    assert supervise(monkeypatch) == 0
    assert system.forked == [100, 101, 102]
    assert system.born[2] == system.born[1] + 1.0
    assert "worker 2 (pid 101) ended with " + text in caplog.text


def test_deaths_of_one_moment_share_a_signal(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both() -> int:
        system.dead += [(100, 9), (101, 9)]
        return signal.SIGCHLD

    system.script.append(both)
    system.told(TERM)
    system.dies(102, 0)
    system.dies(103, 0)
    assert supervise(monkeypatch) == 0
    assert system.forked == [100, 101, 102, 103]


def test_a_child_that_is_no_worker_does_not_matter(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who replaced itself by this program may have left children behind."""
    system.dies(7, 1)
    system.told(TERM)
    system.dies(100, 0)
    system.dies(101, 0)
    assert supervise(monkeypatch) == 0
    assert system.forked == [100, 101]


def test_early_deaths_in_a_row_are_answered_later_and_later(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pid in range(100, 109):
        system.dies(pid, 1)
        system.passes()
    system.told(TERM)
    system.dies(109, 0)
    del system.script[1]  # the first replacement does not wait
    assert supervise(monkeypatch, workers=1) == 0
    ages = [later - earlier for earlier, later in zip(system.born, system.born[1:], strict=False)]
    assert ages == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, MAX_BACKOFF, MAX_BACKOFF]


def test_a_crash_loop_that_nobody_looks_after_goes_on(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a day of deaths is no number that breaks the sum."""
    for pid in range(100, 1400):
        system.dies(pid, 1)
        system.passes()
    del system.script[1]
    system.told(TERM)
    system.dies(1400, 0)
    assert supervise(monkeypatch, workers=1) == 0
    assert system.born[-1] - system.born[-2] == MAX_BACKOFF


def test_a_healthy_life_is_a_new_beginning(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.dies(100, 1)
    system.dies(101, 1)
    system.passes()
    system.dies(102, 1, after=HEALTHY_LIFE)
    system.dies(103, 1)
    system.told(TERM)
    system.dies(104, 0)
    assert supervise(monkeypatch, workers=1) == 0
    ages = [later - earlier for earlier, later in zip(system.born, system.born[1:], strict=False)]
    assert ages == [0.0, 0.5, HEALTHY_LIFE, 0.0]


def test_others_do_not_wait_for_the_one_that_dies(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.dies(100, 1)  # number 1 twice, so that it is due later
    system.dies(102, 1)
    system.dies(101, 1)  # number 2 for the first time
    system.passes()
    system.told(TERM)
    system.dies(103, 0)
    system.dies(104, 0)
    assert supervise(monkeypatch) == 0
    assert system.born == [1000.0, 1000.0, 1000.0, 1000.0, 1000.5]


def test_a_fork_that_fails_is_tried_again(
    system: System, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A system that is short of something must not lose the workers that serve."""
    failures = [OSError(errno.EAGAIN, "no processes left") for _ in range(3)]

    def fork() -> int:
        if len(system.forked) == 1 and failures:
            raise failures.pop()
        return system.fork()

    monkeypatch.setattr(prefork.os, "fork", fork)
    for _ in range(3):
        system.passes()
    system.told(TERM)
    system.dies(100, 0)
    system.dies(101, 0)
    assert supervise(monkeypatch) == 0
    assert system.born == [1000.0, 1001.5]
    assert "worker 2 cannot be forked: no processes left; trying again in 0.5 s" in caplog.text


def test_a_stop_between_a_death_and_its_replacement(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.dies(100, 1)
    system.dies(101, 1)
    system.told(TERM)
    assert supervise(monkeypatch, workers=1) == 0
    assert system.forked == [100, 101]


# --- workers that cannot start ---------------------------------------------------------------


@pytest.mark.parametrize("status", [EXIT_APPLICATION, EXIT_CONFIGURATION, EXIT_STARTUP])
def test_a_worker_that_cannot_start_ends_it_all(
    status: int,
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    system.dies(101, status)
    system.dies(100, 0)
    assert supervise(monkeypatch) == status
    assert system.forked == [100, 101]
    assert system.sent == [(100, TERM)]
    assert "worker 2 cannot start; stopping" in caplog.text


@pytest.mark.parametrize("status", [EXIT_APPLICATION, EXIT_STARTUP])
def test_a_replacement_that_cannot_start_is_tried_again(
    status: int,
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others serve, and what it lacks may come back: no reason to end the site."""
    system.dies(101, -KILL)
    system.dies(102, status)
    system.passes()
    system.told(TERM)
    system.dies(100, 0)
    system.dies(103, 0)
    assert supervise(monkeypatch) == 0
    assert system.forked == [100, 101, 102, 103]
    assert system.sent == [(100, TERM), (103, TERM)]
    assert f"worker 2 (pid 102) ended with status {status}; replacing it in 0.5 s" in caplog.text


def test_the_first_reason_is_the_exit_status(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.dies(100, EXIT_STARTUP)
    system.dies(101, EXIT_APPLICATION)
    assert supervise(monkeypatch) == EXIT_STARTUP


def test_a_worker_that_cannot_start_during_a_stop_is_none_of_its_business(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.told(TERM)
    system.dies(100, EXIT_STARTUP)
    system.dies(101, 0)
    assert supervise(monkeypatch) == 0


# --- in the worker ---------------------------------------------------------------------------


class Exited(BaseException):
    """What `os._exit` does here."""


@pytest.fixture
def in_the_child(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a fork return in the child."""

    def leave(status: int) -> None:
        raise Exited(status)

    monkeypatch.setattr(prefork.os, "fork", lambda: 0)
    monkeypatch.setattr(prefork.os, "_exit", leave)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def in_worker(monkeypatch: pytest.MonkeyPatch, work: Callable[..., int]) -> int:
    monkeypatch.setattr(prefork, "run_worker", work)
    with pytest.raises(Exited) as raised:
        supervise(monkeypatch)
    status: int = raised.value.args[0]
    return status


@pytest.mark.usefixtures("in_the_child")
def test_a_worker_serves_and_leaves_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []

    def work(app: Any, config: Config, sockets: Any, number: int) -> int:
        served.append((app, len(sockets), number, signal.getsignal(signal.SIGINT)))
        return 0

    assert in_worker(monkeypatch, work) == 0
    assert served == [(None, 1, 1, signal.SIG_IGN)]


@pytest.mark.usefixtures("in_the_child")
def test_a_worker_closes_the_listeners_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    common, own, other = Bound(), Bound(), Bound()
    monkeypatch.setattr(
        prefork, "bind_for_workers", lambda config: [[common, own], [common, other]]
    )
    seen: list[Any] = []

    def work(app: Any, config: Config, sockets: Any, number: int) -> int:
        seen.append((list(sockets), common.closed, own.closed, other.closed))
        return 0

    monkeypatch.setattr(prefork, "run_worker", work)
    with pytest.raises(Exited):
        prefork.run_workers(lambda: None, configuration())  # type: ignore[arg-type, return-value]
    assert seen == [([common, own], 0, 0, 1)]


@pytest.mark.usefixtures("in_the_child")
@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (StartError("no database", EXIT_STARTUP), EXIT_STARTUP, "worker 1: no database"),
        (ValueError("a fault"), 1, "worker 1 failed"),
        (SystemExit(3), 1, "worker 1 failed"),
        (KeyboardInterrupt(), 0, ""),
    ],
)
def test_no_error_gets_out_of_a_worker(
    error: BaseException,
    status: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def work(*arguments: Any) -> int:
        raise error

    assert in_worker(monkeypatch, work) == status
    assert text in caplog.text
    shown = [record for record in caplog.records if record.exc_info]
    assert len(shown) == (text == "worker 1 failed"), "a traceback is for faults of ours"


# --- around it -------------------------------------------------------------------------------


def test_a_fault_leaves_no_workers_and_no_sockets(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[Any] = []

    def mask(how: int, numbers: Any) -> set[int]:
        masks.append((how, set(numbers)))
        return {signal.SIGUSR1}

    def fail(*arguments: Any) -> int:
        raise MemoryError

    monkeypatch.setattr(prefork.signal, "pthread_sigmask", mask)
    system.dies(101, 1)
    monkeypatch.setattr(prefork.os, "waitpid", fail)
    bound = Bound()
    with pytest.raises(MemoryError):
        supervise(monkeypatch, bound)
    assert system.sent == [(100, TERM)], "nobody could stop it any more"
    assert bound.closed == 1
    assert masks == [
        (signal.SIG_BLOCK, {TERM, INT, signal.SIGCHLD}),
        (signal.SIG_SETMASK, {signal.SIGUSR1}),
    ]


def test_deaths_are_heard_although_somebody_ignored_them(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    system.told(TERM)
    system.dies(100, 0)
    system.dies(101, 0)
    assert supervise(monkeypatch) == 0
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
