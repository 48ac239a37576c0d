"""`resident_memory`: by what the kernel says, and by less."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pagi.server.worker import memory
from pagi.server.worker.memory import resident_memory

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def status(name: str) -> int:
    """Return a number of the kernel's own, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


@linux
def test_it_is_what_the_kernel_says() -> None:
    assert resident_memory() == pytest.approx(status("VmRSS"), rel=0.1)


@linux
def test_it_grows_and_shrinks() -> None:
    size = 64 << 20
    before = resident_memory()
    block = b"x" * size
    grown = resident_memory()
    assert len(block) == size
    del block
    assert grown - before > size // 2
    assert grown - resident_memory() > size // 2


@linux
def test_without_proc_it_is_the_most_there_ever_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_STATM", "/proc/none/statm")
    assert resident_memory() == pytest.approx(status("VmHWM"), rel=0.1)


def test_where_nothing_is_told_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_STATM", "/proc/none/statm")
    monkeypatch.setitem(sys.modules, "resource", None)
    assert resident_memory() == 0
