"""What a service manager is told, on a real socket."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from pagi.server.worker.systemd import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def told(manager: socket.socket) -> list[str]:
    """Return everything that was sent."""
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


def test_the_variables_are_taken(manager: socket.socket) -> None:
    environ = {
        "NOTIFY_SOCKET": manager.getsockname(),
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
        "HOME": "/root",
    }
    notifier = Notifier.take(environ)
    assert environ == {"HOME": "/root"}
    assert notifier.interval == 1.5
    assert notifier.variables() == {
        "NOTIFY_SOCKET": manager.getsockname(),
        "WATCHDOG_USEC": "3000000",
    }
    notifier.close()
    assert notifier.variables() == {}
    assert notifier.interval is None


@pytest.mark.parametrize(
    "environ",
    [
        {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "²"},
        {},
    ],
)
def test_no_signs_of_life_are_wanted(environ: dict[str, str], manager: socket.socket) -> None:
    environ = {**environ, "NOTIFY_SOCKET": manager.getsockname()}
    notifier = Notifier.take(environ)
    assert environ == {}
    assert notifier.interval is None
    notifier.tick(0.0)
    assert notifier.deadline() is None
    assert told(manager) == []
    assert notifier.variables() == {"NOTIFY_SOCKET": manager.getsockname()}
    notifier.close()


def test_what_happens(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname())
    before = int(monotonic() * 1e6)
    notifier.ready("2 workers on http://[::1]:80")
    notifier.reloading()
    notifier.stopping()
    ready, reloading, stopping = told(manager)
    assert ready == f"READY=1\nMAINPID={os.getpid()}\nSTATUS=2 workers on http://[::1]:80"
    first, second, _ = reloading.split("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= int(monotonic() * 1e6)
    assert stopping.startswith("STOPPING=1\nSTATUS=stopping")
    notifier.close()


def test_signs_of_life_at_half_the_time(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname(), 10.0)
    assert notifier.deadline() is None
    for now, count in ((100.0, 1), (104.9, 0), (105.0, 1), (109.0, 0), (120.0, 1)):
        notifier.tick(now)
        assert told(manager) == ["WATCHDOG=1"] * count
    assert notifier.deadline() == 125.0
    notifier.close()


def test_the_first_sign_of_life_comes_with_readiness(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname(), 10.0)
    notifier.ready("")
    assert told(manager)[1:] == ["WATCHDOG=1"]
    assert notifier.deadline() is not None
    notifier.close()


def test_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = f"pagi-unit-{os.getpid()}"
        manager.bind("\0" + name)
        manager.setblocking(False)
        notifier = Notifier("@" + name)
        notifier.stopping()
        assert len(told(manager)) == 1
        notifier.close()


def test_nobody_listens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    logging.getLogger("pagi").propagate = True
    notifier = Notifier(str(tmp_path / "none"), 1.0)
    assert "cannot be reached: No such file" in caplog.text
    notifier.ready("")
    notifier.tick(5.0)
    assert notifier.deadline() is None
    notifier.close()


def test_nothing_is_sent_without_an_address() -> None:
    notifier = Notifier.take({})
    notifier.ready("")
    notifier.reloading()
    notifier.stopping()
    assert notifier.variables() == {}


def test_a_manager_that_is_gone_does_not_matter(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    logging.getLogger("pagi").propagate = True
    notifier = Notifier(manager.getsockname())
    manager.close()
    notifier.stopping()
    assert "the service manager cannot be told" in caplog.text
    notifier.close()


def test_a_manager_that_does_not_keep_up_does_not_matter(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(manager.getsockname())
    for _ in range(10_000):
        notifier.stopping()
    assert caplog.text == ""
    notifier.close()
