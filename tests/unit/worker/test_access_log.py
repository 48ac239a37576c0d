"""`AccessLog`: batches, the owner's flush, and scopes that an application bent out of shape."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pagi.server.errors import StartError
from pagi.server.worker._access_log_py import BATCH
from pagi.server.worker.access_log import AccessLog

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "GET",
    "raw_path": b"/",
    "query_string": b"",
    "http_version": "1.1",
    "headers": [],
}


class Owner:
    """Counts how often a flush was asked for."""

    def __init__(self, path: Path, form: str = "%h %m %U %s %b") -> None:
        self.path = path
        self.asked = 0
        self.log = AccessLog(form, str(path), self.schedule)

    def schedule(self) -> None:
        self.asked += 1

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()


@pytest.fixture
def owner(tmp_path: Path) -> Any:
    owner = Owner(tmp_path / "access.log")
    yield owner
    owner.log.close()


def test_asks_once_per_batch_and_writes_on_flush(owner: Owner) -> None:
    for status in (200, 404):
        owner.log.log("a", SCOPE, status, 5, 0.1, None)
    owner.log.log_rejected("b", 400, "bad head")
    assert owner.asked == 1
    assert owner.lines() == []
    owner.log.flush()
    assert owner.lines() == ["a GET / 200 5", "a GET / 404 5", "b - - 400 -"]
    owner.log.log_rejected("b", 503, "full")
    assert owner.asked == 2
    owner.log.flush()
    owner.log.flush()
    assert len(owner.lines()) == 4


@pytest.mark.parametrize("rejected", [False, True])
def test_writes_by_itself_above_the_batch_size(owner: Owner, rejected: bool) -> None:
    count = 0
    while not owner.lines():
        count += 1
        if rejected:
            owner.log.log_rejected("client", 400, "")
        else:
            owner.log.log("client", SCOPE, 200, 5, 0.1, None)
        assert count < BATCH
    assert BATCH < owner.path.stat().st_size < BATCH + 100
    owner.log.log("client", SCOPE, 200, 5, 0.1, None)
    assert owner.asked == 2


def test_close_flushes_and_later_lines_are_no_error(owner: Owner) -> None:
    owner.log.log("a", SCOPE, 200, 5, 0.1, None)
    owner.log.close()
    assert owner.lines() == ["a GET / 200 5"]
    owner.log.log("a", SCOPE, 200, 5, 0.1, None)
    owner.log.flush()
    owner.log.close()
    assert len(owner.lines()) == 1


def test_reopen_follows_a_rotation(owner: Owner) -> None:
    owner.log.log("old", SCOPE, 200, 5, 0.1, None)
    rotated = owner.path.with_suffix(".1")
    owner.path.rename(rotated)
    owner.log.reopen()
    owner.log.log("new", SCOPE, 200, 5, 0.1, None)
    owner.log.flush()
    assert rotated.read_text() == "old GET / 200 5\n"
    assert owner.lines() == ["new GET / 200 5"]


def test_tick_sets_the_time(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "log", "%t")
    owner.log.tick(0)
    owner.log.log("a", SCOPE, 200, 5, 0.1, None)
    owner.log.tick(86400.5)
    owner.log.log("a", SCOPE, 200, 5, 0.1, None)
    owner.log.close()
    assert owner.lines() == ["01/Jan/1970:00:00:00 +0000", "02/Jan/1970:00:00:00 +0000"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"raw_path": "/text"}, "a GET - 200 5"),
        ({"raw_path": bytearray(b"/x")}, "a GET /x 200 5"),
        ({"raw_path": None}, "a GET - 200 5"),
        ({"query_string": None}, "a GET / 200 5"),
        ({"method": None}, "a - / 200 5"),
        ({"method": ["GET"]}, "a - / 200 5"),
        ({"method": b"GET"}, "a - / 200 5"),
        ({"headers": None}, "a GET / 200 5"),
    ],
)
def test_a_bent_scope_costs_only_its_parts(
    owner: Owner, changes: dict[str, Any], line: str
) -> None:
    owner.log.log("a", SCOPE | changes, 200, 5, 0.1, None)
    owner.log.flush()
    assert owner.lines() == [line]


@pytest.mark.parametrize("key", ["method", "raw_path", "query_string", "http_version", "headers"])
@pytest.mark.parametrize("form", ["combined", "json"])
def test_a_missing_key_is_no_error(tmp_path: Path, form: str, key: str) -> None:
    owner = Owner(tmp_path / "log", form)
    owner.log.log("a", {name: SCOPE[name] for name in SCOPE if name != key}, 200, 5, 0.1, None)
    owner.log.close()
    assert len(owner.lines()) == 1


@pytest.mark.parametrize(
    "headers", [[("referer", "text")], [(b"a",)], [1], [(b"a", object())], [("a", 5)]]
)
@pytest.mark.parametrize("form", ["combined", "json"])
def test_bent_headers_are_no_error(tmp_path: Path, form: str, headers: list[Any]) -> None:
    owner = Owner(tmp_path / "log", form)
    owner.log.log("a", SCOPE | {"headers": headers}, 200, 5, 0.1, None)
    owner.log.close()
    assert len(owner.lines()) == 1


def test_headers_as_lists_are_read(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "log", "%{Referer}i")
    owner.log.log("a", SCOPE | {"headers": [[b"referer", b"r"]]}, 200, 5, 0.1, None)
    owner.log.close()
    assert owner.lines() == ["r"]


def test_websocket_scope_has_no_method(owner: Owner) -> None:
    websocket = {name: SCOPE[name] for name in SCOPE if name != "method"} | {"type": "websocket"}
    owner.log.log("a", websocket, 101, 5, 0.1, None)
    owner.log.flush()
    assert owner.lines() == ["a GET / 101 5"]


@pytest.mark.parametrize(
    ("status", "given", "shown"),
    [
        (400, None, "protocol_error"),
        (408, None, "client_timeout"),
        (413, None, "body_too_large"),
        (503, None, None),
        (503, "server_shutdown", "server_shutdown"),
        (400, "read_error", "read_error"),
    ],
)
def test_reason_of_a_rejection(
    tmp_path: Path, status: int, given: str | None, shown: str | None
) -> None:
    owner = Owner(tmp_path / "log", "json")
    owner.log.log_rejected("a", status, "detail", given)
    owner.log.close()
    assert json.loads(owner.lines()[0])["reason"] == shown


def test_format_of_the_operator_may_hold_any_text(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "log", "é → %s")
    owner.log.log("a", SCOPE, 200, 5, 0.1, None)
    owner.log.close()
    assert owner.path.read_text("utf-8") == "é → 200\n"


def test_a_bad_format_opens_no_file(tmp_path: Path) -> None:
    with pytest.raises(StartError):
        AccessLog("%z", str(tmp_path / "log"), lambda: None)
    assert os.listdir(tmp_path) == []


def test_slow_reader_loses_lines_and_keeps_the_server() -> None:
    reading, writing = os.pipe()
    log = AccessLog("%U", writing, lambda: None)
    os.close(writing)
    big = SCOPE | {"raw_path": b"/" + b"x" * 4000}
    for _ in range(1000):
        log.log("a", big, 200, 5, 0.1, None)
    log.flush()
    assert log.dropped > 0
    received = bytearray(os.read(reading, 1 << 20))
    log.tick(0)  # the rest is offered again
    received += os.read(reading, 1 << 20)
    assert len(received) > 1 << 16
    os.close(reading)
    log.flush()
    log.tick(1)
    log.close()
