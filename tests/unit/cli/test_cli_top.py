"""``pagi top``: where it looks, and what a frame holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pagi.cli.top_frame import frame, painted
from pagi.server.worker.admin_history import History
from pagi.server.worker.admin_status import status_document
from pagi.server.worker.scoreboard import DRAINING
from tests.unit.cli.conftest import Command
from tests.unit.worker.boards import Board, count


def told(board: Board, rows: int = 60, after: float = 2.0) -> dict[str, Any]:
    history = History(0.0)
    for second in (0, 1):
        history.add(board.view(second))
    count(board.slots[0], times=8, seconds=0.03)
    history.add(board.view(2))
    return status_document(board.view(after), history, 0.0, {}, rows)


def text(lines: list[Any], width: int = 200) -> str:
    return "\n".join(painted(line, width, colours=False) for line in lines)


def test_a_frame() -> None:
    board = Board(2)
    board.slots[0].connections, board.slots[0].memory = 1234, 48_000_000
    board.slots[1].open_sse = 7
    shown = text(frame(told(board), "127.0.0.1:9100"))
    assert shown.startswith("pagi ● ready  127.0.0.1:9100, up 2 s, generation 0")
    assert "requests 4.0" in shown
    assert "p50 3" in shown
    assert "ready 2 of 2" in shown
    assert "last minute  ▁█  at most 8.0" in shown
    first, second = (line for line in shown.splitlines() if line.strip()[:1] in ("1", "2"))
    assert first.split() == [
        *("1", "ready", "101", "0", "2", "s", "4.0", "1,234", "0", "0", "0"),
        *("48", "MB", "0", "ms", "0", "ms"),
    ]
    assert second.split()[9] == "7"


def test_columns_are_below_their_headings() -> None:
    lines = text(frame(told(Board(2)), "")).splitlines()
    heading = next(line for line in lines if "worker" in line and "state" in line)
    assert {len(line) for line in lines[lines.index(heading) :]} == {len(heading)}


def test_trouble_of_the_server_is_told() -> None:
    board = Board(1)
    board.site.state = DRAINING
    shown = text(frame(told(board), "p"))
    assert "draining" in shown.splitlines()[0]
    assert shown.splitlines()[1] == "the server is stopping"
    board = Board(1)
    shown = text(frame(told(board, after=40), "p"))
    assert "silent 40 s" in shown


def test_what_was_is_dim_when_nobody_answers() -> None:
    lines = frame(told(Board(1)), "p", "it does not answer")
    assert lines[1] == [("it does not answer", "bad")]
    assert {style for line in lines[2:] for _, style in line} == {"soft"}
    assert frame(None, "p", "it does not answer") == [[("it does not answer", "bad")]]


def test_without_history() -> None:
    assert "last minute" not in text(frame(told(Board(1), rows=0), "p"))
    board = Board(1)
    fresh = status_document(board.view(), History(0.0), 0.0, {}, 60)
    assert "requests –" in text(frame(fresh, "p"))


def test_lines_are_cut_and_coloured() -> None:
    line = [("abc", "bad"), ("def", ""), ("ghi", "good")]
    assert painted(line, 100, colours=False) == "abcdefghi"
    assert painted(line, 5, colours=False) == "abcde"
    assert painted(line, 7, colours=True) == "\x1b[1;31mabc\x1b[0mdef\x1b[32mg\x1b[0m"
    assert painted(line, 3, colours=True) == "\x1b[1;31mabc\x1b[0m"
    assert painted(line, 0, colours=True) == ""


# --- where it looks --------------------------------------------------------------------------


def test_the_place_is_needed(pagi: Command) -> None:
    result = pagi("top", "--once")
    assert result.status == 2
    for word in ("pagi top PLACE", "PAGI_ADMIN", "pagi.toml"):
        assert word in result.complaint


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("fd:3", "only the server knows fd:3"),
        ("0", "port 0"),
        ("none", "where is the admin listener?"),
        ("host:port", "'port' is not a port"),
        ("unix:", "is missing"),
    ],
)
def test_places_that_cannot_be(pagi: Command, place: str, said: str) -> None:
    result = pagi("top", place)
    assert result.status == 2
    assert said in result.complaint


def test_the_configuration_names_the_place(
    pagi: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "pagi.toml").write_text('admin = "unix:./file.sock"\n')
    result = pagi("top", "--once")
    assert result.status == 1
    assert result.complaint.startswith("unix:./file.sock does not answer")
    monkeypatch.setenv("PAGI_ADMIN", "unix:./variable.sock")
    assert pagi("top", "--once").complaint.startswith("unix:./variable.sock")
    assert pagi("top", "--once", "./word.sock").complaint.startswith("unix:./word.sock")


def test_a_listener_with_the_role_will_do(pagi: Command, place: Path) -> None:
    (place / "pagi.toml").write_text('listen = ["127.0.0.1:8000", "admin:unix:./role.sock"]\n')
    assert pagi("top", "--once").complaint.startswith("unix:./role.sock does not answer")
