"""Stop signals before and after a server: put back, dropped, or an end at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

import pagi
from pagi.server.worker import settling, signals
from pagi.server.worker.signals import (
    STOP_SIGNALS,
    Disposition,
    ignore_stop_signals,
    leave_signals,
)
from tests.conftest import LOOP, TRANSPORTS, new_loop


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    """Put everything back, whatever the test did."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@pytest.fixture
def heard() -> list[int]:
    """Hear the stop signals as a program around a server would."""
    heard: list[int] = []
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, frame: heard.append(number))
    return heard


def send_all() -> None:
    for number in STOP_SIGNALS:
        os.kill(os.getpid(), number)


def test_they_are_put_back(heard: list[int]) -> None:
    disposition = Disposition()
    ignore_stop_signals()
    send_all()
    disposition.put_back()
    assert heard == []
    send_all()
    assert sorted(heard) == sorted(STOP_SIGNALS)


def test_what_waits_is_ignored_too(heard: list[int]) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    signal.raise_signal(signal.SIGTERM)  # to this thread: others may not block it
    disposition = Disposition()
    ignore_stop_signals()
    disposition.put_back()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    assert heard == []


def test_a_loop_is_closed_without_giving_the_signals_back_their_default() -> None:
    heard: list[int] = []
    loop = new_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, heard.append, number)

    async def serve() -> None:
        leave_signals(loop)
        send_all()
        await asyncio.sleep(0)

    loop.run_until_complete(serve())
    loop.close()
    send_all()
    assert heard == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(STOP_SIGNALS) == set()


def test_what_a_loop_does_not_hear_is_left_alone(heard: list[int]) -> None:
    loop = new_loop()

    async def serve() -> None:
        leave_signals(loop)

    loop.run_until_complete(serve())
    loop.close()
    send_all()
    assert sorted(heard) == sorted(STOP_SIGNALS)


def test_after_the_last_word_a_signal_ends_the_process(
    heard: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_exit: list[Any] = []
    left: list[int] = []
    monkeypatch.setattr(signals.atexit, "register", at_exit.append)
    monkeypatch.setattr(signals.os, "_exit", left.append)
    threads_left: list[int] = []
    monkeypatch.setattr(signals, "leave_behind", threads_left.append)
    Disposition().leave_with(6)
    assert threads_left == [6]
    send_all()
    assert left == [6, 6]
    for call in at_exit:
        call()
    send_all()
    assert left == [6, 6], "the process is about to end by itself"
    assert heard == []


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_run_gives_the_signals_back(
    number: signal.Signals, heard: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that serves and goes on afterwards has its own handlers again."""
    monkeypatch.setattr(settling, "configure", lambda *arguments: None)
    noted: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for kind in ("startup", "shutdown"):
            await receive()
            noted.append(kind)
            os.kill(os.getpid(), number)
            await send({"type": f"lifespan.{kind}.complete"})

    options = {"port": 0, "access_log": None, "loop": LOOP, "transports": TRANSPORTS}
    assert pagi.run(app, config_file=None, **options) == 0
    # The signal comes while it gets ready: a start that is given up, or a stop after it.
    assert noted in (["startup"], ["startup", "shutdown"])
    assert heard == []
    os.kill(os.getpid(), number)
    assert heard == [number]


def test_run_gives_the_signals_back_after_a_failure(
    heard: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "configure", lambda *arguments: None)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(pagi.StartError, match="no database"):
        pagi.run(app, config_file=None, port=0, access_log=None, loop=LOOP, transports=TRANSPORTS)
    send_all()
    assert sorted(heard) == sorted(STOP_SIGNALS)
