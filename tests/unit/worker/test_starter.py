"""Who started the process: what it is told, and what a daemon tells the one that waits."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pagi.server.config import load
from pagi.server.errors import StartError
from pagi.server.worker import settling
from pagi.server.worker import starter as starter_module
from pagi.server.worker.daemon import Relay, end_relay
from pagi.server.worker.predecessor import Predecessor
from pagi.server.worker.settling import prepare, settled
from pagi.server.worker.starter import Starter


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    tree = logging.getLogger("pagi")
    before = (list(tree.handlers), tree.level, tree.propagate)
    yield
    end_relay()
    tree.handlers[:], tree.level, tree.propagate = before
    tree.setLevel(before[1])


class Waiting:
    """The other end of a daemon's pipe."""

    def __init__(self) -> None:
        self.outlet, self.inlet = os.pipe()

    def detach(self) -> Relay:
        """Stand in for the real one, which forks."""
        relay = Relay(self.inlet)
        logging.getLogger("pagi").addHandler(relay)
        return relay

    def told(self) -> list[dict[str, Any]]:
        """Return everything, up to the end."""
        with os.fdopen(self.outlet) as lines:
            return [json.loads(line) for line in lines]


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    made = Waiting()
    monkeypatch.setattr(starter_module, "detach", made.detach)
    return made


@pytest.fixture
def starter(waiting: Waiting) -> Starter:
    made = Starter({})
    made.detach()
    return made


def test_nobody_waits() -> None:
    starter = Starter({})
    starter.ready("")
    starter.tick(0.0)
    starter.reloading()
    starter.stopping()
    starter.failed(ValueError())
    starter.ended(0)
    assert starter.deadline() is None
    assert starter.variables() == {}


def test_ready(starter: Starter, waiting: Waiting) -> None:
    log = logging.getLogger("pagi.server")
    log.setLevel(logging.INFO)
    log.info("not worth it")
    log.warning("a warning")
    starter.ready("serving")
    log.error("nobody waits any more")
    starter.ended(0)
    warning, outcome = waiting.told()
    assert warning["text"].endswith("WARNING a warning")
    assert outcome == {"text": "", "status": 0}


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (StartError("no database", 6), 6, "pagi: no database"),
        (SystemExit(7), 7, ""),
    ],
)
def test_failures(
    error: BaseException, status: int, text: str, starter: Starter, waiting: Waiting
) -> None:
    starter.failed(error)
    assert waiting.told() == [{"text": text, "status": status}]


def test_a_fault_comes_with_its_traceback(starter: Starter, waiting: Waiting) -> None:
    starter.failed(ValueError("oh"))
    (outcome,) = waiting.told()
    assert outcome["status"] == 1
    assert "ValueError: oh" in outcome["text"]


@pytest.mark.parametrize(("status", "told", "words"), [(6, 6, ""), (0, 1, "was stopped before")])
def test_an_end_before_it_was_ready(
    status: int, told: int, words: str, starter: Starter, waiting: Waiting
) -> None:
    starter.ended(status)
    (outcome,) = waiting.told()
    assert outcome["status"] == told
    assert words in outcome["text"]


def test_the_one_that_waits_has_gone(starter: Starter, waiting: Waiting) -> None:
    os.close(waiting.outlet)
    starter.ready("")


def test_the_service_manager_hears_of_a_failure(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        starter = Starter({"NOTIFY_SOCKET": manager.getsockname()})
        assert starter.variables() == {"NOTIFY_SOCKET": manager.getsockname()}
        starter.failed(StartError("no database", 6))
        assert manager.recv(100) == b"STATUS=no database"


def test_settling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    umasks: list[int] = []
    monkeypatch.setattr("os.umask", umasks.append)
    pid, log = tmp_path / "pid", tmp_path / "log"
    options = {"pid_file": str(pid), "log_file": str(log), "umask": 0o27, "config_file": None}
    config = load(options, environ={})
    starter = Starter({})
    prepare(config, starter)
    assert umasks == [0o27]
    assert not pid.exists()
    with settled(config, starter):
        assert pid.read_text() == f"{os.getpid()}\n"
        logging.getLogger("pagi.server").info("serving")
    assert not pid.exists()
    assert "serving" in log.read_text()
    (handler,) = [h for h in logging.getLogger("pagi").handlers if hasattr(h, "reopen")]
    handler.close()


def test_another_has_the_pid_file(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    pid.write_text(str(os.getppid()))
    config = load({"pid_file": str(pid), "config_file": None}, environ={})
    with pytest.raises(StartError, match="serves already"):
        prepare(config, Starter({}))
    successor = Starter(Predecessor.variable(os.dup(2), -1, []) | {})
    assert successor.predecessor is None, "that was for a child of this process"
    successor.predecessor = Predecessor(os.getppid(), os.dup(2), -1, [])
    prepare(config, successor)


def test_the_pid_file_is_removed_when_what_follows_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused:
        def take_on(self) -> None:
            raise StartError("cannot become", 3)

    monkeypatch.setattr(settling, "wanted_identity", lambda _: Refused())
    config = load({"pid_file": str(tmp_path / "pid"), "config_file": None}, environ={})
    with pytest.raises(StartError, match="cannot become"):
        with settled(config, Starter({})):
            pass
    assert os.listdir(tmp_path) == []
