"""The two implementations of the machine."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.unit.protocol.http1.driving import compiled_is_built, machine_class

_ran: Counter[str] = Counter()


@pytest.fixture(params=["py", "c"] if compiled_is_built() else ["py"])
def implementation(request: pytest.FixtureRequest) -> Any:
    """The class `HTTP1Connection` of each implementation."""
    _ran[request.param] += 1
    return machine_class(request.param)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how often each implementation was tested."""
    if _ran:
        built = "" if compiled_is_built() else " (the compiled one is not built, or not wanted)"
        terminalreporter.write_line(
            f"HTTP/1 machine: {_ran['py']} tests on Python, {_ran['c']} on C{built}"
        )
