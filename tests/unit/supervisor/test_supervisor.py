"""The supervisor against a system of the test's own: forks, deaths, signals and time by script.

With real processes: ``tests/server/test_processes.py`` and ``tests/server/test_restarts.py``.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pagi.server.config import load
from pagi.server.errors import EXIT_LISTENING, EXIT_STARTUP, StartError
from pagi.server.supervisor import nursery
from pagi.server.supervisor import supervisor as module
from pagi.server.supervisor.child import Child
from pagi.server.supervisor.supervisor import KILL_GRACE, Supervisor
from pagi.server.worker.link import HURRY
from pagi.server.worker.report import Report

TERM, KILL, INT, TTIN, CHLD = (
    signal.SIGTERM,
    signal.SIGKILL,
    signal.SIGINT,
    signal.SIGTTIN,
    signal.SIGCHLD,
)


class System:
    """What the supervisor sees of the operating system.

    Attributes:
        now: the time; it passes when the supervisor waits.
        forked: pids in order.
        noted: what was done to workers and listeners, in order.
        script: what happens while the supervisor waits, one after the other: called, and what it
            returns is the signal that ends the waiting, or ``None`` if the time has passed.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.forked: list[int] = []
        self.noted: list[Any] = []
        self.dead: list[tuple[int, int]] = []
        self.script: list[Callable[[], signal.Signals | None]] = []
        self.waiting: list[signal.Signals] = []
        self.fails: list[BaseException] = []

    # --- the operating system

    def fork(self) -> int:
        self.forked.append(100 + len(self.forked))
        return self.forked[-1]

    def kill(self, pid: int, number: int) -> None:
        if pid in (gone for gone, _ in self.dead):
            raise ProcessLookupError
        self.noted.append((pid, number))

    def waitpid(self, pid: int, options: int) -> tuple[int, int]:
        assert (pid, options) == (-1, os.WNOHANG)
        return self.dead.pop(0) if self.dead else (0, 0)

    # --- a selector

    def select(self, timeout: float) -> list[tuple[Any, int]]:
        if not self.script:
            raise AssertionError("it waits for ever")
        number = self.script.pop(0)()
        if number is None:
            self.now += timeout
            return []
        self.waiting.append(number)
        return [(SimpleNamespace(fileobj=self, data=None), 1)]

    def register(self, *arguments: Any) -> None:
        """Everything is told by the script."""

    unregister = register

    def get_map(self) -> dict[int, Any]:
        return {}

    # --- signals and listeners

    def take(self) -> list[signal.Signals]:
        taken, self.waiting = self.waiting, []
        return taken

    def hold(self) -> None:
        """Nothing comes in between."""

    release = hold
    text = "http://127.0.0.1:8000"
    admin: tuple[Any, ...] = ()

    def provide(self, count: int) -> None:
        if self.fails:
            raise self.fails.pop()

    def close(self, **options: Any) -> None:
        self.noted.append("closed")

    # --- what may happen

    def dies(self, pid: int, status: int) -> None:
        """Plan: a worker ends with an exit status, or by a signal if it is negative."""

        def happen() -> signal.Signals:
            self.dead.append((pid, -status if status < 0 else status << 8))
            return CHLD

        self.script.append(happen)

    def told(self, number: signal.Signals) -> None:
        """Plan: somebody sends the supervisor a signal."""
        self.script.append(lambda: number)

    def passes(self, seconds: float) -> None:
        """Plan: nothing happens for so long."""
        end = 0.0

        def wait() -> None:
            nonlocal end
            end = end or self.now + seconds
            if self.now < end:
                self.script.insert(0, wait)

        self.script.append(wait)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[System]:
    """Put a system in place of the real one."""
    caplog.set_level(logging.DEBUG, "pagi")
    system = System()
    monkeypatch.setattr(module, "monotonic", lambda: system.now)
    for name in ("fork", "kill", "waitpid"):
        monkeypatch.setattr(os, name, getattr(system, name))
    monkeypatch.setattr("selectors.DefaultSelector", lambda: system)
    opened: list[Any] = []
    pair = socket.socketpair

    def socketpair() -> Any:
        opened.extend(pair())
        return opened[-2:]

    def report() -> Report:
        made = Report()
        opened.append(made)
        return made

    monkeypatch.setattr(socket, "socketpair", socketpair)
    monkeypatch.setattr(nursery, "Report", report)
    yield system
    for each in opened:
        each.close()
    assert system.script == [], "not all of it has happened"


def supervise(system: System, workers: int = 2, **options: Any) -> int:
    options = {"config_file": None, "heartbeat_timeout": "off", "workers": workers, **options}
    config = load(options, environ={})
    made: Any = system
    return Supervisor(lambda: None, config, made, made).run()  # type: ignore[arg-type, return-value]


def told(system: System) -> list[Any]:
    """Return the signals that workers got."""
    return [each for each in system.noted if isinstance(each, tuple)]


@pytest.mark.parametrize("number", [TERM, INT])
def test_a_stop_tells_every_worker_and_waits_for_all(
    number: signal.Signals, system: System, caplog: pytest.LogCaptureFixture
) -> None:
    system.told(number)
    system.dies(101, 0)
    system.dies(100, 0)
    assert supervise(system) == 0
    assert system.forked == [100, 101]
    assert told(system) == [(100, TERM), (101, TERM)]
    assert "listening on http://127.0.0.1:8000; starting 2 workers" in caplog.text


def test_the_listeners_are_closed_before_the_workers_are_told(system: System) -> None:
    system.told(TERM)
    system.dies(100, 0)
    system.dies(101, 0)
    assert supervise(system) == 0
    assert system.noted[:3] == ["closed", (100, TERM), (101, TERM)]


def test_a_second_signal_hurries_the_workers_that_are_left(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(Child, "send", lambda child, word: sent.append((child.pid, word)))
    system.told(TERM)
    system.dies(100, 0)
    system.told(INT)
    system.dies(101, 0)
    assert supervise(system) == 0
    assert sent == [(101, HURRY)]


def test_workers_that_do_not_end_are_killed(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    """Both of their own deadlines come first."""
    system.told(TERM)
    system.passes(25 + KILL_GRACE - 1.2)
    system.script.append(lambda: system.noted.append("late"))
    system.passes(1.0)
    system.dies(100, -KILL)
    system.dies(101, -KILL)
    assert supervise(system, shutdown_timeout=20, lifespan_shutdown_timeout=5) == 0
    late = system.noted.index("late")
    assert KILL not in [number for _, number in told(system)[:2]]
    assert system.noted[late + 1 : late + 3] == [(100, KILL), (101, KILL)]
    assert "worker 2 (pid 101) did not end within its timeouts and is killed" in caplog.text


@pytest.mark.parametrize("name", ["shutdown_timeout", "lifespan_shutdown_timeout"])
def test_without_a_deadline_nobody_is_killed(name: str, system: System) -> None:
    system.told(TERM)
    system.passes(100.0)
    system.dies(100, 0)
    system.dies(101, 0)
    assert supervise(system, **{name: 0}) == 0
    assert KILL not in [number for _, number in told(system)]


def test_a_worker_that_has_just_ended_need_not_be_told(system: System) -> None:
    def together() -> signal.Signals:
        system.dead.append((100, 0))
        return TERM

    system.script.append(together)
    system.dies(101, 0)
    assert supervise(system) == 0
    assert told(system) == [(101, TERM)]
    assert system.forked == [100, 101]


def test_deaths_of_one_moment_share_a_signal(system: System) -> None:
    def both() -> signal.Signals:
        system.dead += [(100, 9), (101, 9)]
        return CHLD

    system.script.append(both)
    system.told(TERM)
    system.dies(102, 0)
    system.dies(103, 0)
    assert supervise(system) == 0
    assert system.forked == [100, 101, 102, 103]


def test_a_child_that_is_no_worker_does_not_matter(system: System) -> None:
    """Who replaced itself by this program may have left children behind."""
    system.dies(7, 1)
    system.told(TERM)
    system.dies(100, 0)
    system.dies(101, 0)
    assert supervise(system) == 0
    assert system.forked == [100, 101]


def test_a_worker_that_cannot_start_ends_it_all(system: System) -> None:
    system.dies(101, EXIT_STARTUP)
    system.dies(100, 0)
    assert supervise(system) == EXIT_STARTUP
    assert told(system) == [(100, TERM)]
    assert "closed" in system.noted


def test_a_fault_leaves_no_workers(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> int:
        raise MemoryError

    monkeypatch.setattr(os, "waitpid", fail)
    system.dies(101, 1)
    with pytest.raises(MemoryError):
        supervise(system)
    assert sorted(told(system)) == [(100, TERM)], "nobody could stop it any more"


# --- a system that is short of something -----------------------------------------------------


def shortage(kind: str, system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a third worker takes fail three times."""
    failures = [OSError(errno.EMFILE, "too many open files") for _ in range(3)]
    owner, name = {
        "fork": (os, "fork"),
        "channel": (socket, "socketpair"),
        "report": (nursery, "Report"),
    }[kind]
    make = getattr(owner, name)

    def made() -> Any:
        if len(system.forked) == 2 and failures:
            raise failures.pop()
        return make()

    monkeypatch.setattr(owner, name, made)


@pytest.mark.parametrize("kind", ["fork", "channel", "report"])
def test_a_worker_that_cannot_be_made_is_tried_again(
    kind: str, system: System, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The workers that serve must not be lost with it."""
    script = system.script
    system.dies(101, -KILL)
    shortage(kind, system, monkeypatch)
    system.passes(0.4)
    system.passes(1.0)
    system.passes(3.0)
    system.told(TERM)
    system.dies(100, 0)
    system.dies(102, 0)
    try:
        assert supervise(system) == 0
    finally:
        script.clear()
    assert "too many open files" in caplog.text
    assert system.forked == [100, 101, 102]


def test_a_listener_that_cannot_be_opened_is_no_reason_to_end(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    """With reuseport one worker more needs one listener more."""
    system.told(TTIN)
    system.told(TERM)
    system.dies(100, 0)
    system.dies(101, 0)
    system.fails.append(StartError("too many open files", EXIT_LISTENING))
    try:
        assert supervise(system) == 0
    finally:
        system.script.clear()
    assert "too many open files" in caplog.text
    assert system.forked == [100, 101]
