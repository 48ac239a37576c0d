"""What ``pagi check`` says about the process of the server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pagi.cli.service_advice import service_advice
from pagi.server.config import load
from tests.unit.cli.conftest import Command


def remarks(place: Path, **given: Any) -> list[str]:
    """Return the advice for options."""
    return list(service_advice(load(given, environ={}, directory=str(place))))


def test_nothing_to_say(place: Path) -> None:
    assert remarks(place) == []
    assert remarks(place, pid_file="pid", log_file="log", umask="0027") == []
    given = {"daemon": True, "pid_file": "pid", "log_file": "log", "access_log": "access"}
    assert remarks(place, **given) == []


def test_accounts(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (remark,) = remarks(place, user="no-such-user")
    assert "there is no user 'no-such-user'" in remark
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert remarks(place, user="root") == ["user: the application would run as root"]
    assert remarks(place, user="4000000", group="5") == []
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    (remark,) = remarks(place, user="root")
    assert "only root can become user root" in remark


def test_pid_files(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert remarks(place, pid_file="none/pid") == ["pid_file: there is no directory none; make it"]
    assert remarks(place, pid_file=".") == ["pid_file: . is a directory; name a file in it"]
    Path("pid").write_text(str(os.getppid()))
    assert remarks(place, pid_file="pid") == [
        f"pid_file: pid says that process {os.getppid()} serves now; stop it first"
    ]
    monkeypatch.setattr("os.access", lambda *_: False)
    assert remarks(place, pid_file="new") == ["pid_file: this user cannot create new"]


def test_log_files(place: Path) -> None:
    assert remarks(place, log_file="none/log") == ["log_file: there is no directory none; make it"]


def test_daemons(place: Path, pagi: Command) -> None:
    assert remarks(place, daemon=True, quiet=True) == [
        "access_log: a daemon has no standard error; name a file, or use --no-access-log",
        "daemon: without pid_file it is hard to find out which process to stop",
    ]
    Path("main.py").write_text("async def app(scope, receive, send): pass\n")
    result = pagi("check", "main:app", "--daemon")
    assert result.status == 3
    assert "daemon: nobody would see the server log; set log_file" in result.err
