"""`run_watcher`: what it says, with a library that says what the test wants."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pagi.server.supervisor.watched import Watched
from pagi.server.supervisor.watcher import MAX_NAMED, run_watcher

FAR_AWAY = 4e9


class Ends:
    """The channel of a watcher, and what it said."""

    def __init__(self) -> None:
        self.ours, self.its = socket.socketpair()
        self.link: Any = SimpleNamespace(channel=self.its)

    def words(self) -> list[dict[str, Any]]:
        """Return all that was said; it has ended."""
        self.its.close()
        with self.ours.makefile("rb") as file:
            return [json.loads(line) for line in file]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.ours.close()
    ends.its.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "main.py"
    path.touch()
    os.utime(path, (1000, 1000))
    return path


def use(monkeypatch: pytest.MonkeyPatch, watch: Any) -> None:
    library = None if watch is None else SimpleNamespace(watch=watch)
    monkeypatch.setitem(sys.modules, "watchfiles", library)


def test_without_the_library_it_looks(
    ends: Ends, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, None)
    ends.ours.shutdown(socket.SHUT_WR)
    assert run_watcher(Watched([str(file.parent)]), FAR_AWAY, ends.link) == 0
    assert ends.words() == [{"watching": 1, "polling": True, "limited": False}]


def test_what_is_newer_than_the_watcher_before_is_told_first(
    ends: Ends, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, None)
    ends.ours.shutdown(socket.SHUT_WR)
    run_watcher(Watched([str(file.parent)]), 999.0, ends.link)
    assert ends.words()[0] == {"changed": [str(file)], "count": 1}


def test_with_the_library_the_system_tells(
    ends: Ends, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def watch(*directories: str, **options: Any) -> Iterator[set[tuple[int, str]]]:
        asked.update(options, directories=directories)
        (file.parent / "new.py").touch()  # before it has begun to tell
        yield set()
        yield {(1, str(file))}
        yield {(1, f"{file.parent}/m{number:02}.py") for number in range(30)}
        ends.ours.shutdown(socket.SHUT_WR)
        yield set()
        raise AssertionError("it goes on without a supervisor")

    use(monkeypatch, watch)
    assert run_watcher(Watched([str(file.parent)]), FAR_AWAY, ends.link) == 0
    begin, missed, told, many = ends.words()
    assert begin == {"watching": 1, "polling": False, "limited": False}
    assert missed == {"changed": [str(file.parent / "new.py")], "count": 1}
    assert told == {"changed": [str(file)], "count": 1}
    assert (len(many["changed"]), many["count"]) == (MAX_NAMED, 30)
    assert asked["directories"] == (str(file.parent),)
    assert asked["watch_filter"](1, str(file))
    assert not asked["watch_filter"](1, str(file.parent / "notes.txt"))


def test_a_system_without_watches_left(
    ends: Ends, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def watch(*directories: str, **options: Any) -> Iterator[Any]:
        raise OSError("OS file watch limit reached")
        yield

    use(monkeypatch, watch)
    ends.ours.shutdown(socket.SHUT_WR)
    assert run_watcher(Watched([str(file.parent)]), FAR_AWAY, ends.link) == 0
    assert ends.words() == [{"watching": 1, "polling": True, "limited": False}]
    assert "OS file watch limit reached" in caplog.text


def test_a_supervisor_that_has_gone(
    ends: Ends, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, None)
    ends.ours.close()
    assert run_watcher(Watched([str(file.parent)]), 999.0, ends.link) == 0
