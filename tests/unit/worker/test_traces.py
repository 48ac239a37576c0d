"""`read_traces`: frames, causes, and bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pagi.server.worker import traces
from pagi.server.worker.traces import read_traces, text_of


def caught(call: Any) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


def parse() -> None:
    json.loads("{")


def explain() -> None:
    try:
        parse()
    except ValueError as error:
        raise LookupError("no hay") from error


def test_frames_with_source_own_and_of_libraries() -> None:
    (trace,) = read_traces(caught(parse))
    assert (trace.relation, trace.name) == ("", "JSONDecodeError")
    first, second, *library = trace.frames
    assert (first.function, second.function) == ("caught", "parse")
    assert first.own
    assert second.own
    assert library
    assert not any(frame.own for frame in library)
    assert (second.line, '    json.loads("{")') in second.source
    assert len(second.source) == 11


def test_a_cause_and_what_was_being_handled() -> None:
    error = caught(explain)
    first, second = read_traces(error)
    assert (first.name, first.message) == ("LookupError", "no hay")
    assert (second.relation, second.name) == ("caused by", "JSONDecodeError")
    error.__cause__ = None
    error.__suppress_context__ = False
    assert read_traces(error)[1].relation == "while handling"
    error.__suppress_context__ = True
    assert len(read_traces(error)) == 1


def test_the_parts_of_a_group() -> None:
    group = ExceptionGroup("two", [ValueError("a"), KeyError("b")])
    assert [(trace.relation, trace.name) for trace in read_traces(group)] == [
        ("", "ExceptionGroup"),
        ("part 1 of 2", "ValueError"),
        ("part 2 of 2", "KeyError"),
    ]


def test_a_circle_of_causes() -> None:
    one, two = ValueError(), ValueError()
    one.__cause__, two.__cause__ = two, one
    assert len(read_traces(one)) == 2


def test_everything_is_bounded() -> None:
    def deeper(number: int) -> None:
        if number:
            deeper(number - 1)
        raise ValueError("x" * 100_000)

    error = caught(lambda: deeper(300))
    for number in range(50):
        cause = KeyError(number)
        cause.__cause__ = error
        error = cause
    found = read_traces(error)
    assert len(found) == traces.MAX_TRACES
    while isinstance(error, KeyError):
        assert error.__cause__ is not None
        error = error.__cause__
    (trace,) = read_traces(error)
    assert len(trace.frames) == traces.FIRST_FRAMES + traces.LAST_FRAMES
    assert trace.left_out == 303 - len(trace.frames)
    assert len(trace.message) == traces.MAX_MESSAGE + 1


def test_a_text_that_fails() -> None:
    class Bad(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    (trace,) = read_traces(Bad())
    assert trace.message == "(its text cannot be had: RuntimeError)"


def test_notes_belong_to_the_message() -> None:
    error = ValueError("a")
    error.add_note("look there")
    assert read_traces(error)[0].message == "a\nlook there"


def test_a_syntax_error_shows_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.py"
    path.write_text("one = 1\ntwo = = 2\n")
    error = caught(lambda: compile(path.read_text(), str(path), "exec"))
    (trace,) = read_traces(error)
    assert (trace.message, trace.frames[-1].line) == ("invalid syntax", 2)
    assert text_of([trace]).endswith("  bad.py:2\n    two = = 2\nSyntaxError: invalid syntax")


def test_text_leaves_libraries_out() -> None:
    text = text_of(read_traces(caught(explain)))
    lines = text.splitlines()
    assert lines[-1] == "LookupError: no hay"
    assert "-- which caused:" in lines
    assert any(line.startswith("  … ") and line.endswith(" of libraries") for line in lines)
    assert "decoder.py" not in text
    assert "decoder.py" in text_of(read_traces(caught(explain)), libraries=True)


def test_an_error_of_libraries_alone_is_shown_whole() -> None:
    error = caught(lambda: json.loads("{"))
    assert error.__traceback__ is not None
    library = error.__traceback__.tb_next
    assert library is not None
    error.__traceback__ = library.tb_next
    assert "decoder.py" in text_of(read_traces(error))
