"""`OpenFiles` and `RegularFile`: what is opened, kept open, looked at again and closed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pagi.server.exchange._opening_py import MAX_KEPT
from pagi.server.exchange.opening import OpenFiles
from pagi.server.exchange.regular import RegularFile
from tests.unit.exchange.scene import Timers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def is_open(file: RegularFile, descriptor: int) -> bool:
    """Tell whether ``descriptor``, which ``file`` had, is open still."""
    if file.descriptor < 0:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(descriptor)
        return False
    os.fstat(descriptor)
    return True


def test_a_file_is_opened_once_and_closed_when_nobody_wants_it(path: Path) -> None:
    timers = Timers()
    files = OpenFiles(timers)
    file = files.take(str(path))
    descriptor = file.descriptor
    assert file.size == 7
    assert os.pread(descriptor, 100, 0) == b"content"

    assert files.take(str(path)) is file
    assert file.users == 2
    files.give_back(file)
    files.give_back(file)
    assert is_open(file, descriptor)
    assert timers.run() == [1.0]  # it was wanted until here
    assert files.take(str(path)) is file
    files.give_back(file)
    assert timers.run() == [1.0]
    assert is_open(file, descriptor)
    assert timers.run() == [1.0]
    assert not is_open(file, descriptor)
    assert timers.run() == []  # nothing is kept: nothing is left to do


def test_a_file_in_use_is_closed_when_it_is_given_back(path: Path) -> None:
    timers = Timers()
    files = OpenFiles(timers)
    file = files.take(str(path))
    descriptor = file.descriptor
    timers.run()
    timers.run()
    assert is_open(file, descriptor)
    other = files.take(str(path))
    assert other is not file
    files.give_back(file)
    assert not is_open(file, descriptor)
    files.give_back(other)
    assert is_open(other, other.descriptor)
    files.close()
    assert other.descriptor == -1


def test_the_path_may_be_of_any_kind(path: Path) -> None:
    files = OpenFiles(Timers())
    file = files.take(str(path))
    assert files.take(path) is file
    assert files.take(os.fsencode(path)).descriptor >= 0
    files.close()


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"changed")
    os.replace(other, path)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b" and more")


def touched(path: Path) -> None:
    os.utime(path, (1, 1))


def links_moved(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.with_name("target").write_bytes(b"content")
    path.symlink_to("target")


@pytest.mark.parametrize("change", [replaced, grown, touched, links_moved])
def test_a_file_that_changed_is_opened_anew(path: Path, change: Callable[[Path], None]) -> None:
    files = OpenFiles(Timers())
    file = files.take(str(path))
    descriptor = file.descriptor
    change(path)

    changed = files.take(str(path))

    assert changed is not file
    assert os.pread(changed.descriptor, 100, 0) == path.read_bytes()
    assert changed.size == path.stat().st_size
    assert is_open(file, descriptor)  # in use
    files.give_back(file)
    assert not is_open(file, descriptor)
    files.close()
    files.give_back(changed)
    assert changed.descriptor == -1


def test_a_file_that_is_gone_or_forbidden(path: Path) -> None:
    files = OpenFiles(Timers())
    files.give_back(files.take(str(path)))
    path.chmod(0)
    if os.geteuid():
        with pytest.raises(PermissionError):
            files.take(str(path))
    path.unlink()
    with pytest.raises(FileNotFoundError, match="file"):
        files.take(str(path))
    path.mkdir()
    with pytest.raises(OSError, match="not a regular file"):
        files.take(str(path))
    files.close()


def test_no_more_than_a_number_of_files_are_kept(tmp_path: Path) -> None:
    timers = Timers()
    files = OpenFiles(timers)
    opened = []
    for number in range(MAX_KEPT + 3):
        path = tmp_path / str(number)
        path.touch()
        opened.append(files.take(str(path)))
    for file in opened:
        files.give_back(file)
    assert [file.descriptor >= 0 for file in opened] == [True] * MAX_KEPT + [False] * 3
    files.close()
    assert all(file.descriptor == -1 for file in opened)


def test_nothing_is_kept_after_the_end(path: Path) -> None:
    timers = Timers()
    files = OpenFiles(timers)
    files.close()
    file = files.take(str(path))
    assert timers.run() == []
    files.give_back(file)
    assert file.descriptor == -1


def test_a_name_that_the_system_cannot_have() -> None:
    with pytest.raises(ValueError, match="null"):
        RegularFile("a\0b")


def test_opening_a_file_is_audited(path: Path) -> None:
    seen = []
    sys.addaudithook(lambda event, args: seen.append(args[0]) if event == "open" else None)
    RegularFile(str(path)).close()
    assert str(path) in seen
