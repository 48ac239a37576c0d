"""README does what it says: its code runs, its commands work, its links lead somewhere."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SERVING = re.compile(r"(?:serving|listening) on ([^;]*)")
#: Nothing here takes long; what hangs is ended.
TIMEOUT = 30.0


def blocks(language: str) -> list[str]:
    return [code for name, code in _BLOCK.findall(TEXT) if name == language]


def shell_commands(program: str) -> list[str]:
    lines = [
        line[2:] for code in blocks("console") for line in code.splitlines() if line[:1] == "$"
    ]
    commands = [line.partition("#")[0].strip() for line in lines]
    return [command for command in commands if command.split()[0] == program]


TICKS = next(code for code in blocks("python") if "pagi.connection" in code)
SCRIPTS = [code for code in blocks("python")[1:] if code != TICKS]


def shown_answers() -> list[tuple[str, str]]:
    """Return the path of each ``curl`` with what is shown to come back."""
    found = re.findall(
        r"^\$ curl http://127\.0\.0\.1:8000(/\S*)\n((?:[^$\n].*\n)+)",
        "".join(blocks("console")),
        re.MULTILINE,
    )
    assert found
    return found


PAGI_COMMANDS = shell_commands("pagi")
SERVING = [
    command
    for command in PAGI_COMMANDS
    if command.split()[1] in ("run", "dev") and "main" in command
]
STREAMING = "pagi run ticks:app"
OTHERS = [command for command in PAGI_COMMANDS if command.split()[1] not in ("run", "dev")]


def environment() -> dict[str, str]:
    """Return the environment without options of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAGI_")}
    for name in ("PAGI_PURE_PYTHON",):
        if name in os.environ:
            kept[name] = os.environ[name]
    kept["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return kept


def argument_list(command: str) -> list[str]:
    return [sys.executable, "-m", "pagi", *shlex.split(command)[1:]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder in which README's applications are ``main.py`` and ``ticks.py``."""
    (tmp_path / "main.py").write_text(blocks("python")[0], encoding="utf-8")
    (tmp_path / "ticks.py").write_text(TICKS, encoding="utf-8")
    return tmp_path


@contextmanager
def serving(command: str, folder: Path, stdout: IO[str] | None = None) -> Iterator[list[str]]:
    """Run a ``pagi run …`` command on free ports and give the addresses it serves on."""
    anywhere = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", command)
    arguments = argument_list(re.sub(r"--admin \d+", "--admin 0", anywhere))
    if "--listen" not in command:
        arguments += ["--port", "0"]
    process = subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told = []
    try:
        for line in process.stderr:
            told.append(line)
            if match := _SERVING.search(line):
                yield match[1].strip().split(", ")
                break
        else:
            pytest.fail("".join(told))
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(TIMEOUT) == 0, rest
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(self.path))


def connect(address: str, folder: Path) -> http.client.HTTPConnection:
    if address.startswith("unix:"):
        return UnixConnection(folder / address.removeprefix("unix:"))
    port = int(address.rpartition(":")[2])
    return http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)


def test_the_application_is_short() -> None:
    lines = [line for line in blocks("python")[0].splitlines() if line]

    assert len(lines) <= 13


@pytest.mark.parametrize("command", SERVING)
def test_application_answers(command: str, folder: Path) -> None:
    with serving(command, folder) as addresses:
        for address in addresses:
            connection = connect(address, folder)
            connection.request("GET", "/some/where")
            response = connection.getresponse()

            assert response.status == 200
            assert response.read() == b"Hello! You asked for /some/where\n"
            connection.close()


@pytest.mark.parametrize("command", OTHERS)
def test_other_commands_succeed(command: str, folder: Path) -> None:
    done = subprocess.run(
        argument_list(command),
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize(("path", "shown"), shown_answers())
def test_answers_are_as_shown(path: str, shown: str, folder: Path) -> None:
    with serving("pagi run main:app", folder) as addresses:
        connection = connect(addresses[0], folder)
        connection.request("GET", path)

        assert connection.getresponse().read().decode() == shown
        connection.close()


def test_the_application_of_streams_learns_why_it_ended(folder: Path) -> None:
    assert STREAMING in PAGI_COMMANDS
    with (folder / "out").open("w+") as out:
        with serving(STREAMING, folder, stdout=out) as addresses:
            leaving, staying = (connect(addresses[0], folder) for _ in range(2))
            for connection in (leaving, staying):
                connection.request("GET", "/")
            first, second = (one.getresponse() for one in (leaving, staying))
            assert first.readline() == second.readline() == b"0 bytes behind\n"
            first.close()
            leaving.close()
            while "client_closed" not in (folder / "out").read_text(encoding="utf-8"):
                assert second.readline().endswith(b" bytes behind\n")
        assert second.read().endswith(b"The server stops. Goodbye!\n")
        staying.close()

    notes = (folder / "out").read_text(encoding="utf-8").splitlines()
    assert notes == ["ended: client_closed", "ended: well"]


@pytest.mark.parametrize("code", SCRIPTS, ids=range(len(SCRIPTS)))
def test_other_code_runs(code: str, folder: Path) -> None:
    (folder / "script.py").write_text(code, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )

    assert done.returncode == 0, done.stderr
    assert "serving on http://127.0.0.1:" in done.stdout


@pytest.mark.parametrize("command", shell_commands("make"))
def test_make_targets_exist(command: str) -> None:
    for target in command.split()[1:]:
        assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE), target


def test_other_targets_that_are_named_exist() -> None:
    named = set(re.findall(r"`make ([a-z-]+)`", TEXT))

    assert named
    for target in named:
        assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE), target


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md"]
)
def test_links_lead_to_files(name: str) -> None:
    document = ROOT / name
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8"))
    missing = [link for link in links if not (document.parent / link).exists()]

    assert missing == []


def test_markers_of_the_figures_stand_in_order() -> None:
    assert 0 < TEXT.index("<!-- figures:begin -->") < TEXT.index("<!-- figures:end -->")


def test_rows_of_each_table_are_whole() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE)

    assert len(tables) >= 2  # what it can do, and the figures
    for table in tables:
        assert len({row.count("|") for row in table.splitlines()}) == 1, table
