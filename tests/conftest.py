"""What all tests share: the event loop they run on, and what they say about the twins."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import sys
from typing import Any

import pytest

from tests.matrix import COMBINATIONS, missing

LOOP = os.environ.get("TEST_LOOP", "uvloop")
TRANSPORTS = os.environ.get("TEST_TRANSPORTS", "pagi")
PURE = os.environ.get("PAGI_PURE_PYTHON", "") not in ("", "0")
#: No asynchronous test takes this long; one that hangs fails instead.
TIMEOUT = 60.0


def new_loop() -> asyncio.AbstractEventLoop:
    """Make the event loop that this run of the tests is about."""
    if LOOP == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutine test functions."""
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(function).parameters}

    async def timed() -> Any:
        async with asyncio.timeout(TIMEOUT):
            await function(**arguments)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(timed())
    return True


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and take signals as usual, whoever started us."""
    for name, usual in (
        ("SIGINT", signal.default_int_handler),
        ("SIGHUP", signal.SIG_DFL),
        ("SIGQUIT", signal.SIG_DFL),
    ):
        number = getattr(signal, name, None)  # nohup and shells have some of them ignored
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, usual)
    config.addinivalue_line("markers", "spec(*rules): the rules of the specification it checks")
    config.addinivalue_line("markers", "once: runs on one combination of twin, loop, transports")
    config.addinivalue_line("markers", "slow: runs only when asked for, with -m slow")


def is_chosen() -> bool:
    """Tell whether this is the combination for tests that run once: the first that is possible."""
    chosen = next(one for one in COMBINATIONS if one.runs_all and missing(one) is None)
    return (chosen.pure, chosen.loop, chosen.transports) == (PURE, LOOP, TRANSPORTS)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what does not belong into this run."""
    chosen = is_chosen()
    asked = "slow" in (config.option.markexpr or "")
    kept, left = [], []
    for item in items:
        elsewhere = item.get_closest_marker("once") is not None and not chosen
        slow = item.get_closest_marker("slow") is not None and not asked
        (left if elsewhere or slow else kept).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def pytest_report_header() -> str:
    """Say on what the tests run."""
    version = sys.version.split()[0]
    twin = "pure Python" if PURE else "compiled where built"
    return f"pagi: {twin}; Python {version}; loop {LOOP}; transports {TRANSPORTS}"
