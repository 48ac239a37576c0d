"""`Poller` and `Gathering`: what has changed, and when it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pagi.server.supervisor import polling
from pagi.server.supervisor.polling import INTERVAL, LATEST, QUIET, Gathering, Poller, pause_after
from pagi.server.supervisor.watched import Watched


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "main.py"
    path.write_text("one")
    os.utime(path, (1000, 1000))
    return path


@pytest.fixture
def poller(file: Path) -> Poller:
    return Poller(Watched([str(file.parent)]))


def test_nothing_has_changed(poller: Poller) -> None:
    assert poller.count == 1
    assert poller.changed() == set()


def test_another_time(poller: Poller, file: Path) -> None:
    os.utime(file, ns=(1, 1000 * 10**9 + 1))
    assert poller.changed() == {str(file)}
    assert poller.changed() == set()


def test_another_size_at_the_same_time(poller: Poller, file: Path) -> None:
    file.write_text("two!")
    os.utime(file, (1000, 1000))
    assert poller.changed() == {str(file)}


def test_another_file_of_the_same_time_and_size(poller: Poller, file: Path) -> None:
    other = file.with_suffix(".draft")
    other.write_text("two")
    os.utime(other, (1000, 1000))
    other.replace(file)
    assert poller.changed() == {str(file)}


def test_new_and_gone(poller: Poller, file: Path) -> None:
    new = file.parent / "package" / "new.py"
    new.parent.mkdir()
    new.touch()
    file.unlink()
    assert poller.changed() == {str(file), str(new)}
    assert poller.count == 1


def test_what_a_watcher_before_may_have_missed(poller: Poller, file: Path) -> None:
    assert poller.newer(1000.5) == set()
    assert poller.newer(999.5) == {str(file)}


def test_a_link_to_nowhere(file: Path) -> None:
    (file.parent / "lost.py").symlink_to(file.parent / "nowhere.py")
    assert Poller(Watched([str(file.parent)])).count == 1


def test_there_is_a_limit(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "MAX_FILES", 3)
    for number in range(5):
        (file.parent / f"m{number}.py").touch()
    assert Poller(Watched([str(file.parent)])).count == 3


def test_looking_takes_a_small_part_of_the_time() -> None:
    assert pause_after(0.0) == INTERVAL
    for duration in (0.1, 1.0, 10.0):
        assert duration / pause_after(duration) <= 0.05


# --- gathering -------------------------------------------------------------------------------


def test_changes_are_told_when_it_is_quiet() -> None:
    gathering = Gathering()
    assert gathering.wait(0.0) is None
    assert gathering.take(0.0) == set()
    gathering.add({"a"}, 10.0)
    assert gathering.wait(10.0) == pytest.approx(QUIET)
    assert gathering.take(10.01) == set()
    gathering.add({"b"}, 10.04)
    gathering.add(set(), 10.06)
    assert gathering.take(10.04 + QUIET / 2) == set()
    assert gathering.take(10.04 + QUIET + 0.001) == {"a", "b"}
    assert gathering.wait(11.0) is None


def test_changes_without_end_are_told_all_the_same() -> None:
    gathering = Gathering()
    now, told = 100.0, None
    while told is None:
        gathering.add({"a"}, now)
        taken = gathering.take(now)
        told = now if taken else None
        now += QUIET / 2
        assert now < 100.0 + 2 * LATEST
    assert told == pytest.approx(100.0 + LATEST, abs=QUIET)
    gathering.add({"b"}, 200.0)  # the next ones wait for themselves
    assert gathering.take(200.0) == set()
