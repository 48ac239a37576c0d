"""`Report`: where a process is, told by a signal, also when its loop or its interpreter hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from pagi.server.exchange.tasks import AppRunner
from pagi.server.worker.report import (
    REPORT_SIGNAL,
    Report,
    describe_tasks,
    describe_threads,
    place,
)

_SCRIPT = """\
import asyncio, logging, os, re, signal, sys, time
from collections import deque
from itertools import repeat
from pagi.server.worker.logs import configure
from pagi.server.worker.report import REPORT_SIGNAL, Report

def work():
    {statement}

async def serve():
    print("begun", flush=True)
    work()

def run(report):
    configure("info", "text", False)
    report.install(logging.getLogger("pagi.server"), "worker 1", dict)
    asyncio.run(serve())

{rest}
"""

_FORK = """
report = Report()
pid = os.fork()
if not pid:
    run(report)
assert report.stacks() == ""
sys.stdin.readline()
text = ""
while "line 8 in work" not in text:  # it may not have got there yet
    os.kill(pid, REPORT_SIGNAL)
    time.sleep(0.05)  # they share a place in the file: not while it is written
    text = report.stacks()
print(text)
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
"""


def run_script(directory: Path, statement: str, rest: str) -> subprocess.Popen[str]:
    """Run a script that hangs in ``statement``; return when it is about to."""
    path = directory / "hangs.py"
    path.write_text(_SCRIPT.format(statement=statement, rest=rest))
    pipe = subprocess.PIPE
    running = subprocess.Popen(
        [sys.executable, str(path)], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "begun\n"
    return running


@pytest.mark.parametrize(
    "statement", ["time.sleep(600)", "re.match('(a+)+$', 'a' * 64 + 'b')", "while True: pass"]
)
def test_the_log_names_the_line_where_a_loop_hangs(statement: str, tmp_path: Path) -> None:
    with run_script(tmp_path, statement, "run(Report())") as running:
        first = ""
        while "in work" not in first:  # it may not have got there yet
            assert REPORT_SIGNAL is not None
            running.send_signal(REPORT_SIGNAL)
            lines = read_until(running, " tasks:")
            first = next(line for line in lines if "worker 1 is at" in line)
        running.kill()
    at = f"{tmp_path / 'hangs.py'}:8 in work: {statement}"
    assert f"WARNING worker 1 is at {at}" in first
    assert any(line.strip() == at for line in lines), "and its whole stack"
    assert any("in serve: work()" in line for line in lines)


def read_until(running: subprocess.Popen[str], words: str) -> list[str]:
    """Read its log until a line has these words."""
    assert running.stderr is not None
    lines: list[str] = []
    while not lines or words not in lines[-1]:
        lines.append(running.stderr.readline())
        assert lines[-1], lines
    return lines


def test_a_call_that_never_returns_leaves_its_stacks_to_the_supervisor(tmp_path: Path) -> None:
    with run_script(tmp_path, "deque(repeat(0), maxlen=0)", _FORK) as running:
        text, errors = running.communicate("go\n", timeout=30)
    assert running.returncode == 0, errors
    assert f'File "{tmp_path / "hangs.py"}", line 8 in work' in text
    assert ":8 in work" not in errors, "its interpreter has had no turn"


def test_nobody_asked_and_there_are_no_stacks() -> None:
    report = Report()
    assert report.stacks() == ""
    report.close()


class Log:
    """Takes what is logged."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.details: list[str] = []

    def warning(self, text: str, *arguments: Any, extra: dict[str, str]) -> None:
        self.texts.append(text % arguments)
        self.details.append(extra["detail"])


@pytest.fixture
def installed() -> Iterator[tuple[Report, Log]]:
    """A report of this process."""
    assert REPORT_SIGNAL is not None
    before = signal.getsignal(REPORT_SIGNAL)
    report, log = Report(), Log()
    report.install(log, "this process", dict)  # type: ignore[arg-type]
    yield report, log
    report.uninstall()
    report.close()
    signal.signal(REPORT_SIGNAL, before)


def ask() -> None:
    assert REPORT_SIGNAL is not None
    signal.raise_signal(REPORT_SIGNAL)


def test_what_is_told_in_words_is_not_told_twice(installed: tuple[Report, Log]) -> None:
    report, log = installed
    ask()
    assert len(log.texts) == 1
    assert log.texts[0].startswith("this process is at ")
    assert "test_report.py" in log.details[0]
    assert report.stacks() == ""


def test_without_a_loop_there_are_no_tasks(installed: tuple[Report, Log]) -> None:
    ask()
    assert " tasks:\n" not in installed[1].details[0]


async def test_with_a_loop_there_are_tasks(installed: tuple[Report, Log]) -> None:
    ask()
    ask()
    assert all("\n1 tasks:\n" in detail for detail in installed[1].details)
    assert len(installed[1].details) == 2


def test_afterwards_the_signal_is_ignored(installed: tuple[Report, Log]) -> None:
    report, log = installed
    report.uninstall()
    ask()
    assert log.texts == []
    assert report.stacks() == ""


# --- in words --------------------------------------------------------------------------------


def test_a_place_is_the_innermost_of_the_application() -> None:
    def inside() -> FrameType:
        found: list[FrameType] = []
        sorted([1], key=lambda _: found.append(sys._getframe()) or 0)  # type: ignore[func-returns-value]
        return found[0]

    assert f"{__file__}:" in place(inside())
    assert "found.append(sys._getframe())" in place(inside())


def test_frames_of_the_library_are_not_the_place() -> None:
    asked: list[str] = []

    def look() -> None:
        frame = sys._getframe()
        asked.append(place(frame))

    loop = asyncio.new_event_loop()
    loop.call_soon(look)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert "in look" in asked[0]


def test_a_thread_that_waits_is_where_the_application_waits() -> None:
    begun, go = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    assert thread.ident is not None
    frames = sys._current_frames()
    assert "in work: go.wait()" in place(frames[thread.ident])
    go.set()
    thread.join()
    assert place(None) == "an unknown place"


def test_all_threads_are_described() -> None:
    begun, go = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait()

    thread = threading.Thread(target=work, name="of the application")
    thread.start()
    begun.wait()
    text = describe_threads(sys._getframe())
    go.set()
    thread.join()
    assert "thread of the application:\n" in text
    assert "in work: go.wait()" in text
    assert "thread MainThread:\n" in text
    assert "test_all_threads_are_described: text = describe_threads(" in text


class Exchange:
    """Stands for an exchange."""

    async def receive(self) -> Any:
        return {}

    async def send(self, message: Any) -> None:
        return None

    def describe(self) -> str:
        return "GET /slow of 10.0.0.7, 3.0 s"


async def test_requests_are_described_first_with_what_they_wait_for() -> None:
    go = asyncio.Event()

    async def inner() -> None:
        await go.wait()

    async def app() -> None:
        await inner()

    task = asyncio.create_task(app(), name="request")
    other = asyncio.create_task(app(), name="another")
    await asyncio.sleep(0)
    activities = {task: (Exchange(), task.get_coro())}
    lines = describe_tasks({task, other}, activities).split("\n")
    assert lines[0] == "2 tasks:"
    assert lines[1] == "  request: GET /slow of 10.0.0.7, 3.0 s"
    assert lines[2].startswith(f"    {__file__}:")
    assert lines[2].endswith("<locals>.app")
    assert lines[3].endswith("<locals>.inner")
    assert "Event.wait" in lines[4]
    assert "  another" in lines
    go.set()
    await asyncio.gather(task, other)


async def test_parked_tasks_are_not_shown() -> None:
    loop = asyncio.get_running_loop()
    runner = AppRunner(loop, copy_context())
    runner.prepare(4)
    for _ in range(3):
        await asyncio.sleep(0)
    tasks = asyncio.all_tasks()
    assert len(tasks) == 5
    text = describe_tasks(tasks, runner.activities())
    assert text.startswith("1 tasks:\n")
    runner.close()
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_request_that_hangs_in_its_first_step_is_described() -> None:
    """Most that hang do so there: a handler that calls something that blocks."""
    loop = asyncio.get_running_loop()
    runner = AppRunner(loop, copy_context())
    runner.prepare(4)
    for _ in range(3):
        await asyncio.sleep(0)
    texts: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        texts.append(describe_tasks(asyncio.all_tasks(), runner.activities()))

    loop.call_soon(runner.start, app, Exchange(), {})
    for _ in range(3):
        await asyncio.sleep(0)
    runner.close()
    for _ in range(3):
        await asyncio.sleep(0)
    assert "GET /slow of 10.0.0.7" in texts[0]


async def test_there_is_an_end_of_describing() -> None:
    go = asyncio.Event()

    async def wait(depth: int) -> None:
        if depth:
            await wait(depth - 1)
        else:
            await go.wait()

    tasks = {asyncio.create_task(wait(50)) for _ in range(250)}
    await asyncio.sleep(0)
    lines = describe_tasks(tasks, {}).split("\n")
    assert lines[0] == "250 tasks:"
    assert lines[-1] == "  and 50 more"
    assert len(lines) == 2 + 200 * (1 + 12)
    go.set()
    await asyncio.gather(*tasks)


async def test_a_task_that_has_just_begun_or_ended_is_no_trouble() -> None:
    async def work() -> None:
        return None

    begun, ended = asyncio.create_task(work()), asyncio.create_task(work())
    await ended
    fresh = asyncio.create_task(work())
    text = describe_tasks({begun, ended, fresh}, {})
    assert text.startswith("3 tasks:")
    await asyncio.gather(begun, fresh)


def test_it_is_a_file_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    report = Report()
    assert os.listdir(tmp_path) == []
    report.close()
