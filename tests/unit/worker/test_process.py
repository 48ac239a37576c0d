"""`run_worker`: the process around a worker: loop, listeners, and how it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pytest

from pagi.server.config import Config, load
from pagi.server.errors import EXIT_CONFIGURATION, EXIT_LISTENING, EXIT_STARTUP, StartError
from pagi.server.worker import process as process_module
from pagi.server.worker.link import HURRY, IS_READY, REOPEN, STOP, Link
from pagi.server.worker.process import bind_all, make_loop, run_worker
from pagi.server.worker.report import Report
from pagi.server.worker.scoreboard import DRAINING, READY, Scoreboard, Slot
from pagi.server.worker.signals import Disposition, Terminal
from tests.conftest import LOOP, TRANSPORTS


def configuration(**options: Any) -> Config:
    defaults = {"config_file": None, "port": 0, "access_log": None, "transports": TRANSPORTS}
    return load({**defaults, "loop": LOOP, **options}, environ={})


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Let nothing of the server's log get lost."""
    caplog.set_level(logging.DEBUG, "pagi")


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# --- loops and listeners ---------------------------------------------------------------------


def test_loops() -> None:
    for name in ("auto", "asyncio"):
        loop = make_loop(name)
        assert isinstance(loop, asyncio.AbstractEventLoop)
        loop.close()


def test_a_loop_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(StartError, match="pip install uvloop") as raised:
        make_loop("uvloop")
    assert raised.value.exit_status == EXIT_CONFIGURATION
    loop = make_loop("auto")
    assert type(loop).__module__.startswith("asyncio")
    loop.close()


def test_all_listeners_or_none(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        places = [f"unix:{path}", f"127.0.0.1:{taken.getsockname()[1]}"]
        with pytest.raises(StartError, match="in use") as raised:
            bind_all(load({"config_file": None, "listen": places}, environ={}))
    assert raised.value.exit_status == EXIT_LISTENING
    assert not path.exists()


# --- what it hears ---------------------------------------------------------------------------


class Served:
    """A worker that notes what it is asked, and asks for it itself.

    Args:
        words: said to the process when the worker has started; the first in its last step, the
            others during the stop: signals, or bytes to send over the channel.
    """

    def __init__(self, *words: signal.Signals | bytes) -> None:
        self.noted: list[str] = []
        self.words = list(words)
        self.supervisor: socket.socket | None = None

    def __call__(
        self, app: Any, config: Any, sockets: Any, number: Any, slot: Slot, *_: Any
    ) -> Self:
        self.app = app
        self.slot = slot
        return self

    def activities(self) -> dict[Any, Any]:
        return {}

    def hurry(self) -> None:
        self.noted.append("hurry")
        self.hurried.set()

    def reopen_logs(self) -> None:
        self.noted.append("reopen")

    def say(self, word: signal.Signals | bytes) -> None:
        if isinstance(word, bytes):
            assert self.supervisor is not None
            self.supervisor.send(word)
        else:
            os.kill(os.getpid(), word)

    async def start(self) -> None:
        self.hurried = asyncio.Event()
        self.noted.append("start")
        if self.app is not None:
            await self.app()
        if self.words:
            self.say(self.words.pop(0))

    async def stop(self) -> None:
        assert self.slot.state == DRAINING
        self.noted.append("stop")
        for word in self.words:
            self.say(word)
        if self.words:
            await self.hurried.wait()


@pytest.fixture
def kept_signals() -> Iterator[None]:
    """Put back how this process takes its signals."""
    disposition = Disposition()
    yield
    disposition.put_back()


def run_served(
    served: Served, monkeypatch: pytest.MonkeyPatch, app: Any = None, **options: Any
) -> int:
    """Run it without a supervisor."""
    monkeypatch.setattr(process_module, "Worker", served)
    report = Report()
    monkeypatch.setattr(process_module, "Report", lambda: report)
    with closing(report):
        return run_worker(app, configuration(**options), [])


def run_linked(served: Served, monkeypatch: pytest.MonkeyPatch, app: Any = None) -> bytes:
    """Run it with a supervisor; return what that one heard."""
    monkeypatch.setattr(process_module, "Worker", served)
    served.supervisor, channel = socket.socketpair()
    report = Report()
    with served.supervisor as supervisor, channel, closing(report):
        channel.setblocking(False)
        slot = Scoreboard(1).site
        assert run_worker(app, configuration(), [], Link(1, channel, slot, report)) == 0
        channel.close()
        return supervisor.recv(64) if supervisor.fileno() >= 0 else b""


@pytest.mark.usefixtures("kept_signals")
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_stops_and_another_hurries(
    first: signal.Signals, second: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served(first, second)
    assert run_served(served, monkeypatch) == 0
    assert served.noted == ["start", "stop", "hurry"]


@pytest.mark.usefixtures("kept_signals")
def test_sigquit_stops_and_hurries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(signal.SIGQUIT)
    assert run_served(served, monkeypatch) == 0
    assert served.noted == ["start", "hurry", "stop"]


@pytest.mark.usefixtures("kept_signals")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU])
def test_what_takes_a_supervisor_is_refused(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def app() -> None:
        os.kill(os.getpid(), number)
        while "take a supervisor" not in caplog.text:
            await asyncio.sleep(0)

    served = Served(signal.SIGTERM)
    assert run_served(served, monkeypatch, app) == 0
    assert served.noted == ["start", "stop"]
    assert "start with --workers 1 or more" in caplog.text


@pytest.mark.usefixtures("kept_signals")
def test_a_terminal_that_is_closed_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Terminal, "has_gone", lambda terminal: True)
    served = Served(signal.SIGHUP)
    assert run_served(served, monkeypatch) == 0
    assert served.noted == ["start", "stop"]


@pytest.mark.usefixtures("kept_signals")
def test_what_was_ignored_before_stays_ignored(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That is what nohup does."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def app() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await turns()

    assert run_served(Served(signal.SIGTERM), monkeypatch, app) == 0
    assert "supervisor" not in caplog.text


@pytest.mark.usefixtures("kept_signals")
def test_sigusr1_reopens_the_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        while "reopen" not in served.noted:
            await asyncio.sleep(0)

    served = Served(signal.SIGTERM)
    assert run_served(served, monkeypatch, app) == 0
    assert served.noted == ["start", "reopen", "stop"]


@pytest.mark.usefixtures("kept_signals")
def test_the_delay_before_a_stop_passes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = Served(signal.SIGTERM)
    assert run_served(served, monkeypatch, drain_delay=0.01) == 0
    assert served.noted == ["start", "stop"]
    assert "stopping in 0.01 s (drain_delay); still serving" in caplog.text


@pytest.mark.usefixtures("kept_signals")
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGQUIT])
def test_a_second_signal_ends_the_delay(
    second: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is no haste yet: what was begun in the delay is still finished. SIGQUIT is."""
    process_delay = process_module._delay

    async def delay(seconds: float, begun: asyncio.Event) -> None:
        assert served.slot.state == DRAINING
        os.kill(os.getpid(), second)
        await process_delay(seconds, begun)

    monkeypatch.setattr(process_module, "_delay", delay)
    served = Served(signal.SIGTERM)
    assert run_served(served, monkeypatch, drain_delay=300) == 0
    haste = ["hurry"] if second == signal.SIGQUIT else []
    assert served.noted == ["start", *haste, "stop"]


@pytest.mark.usefixtures("kept_signals")
def test_a_supervised_worker_hears_its_supervisor_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a terminal or a service manager sends to the group is not haste."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    group = (signal.SIGTERM, signal.SIGINT, signal.SIGTERM)
    served = Served(*group, HURRY)
    assert run_linked(served, monkeypatch) == IS_READY
    assert served.noted == ["start", "stop", "hurry"]


@pytest.mark.usefixtures("kept_signals")
def test_a_supervised_worker_does_what_the_channel_says(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(REOPEN + STOP, HURRY)
    assert run_linked(served, monkeypatch) == IS_READY
    assert served.noted == ["start", "reopen", "stop", "hurry"]


@pytest.mark.usefixtures("kept_signals")
def test_a_worker_is_ready_for_all_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[int] = []

    class Seen(Served):
        def reopen_logs(self) -> None:
            states.append(self.slot.state)
            self.say(STOP if self.slot.state == READY else REOPEN)

    served = Seen(REOPEN)
    assert run_linked(served, monkeypatch) == IS_READY
    assert states[-1] == READY


@pytest.mark.usefixtures("kept_signals")
def test_a_worker_without_its_supervisor_stops(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def app() -> None:
        assert served.supervisor is not None
        served.supervisor.close()

    served = Served()
    assert run_linked(served, monkeypatch, app) == b""
    assert served.noted == ["start", "stop"]
    assert "the supervisor has gone; stopping" in caplog.text


@pytest.mark.usefixtures("kept_signals")
def test_a_stop_during_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    served = Served()
    assert run_served(served, monkeypatch, app) == 0
    assert served.noted == ["start"]


@pytest.mark.usefixtures("kept_signals")
def test_a_stop_during_a_start_that_succeeds_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()

    served = Served()
    assert run_served(served, monkeypatch, app) == 0
    assert served.noted == ["start", "stop"]


@pytest.mark.usefixtures("kept_signals")
@pytest.mark.parametrize("when", ["alone", "stopped"])
def test_a_start_that_fails(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def app() -> None:
        if when == "stopped":
            os.kill(os.getpid(), signal.SIGTERM)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass
        raise StartError("no database", EXIT_STARTUP)

    served = Served()
    with pytest.raises(StartError, match="no database"):
        run_served(served, monkeypatch, app)
    assert served.noted == ["start"]


@pytest.mark.usefixtures("kept_signals")
def test_no_file_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    class Noted(Report):
        def close(self) -> None:
            closed.append(True)
            super().close()

    report = Noted()
    monkeypatch.setattr(process_module, "Worker", Served(signal.SIGTERM))
    monkeypatch.setattr(process_module, "Report", lambda: report)
    with closing(report):
        assert run_worker(None, configuration(), []) == 0  # type: ignore[arg-type]
        assert closed == [True]
