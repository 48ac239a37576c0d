"""What all tests share: the event loop they run on, and what they say about the twins."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from typing import Any

import pytest

LOOP = os.environ.get("TEST_LOOP", "uvloop")
TRANSPORTS = os.environ.get("TEST_TRANSPORTS", "aiofastnet")
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
    """Register the markers."""
    config.addinivalue_line("markers", "spec(*rules): the rules of the specification it checks")


def pytest_report_header() -> str:
    """Say on what the tests run."""
    pure = os.environ.get("PAGI_PURE_PYTHON", "") not in ("", "0")
    version = sys.version.split()[0]
    twin = "pure Python" if pure else "compiled where built"
    return f"pagi: {twin}; Python {version}; loop {LOOP}; transports {TRANSPORTS}"
