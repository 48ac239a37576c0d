"""The command line, called in this process from an empty directory."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from pagi.cli.main import main
from pagi.interface.callables import App
from pagi.server.config import Config


class Result(NamedTuple):
    """What a command printed and how it ended."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The only line on standard error, without the name of the program."""
        assert self.err.startswith("pagi: ")
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("pagi: ").rstrip("\n")


Command = Callable[..., Result]
StandIn = Callable[[Callable[..., int]], None]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current directory; modules imported from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in [n for n in os.environ if n.startswith("PAGI_") and n != "PAGI_PURE_PYTHON"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAGI_ENV", "production")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        path = getattr(sys.modules[name], "__file__", None) or ""
        if path.startswith(str(tmp_path)) or not path:
            del sys.modules[name]


@pytest.fixture
def pagi(place: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Call the program with words; returns its `Result`."""

    def call(*words: str) -> Result:
        status = main(words)
        return Result(status, *capsys.readouterr())

    return call


class Served(NamedTuple):
    """What reached the server."""

    app: App
    config: Config


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Put a function in place of the server: the command line is all that is tested here."""

    def put(run_loaded: Callable[..., int]) -> None:
        module = ModuleType("pagi.server.api")
        vars(module)["run_loaded"] = run_loaded
        monkeypatch.setitem(sys.modules, "pagi.server.api", module)

    return put


@pytest.fixture
def served(stand_in: StandIn) -> list[Served]:
    """Put a recorder in place of the server; what would be served is appended to the list."""
    calls: list[Served] = []

    def run_loaded(
        load: Callable[[], App], config: Config, read_config: Callable[[], Config]
    ) -> int:
        assert read_config() == config, "a restart reads the same again"
        calls.append(Served(load(), config))
        return 0

    stand_in(run_loaded)
    return calls
