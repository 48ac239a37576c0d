"""The two implementations of the machine."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.unit.protocol.websocket.driving import (
    Implementation,
    compiled_is_built,
    implementations,
)

_ran: Counter[str] = Counter()


@pytest.fixture(params=implementations())
def implementation(request: pytest.FixtureRequest) -> Implementation:
    """The machine and its parts, of each implementation."""
    _ran[request.param] += 1
    return Implementation(request.param)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how often each implementation was tested."""
    if _ran:
        built = "" if compiled_is_built() else " (the compiled one is not built, or not wanted)"
        terminalreporter.write_line(
            f"WebSocket machine: {_ran['py']} tests on Python, {_ran['c']} on C{built}"
        )
