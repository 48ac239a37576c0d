"""The server log: both forms, colours, hostile text, and what `configure` leaves alone."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pagi.server.worker.logs import ERROR_LOGGER, SERVER_LOGGER, configure

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
log = logging.getLogger(SERVER_LOGGER)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    tree = logging.getLogger("pagi")
    before = (list(tree.handlers), tree.level, tree.propagate)
    yield
    tree.handlers[:], tree.level, tree.propagate = before
    tree.setLevel(before[1])


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def failure(text: str) -> BaseException:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


# --- text ------------------------------------------------------------------------------------


def test_text_record(out: io.StringIO) -> None:
    configure(stream=out)
    log.info("serving on %s", "http://127.0.0.1:8000")
    assert re.fullmatch(
        STAMP + r" \[\d+\] INFO    serving on http://127\.0\.0\.1:8000\n", out.getvalue()
    )


def test_text_keeps_words_of_all_languages(out: io.StringIO) -> None:
    configure(stream=out)
    log.warning("Ünïcode 日本")
    assert out.getvalue().endswith(" WARNING Ünïcode 日本\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\r\n2026-01-01 INFO forged", r"a\x0d\x0a2026-01-01 INFO forged"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("\u2028\u202e", r"\u2028\u202e"),
        ("\udcff", r"\udcff"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_text_escapes_what_is_not_printable(out: io.StringIO, text: str, shown: str) -> None:
    configure(stream=out)
    log.error("%s", text)
    assert out.getvalue().endswith(f" ERROR   {shown}\n")
    assert out.getvalue().count("\n") == 1


def test_text_traceback_and_detail_are_indented_and_escaped(out: io.StringIO) -> None:
    configure(stream=out)
    error = failure("bad\nforged \x1b[0m line")
    log.error("failed", exc_info=error, extra={"detail": "one\n\n\ttwo\x07"}, stack_info=True)
    first, *rest = out.getvalue().splitlines()
    assert first.endswith(" ERROR   failed")
    assert all(line.startswith("    ") for line in rest)
    assert rest[:2] == ["    one", r"        two\x07"]
    assert "    Traceback (most recent call last):" in rest
    assert r"    forged \x1b[0m line" in rest
    assert "    Stack (most recent call last):" in rest


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    configure(stream=terminal)
    log.warning("w")
    log.info("i")
    warning, info = terminal.getvalue().splitlines()
    assert "\x1b[33mWARNING\x1b[0m w" in warning
    assert "\x1b" not in info


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_declined(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    terminal = Terminal()
    configure(stream=terminal)
    log.warning("w")
    assert "\x1b" not in terminal.getvalue()


# --- JSON ------------------------------------------------------------------------------------


def test_json_record(out: io.StringIO) -> None:
    configure(format="json", stream=out)
    log.warning("%d connections", 3, extra={"port": 80, "peer": ("a", 1), "left": None})
    entry = json.loads(out.getvalue())
    assert re.fullmatch(STAMP, entry.pop("time"))
    assert isinstance(entry.pop("pid"), int)
    assert entry == {
        "level": "warning",
        "logger": "pagi.server",
        "message": "3 connections",
        "port": 80,
        "peer": ["a", 1],
        "left": None,
    }


def test_json_hostile_text_and_traceback_stay_on_one_line(out: io.StringIO) -> None:
    configure(format="json", stream=out)
    text = '\x1b[31m"\r\n\\\x00\xff\u2028\udcff'
    log.error("%s", text, exc_info=failure(text), stack_info=True)
    line = out.getvalue()
    assert line.count("\n") == 1
    assert line.isascii()
    assert line[:-1].isprintable()
    entry = json.loads(line)
    assert entry["message"] == text
    assert "ValueError" in entry["traceback"]
    assert entry["stack"].startswith("Stack")


def test_json_extra_cannot_pass_for_a_field_of_ours(out: io.StringIO) -> None:
    configure(format="json", stream=out)
    log.error("true", extra={"level": "debug", "time": "never"})
    entry = json.loads(out.getvalue())
    assert entry["level"] == "error"
    assert entry["extra_level"] == "debug"
    assert entry["extra_time"] == "never"


@pytest.mark.parametrize(
    "value", [object, {1, 2}, b"raw", float("nan"), {(1, 2): 3}, [float("inf")]]
)
def test_json_takes_any_extra(out: io.StringIO, value: Any) -> None:
    configure(format="json", stream=out)
    log.error("m", extra={"value": value, "port": 80})
    entry = json.loads(out.getvalue())
    assert entry["value"] == repr(value)
    assert entry["port"] == 80


def test_json_takes_a_structure_within_itself(out: io.StringIO) -> None:
    configure(format="json", stream=out)
    loop: list[Any] = []
    loop.append(loop)
    log.error("m", extra={"value": loop})
    assert json.loads(out.getvalue())["value"] == "[[...]]"


# --- configure -------------------------------------------------------------------------------


def test_levels_and_quiet(out: io.StringIO) -> None:
    configure("warning", stream=out)
    log.info("no")
    log.warning("yes")
    configure("debug", quiet=True, stream=out)
    log.warning("no")
    log.error("yes")
    logging.getLogger(ERROR_LOGGER).error("yes")
    assert [line.split()[-1] for line in out.getvalue().splitlines()] == ["yes"] * 3


def test_again_replaces_and_leaves_other_handlers(out: io.StringIO) -> None:
    tree = logging.getLogger("pagi")
    other = logging.NullHandler()
    tree.addHandler(other)
    for _ in range(3):
        configure(stream=out)
    log.error("once")
    assert out.getvalue().count("once") == 1
    assert other in tree.handlers


def test_root_logger_is_left_alone(out: io.StringIO) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    seen = io.StringIO()
    handler = logging.StreamHandler(seen)
    configure(stream=out)
    assert (root.handlers, root.level) == before
    root.addHandler(handler)
    log.error("not twice")
    root.removeHandler(handler)
    assert seen.getvalue() == ""


def test_default_stream_is_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    log.error("here")
    assert capsys.readouterr().err.endswith(" here\n")


@pytest.mark.parametrize(("level", "form"), [("loud", "text"), ("info", "xml")])
def test_unknown_values(level: str, form: Any) -> None:
    with pytest.raises(ValueError, match=r"unknown log (level|format) '(loud|xml)'; there are"):
        configure(level, form)


def test_import_is_cheap() -> None:
    program = (
        "import sys, pagi.server.worker.logs\n"
        "print(sorted({'asyncio', 'inspect', 'json', 'socket', 'ssl'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# --- for people ------------------------------------------------------------------------------


def test_short_lines_for_people(out: io.StringIO) -> None:
    configure(format="terminal", stream=out)
    log.info("ready\x1b[2J")
    log.warning("hm", extra={"detail": "one\n\ntwo"})
    first, *others = out.getvalue().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d ready\\x1b\[2J", first)
    assert [line.split(" ", 1)[1] for line in others[:1]] == ["warning: hm"]
    assert others[1:] == ["    one", "    two"]


def test_people_get_what_is_theirs_of_a_traceback(out: io.StringIO) -> None:
    configure(format="terminal", stream=out)
    try:
        json.loads("{")
    except ValueError:
        log.exception("it failed")
    text = out.getvalue()
    assert "error: it failed\n" in text
    assert "test_logs.py:" in text
    assert "decoder.py" not in text
    assert "of libraries" in text


def test_people_get_colours_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    configure(format="terminal", stream=terminal)
    log.error("no")
    assert re.fullmatch(r"\x1b\[2m[\d:]+\x1b\[0m \x1b\[31merror: \x1b\[0mno\n", terminal.getvalue())
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    configure(format="terminal", stream=terminal)
    log.error("no")
    assert "\x1b" not in terminal.getvalue()
