"""`SignalQueue` with signals that are really sent to this process, and to one that it forked."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pagi.server.supervisor.signals import SignalQueue
from pagi.server.worker.signals import Disposition

TERM, HUP, USR1, CHLD = signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD
NUMBERS = (TERM, HUP, USR1, CHLD)


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    """Put everything back, whatever the test did."""
    disposition = Disposition()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    wakeup = signal.set_wakeup_fd(-1)
    yield
    signal.set_wakeup_fd(wakeup)
    disposition.put_back()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@pytest.fixture
def queue() -> Iterator[SignalQueue]:
    """Take a few signals."""
    made = SignalQueue(NUMBERS)
    yield made
    made.close()


def is_readable(queue: SignalQueue) -> bool:
    return bool(select.select([queue], [], [], 0)[0])


def test_it_is_readable_when_a_signal_has_come(queue: SignalQueue) -> None:
    assert not is_readable(queue)
    signal.raise_signal(TERM)
    assert is_readable(queue)
    assert queue.take() == [TERM]
    assert not is_readable(queue)
    assert queue.take() == []


def test_signals_are_taken_in_order(queue: SignalQueue) -> None:
    sent = [HUP, TERM, HUP, HUP, USR1]
    for number in sent:
        signal.raise_signal(number)
    assert queue.take() == sent


def test_signals_of_others_are_not_taken(queue: SignalQueue) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    try:
        signal.raise_signal(signal.SIGUSR2)
        signal.raise_signal(TERM)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert heard == [signal.SIGUSR2]
    assert queue.take() == [TERM]


def test_a_flood_of_signals_harms_nobody(queue: SignalQueue) -> None:
    for _ in range(2000):
        signal.raise_signal(USR1)
    taken = queue.take()
    assert taken
    assert set(taken) == {USR1}


def test_signals_wait_while_they_are_held(queue: SignalQueue) -> None:
    queue.hold()
    signal.raise_signal(TERM)
    assert not is_readable(queue)
    queue.release()
    assert queue.take() == [TERM]


def test_a_hangup_that_was_ignored_stays_ignored() -> None:
    """That is what nohup does; only for this signal."""
    for number in (HUP, TERM):
        signal.signal(number, signal.SIG_IGN)
    queue = SignalQueue(NUMBERS)
    signal.raise_signal(HUP)
    signal.raise_signal(TERM)
    assert queue.take() == [TERM]
    queue.close()
    assert signal.getsignal(HUP) == signal.SIG_IGN


def test_afterwards_nothing_is_heard_and_children_are_as_usual() -> None:
    inlet_before = signal.set_wakeup_fd(-1)
    queue = SignalQueue(NUMBERS)
    queue.close()
    assert signal.set_wakeup_fd(-1) == inlet_before
    for number in (TERM, HUP, USR1):
        assert signal.getsignal(number) == signal.SIG_IGN
        signal.raise_signal(number)
    assert signal.getsignal(CHLD) == signal.SIG_DFL


_FORK = """
import os, signal
from pagi.server.supervisor.signals import SignalQueue

queue = SignalQueue([signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD])
signal.raise_signal(signal.SIGTERM)  # not taken yet: it must not reach the child
queue.hold()
pid = os.fork()
if not pid:
    for number in {sent}:
        signal.raise_signal(number)
    queue.forget([signal.SIGHUP])
    assert signal.set_wakeup_fd(-1) == -1
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
    queue.release()
    os._exit(7)
_, status = os.waitpid(pid, 0)
queue.release()
print(os.waitstatus_to_exitcode(status), *map(int, queue.take()))
"""


@pytest.mark.parametrize(
    ("sent", "status"),
    [("()", 7), ("(signal.SIGHUP,)", 7), ("(signal.SIGHUP, signal.SIGTERM)", -TERM)],
    ids=["nothing", "ignored", "both"],
)
def test_a_forked_child_forgets_them(sent: str, status: int) -> None:
    """What was sent to it meanwhile counts, and what was sent to its parent is its parent's."""
    code = _FORK.format(sent=sent)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == [str(status), str(int(TERM)), str(int(CHLD))]
