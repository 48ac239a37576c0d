"""The tables of options of other servers name options that this one has, and all of theirs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click
import pytest

from pagi.cli.options import server_options, target_options

pytestmark = pytest.mark.once

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "migrate.md").read_text("utf-8")
SERVERS = ("uvicorn", "hypercorn", "gunicorn")
FLAGS = {
    flag
    for parameter in (*server_options(), *target_options())
    if isinstance(parameter, click.Option)
    for flag in (*parameter.opts, *parameter.secondary_opts)
} | {"--version"}
_DEFINED = re.compile(r"^\s{2,4}(-.*)$", re.MULTILINE)
_FLAG = re.compile(r"(?<![\w-])(--[a-z][\w-]*|-[a-zA-Z])(?![\w-])")


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def rows(server: str) -> Iterator[list[str]]:
    """Yield the cells of the tables about a server."""
    for line in TEXT[TEXT.index(f"## From {server}") :].splitlines()[1:]:
        if line.startswith("## "):
            break
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").replace("\\|", "¦").split("|")]


ROWS = [row for server in SERVERS for row in rows(server)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_is_named_here_exists(row: list[str]) -> None:
    theirs, ours, remark = row
    named = code(ours)

    assert named or ours in ("not needed", "not there")
    assert set(named) <= FLAGS
    # A remark may repeat their name to say that it is another thing here.
    flags = {word for word in code(remark) if _FLAG.fullmatch(word)}
    assert flags - set(code(theirs)) <= FLAGS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_is_not_there_is_not_there(row: list[str]) -> None:
    theirs, ours, _ = row
    if ours == "not there":
        shared = {name for name in code(theirs) if name in FLAGS}
        # The names that mean something else here are told of.
        assert shared <= {"--interface", "-e", "--env"}


def test_every_other_flag_that_is_named_exists() -> None:
    introduction = TEXT[: TEXT.index("## From uvicorn")]
    named = {word for cell in code(introduction) for word in _FLAG.findall(cell)}

    assert named <= FLAGS


@pytest.mark.parametrize("server", SERVERS)
def test_no_option_is_forgotten(server: str) -> None:
    known = re.findall(rf"\b{server} (\d+\.\d+)", TEXT)[0]
    try:
        installed = version(server)
    except PackageNotFoundError:
        pytest.skip("it is not installed")
    if not installed.startswith(f"{known}."):
        pytest.skip(f"the page is about {known}")
    module = {"gunicorn": "gunicorn.app.wsgiapp"}.get(server, server)
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, timeout=30
    )
    defined = {
        flag
        for line in _DEFINED.findall(done.stdout)
        for flag in _FLAG.findall(re.split(r"\s{2,}", line)[0])
    } - {"-h", "--help", "-v"}
    told = {word for row in rows(server) for word in code(row[0])}

    assert len(defined) > 30
    assert defined - told - {"--version"} == set()
    assert {word for word in told if word.startswith("-")} - defined == set()
