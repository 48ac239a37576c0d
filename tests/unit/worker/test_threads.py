"""Threads that hang do not keep a stop from ending."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from pagi.server.worker import threads
from pagi.server.worker.threads import Threads


def test_work_that_ends_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    begun, go = threading.Event(), threading.Event()

    def work(number: int) -> None:
        begun.set()
        go.wait()
        done.append(number)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        pool = Threads(loop)
        loop.run_in_executor(None, work, 1)
        await asyncio.to_thread(begun.wait)
        ending = asyncio.ensure_future(pool.end())
        await asyncio.sleep(0)
        assert not ending.done()
        go.set()
        await ending

    asyncio.run(serve())
    assert done == [1]
    assert caplog.text == ""


def test_work_that_hangs_is_named_and_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither it nor what waits behind it keeps the loop from closing."""
    monkeypatch.setattr(threads, "THREAD_GRACE", 0.05)
    never, begun = threading.Event(), threading.Semaphore(0)
    late: list[int] = []

    def hang() -> None:
        begun.release()
        never.wait()

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        pool = Threads(loop)
        for _ in range(64):  # more than there are threads
            loop.run_in_executor(None, hang)
        loop.run_in_executor(None, late.append, 1)
        begun.acquire()
        await pool.end()
        assert await asyncio.to_thread(lambda: 7) == 7  # the loop still has an executor

    try:
        asyncio.run(serve())
        assert "threads of the application do not end: pagi-thread_0" in caplog.text
    finally:
        never.set()
    assert late == []


def test_nothing_to_wait_for() -> None:
    async def serve() -> None:
        await Threads(asyncio.get_running_loop()).end()

    asyncio.run(serve())


LEAVING = """
import threading
from pagi.server.worker import threads
threads.THREAD_GRACE = 0.05
threading.Thread(target=threading.Event().wait, name="stuck", daemon={daemon}).start()
threads.leave_behind(6)
"""


@pytest.mark.parametrize(
    ("daemon", "status", "text"), [(False, 6, "threads go on: stuck"), (True, 0, "")]
)
def test_a_process_ends_although_a_thread_hangs(daemon: bool, status: int, text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVING.format(daemon=daemon)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == status
    assert text in done.stderr
    assert "Traceback" not in done.stderr
