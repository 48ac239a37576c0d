"""The pid file: whose it is, and that it is never half written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pagi.server.errors import StartError
from pagi.server.worker.pid_file import PidFile, holder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pid"


def gone() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_written_and_removed(path: Path) -> None:
    file = PidFile(str(path))
    file.write()
    assert path.read_text() == f"{os.getpid()}\n"
    assert os.listdir(path.parent) == ["pid"]
    assert file.remove()
    assert not path.exists()
    assert file.remove()


def test_relative_to_where_the_server_began(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    file = PidFile("pid")
    file.write()
    monkeypatch.chdir("/")
    assert file.remove()
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "\n", "0", "nobody", "-1", "99999999999999999999"])
def test_a_file_that_names_no_process_is_replaced(text: str, path: Path) -> None:
    path.write_text(text)
    PidFile(str(path)).write()
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_file_of_a_process_that_is_gone_is_replaced(path: Path) -> None:
    path.write_text(f"{gone()}\n")
    PidFile(str(path)).write()
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_file_of_a_process_that_lives(path: Path) -> None:
    path.write_text(f"{os.getppid()}\n")
    file = PidFile(str(path))
    with pytest.raises(StartError, match=f"process {os.getppid()} serves already; stop it"):
        file.write()
    assert path.read_text() == f"{os.getppid()}\n"
    assert file.remove(), "there is nothing of ours to remove"
    assert path.exists()
    file.write(predecessor=os.getppid())
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_process_of_somebody_else_lives(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, number: int) -> None:
        raise PermissionError

    path.write_text("1")
    monkeypatch.setattr("os.kill", kill)
    assert holder(str(path)) == 1


def test_a_file_that_another_took_is_left(path: Path) -> None:
    file = PidFile(str(path))
    file.write()
    path.write_text("1\n")
    assert file.remove()
    assert path.exists()


def test_a_child_does_not_remove_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = PidFile(str(path))
    file.write()
    monkeypatch.setattr("os.getpid", lambda: 1)
    assert file.remove()
    assert path.exists()


def test_a_directory_that_is_not_there(path: Path) -> None:
    with pytest.raises(StartError, match=r"none/pid: No such file or directory"):
        PidFile(str(path.parent / "none" / "pid")).write()


def test_a_failure_leaves_no_draft(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(*_: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", replace)
    with pytest.raises(StartError, match="cannot write"):
        PidFile(str(path)).write()
    assert os.listdir(path.parent) == []


def test_it_stays_where_it_cannot_be_removed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlink(_: str) -> None:
        raise PermissionError

    file = PidFile(str(path))
    file.write()
    monkeypatch.setattr("os.unlink", unlink)
    assert not file.remove()
