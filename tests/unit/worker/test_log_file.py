"""The server log in a file."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pagi.server.errors import StartError
from pagi.server.worker.log_file import LogFile, reopen_log_file
from pagi.server.worker.logs import configure

log = logging.getLogger("pagi.server")


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    tree = logging.getLogger("pagi")
    before = (list(tree.handlers), tree.level, tree.propagate)
    yield
    for handler in tree.handlers:
        if isinstance(handler, LogFile):
            handler.close()
    tree.handlers[:], tree.level, tree.propagate = before
    tree.setLevel(before[1])


def test_records_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    configure(path=str(path))
    log.info("serving \udc80")
    first, second = path.read_text().splitlines()
    assert first == "before"
    assert second.endswith("INFO    serving \\udc80")


def test_others_cannot_read_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    configure(path=str(path))
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


def test_as_json(tmp_path: Path) -> None:
    path = tmp_path / "log"
    configure(path=str(path), format="json")
    log.info("x")
    assert path.read_text().startswith("{")


def test_it_is_reopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    configure(path="log")
    log.info("one")
    monkeypatch.chdir("/")
    (tmp_path / "log").rename(tmp_path / "old")
    log.info("two")
    reopen_log_file()
    log.info("three")
    assert "two" in (tmp_path / "old").read_text()
    assert (tmp_path / "log").read_text().endswith("three\n")


def test_it_is_kept_where_it_cannot_be_reopened(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "log"
    path.parent.mkdir()
    configure(path=str(path))
    moved = tmp_path / "moved"
    path.parent.rename(moved)
    reopen_log_file()
    assert "cannot reopen" in (moved / "log").read_text()


def test_it_cannot_be_opened(tmp_path: Path) -> None:
    configure(path=str(tmp_path / "log"))
    with pytest.raises(
        StartError, match="log_file: cannot open .*none/log: No such file"
    ) as caught:
        configure(path=str(tmp_path / "none" / "log"))
    assert caught.value.exit_status == 3
    log.info("the old one is still there")
    assert "still there" in (tmp_path / "log").read_text()


def test_configuring_again_closes_it(tmp_path: Path) -> None:
    configure(path=str(tmp_path / "log"))
    (handler,) = [h for h in logging.getLogger("pagi").handlers if isinstance(h, LogFile)]
    configure()
    log.debug("x")
    handler.close()
    assert handler not in logging.getLogger("pagi").handlers


def test_a_full_disk_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> int:
        raise OSError(28, "No space left on device")

    configure(path=str(tmp_path / "log"))
    monkeypatch.setattr("os.write", write)
    log.info("lost")


def test_a_record_that_cannot_be_formatted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(path=str(tmp_path / "log"))
    log.info("%d", "x")
    log.info("next")
    assert "Logging error" in capsys.readouterr().err
    assert os.path.getsize(tmp_path / "log")
