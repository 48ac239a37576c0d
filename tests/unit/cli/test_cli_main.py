"""The program itself: commands, exit statuses, help, what is printed where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pagi.cli.main as program
from pagi.server.config import OPTIONS, effective, load
from pagi.server.config.kinds import Switch
from pagi.server.errors import EXIT_LISTENING, StartError
from tests.unit.cli.conftest import Command, Served, StandIn
from tests.unit.config.samples import companions, sample

APP = "async def app(scope, receive, send): pass\n"
SOURCE = Path(__file__).resolve().parents[3] / "src"


@pytest.fixture
def app(place: Path) -> str:
    """The name of an application in the current directory."""
    Path("main.py").write_text(APP)
    return "main:app"


# --- flags -----------------------------------------------------------------------------------

FLAGS = [(name, flag) for name, option in OPTIONS.items() for flag in option.flags]


@pytest.mark.parametrize(("name", "flag"), FLAGS)
def test_every_option_as_flag(
    name: str, flag: str, app: str, pagi: Command, served: list[Served]
) -> None:
    option = OPTIONS[name]
    text, value = sample(name)
    if name == "config_file":
        Path("other.toml").write_text("")
        text = value = "other.toml"
    if isinstance(option.kind, Switch):
        words = [flag if value else "--no-" + flag.removeprefix("--")]
    else:
        words = [flag, text]
    for companion, value_beside in companions(name).items():
        words += [OPTIONS[companion].flags[0], value_beside]
    assert pagi("run", app, *words).status == 0
    config = served[0].config
    assert next(v for o, v, _ in effective(config) if o.name == name) == value
    assert config.sources[name] == option.flags[0]


def test_repeated_and_cuddled_flags(app: str, pagi: Command, served: list[Served]) -> None:
    words = ["--listen", "127.0.0.1:1", "--listen", "[::1]:2,./a", "-w2", "-qlasyncio"]
    assert pagi("run", app, *words).status == 0
    config = served[0].config
    places = [str(place) for place in config.listening.listen]
    assert places == ["127.0.0.1:1", "[::1]:2", "unix:./a"]
    assert (config.process.workers, config.process.loop, config.logging.quiet) == (
        2,
        "asyncio",
        True,
    )


def test_no_access_log_and_no_config(app: str, pagi: Command, served: list[Served]) -> None:
    Path("pagi.toml").write_text("workers = 3\n")
    assert pagi("run", app, "--no-access-log", "--no-config").status == 0
    config = served[0].config
    assert config.logging.access_log is None
    assert config.sources["access_log"] == "--no-access-log"
    assert config.process.workers == 0
    result = pagi("run", app, "--no-access-log", "--access-log", "x")
    assert result.status == 2
    assert result.complaint == "--no-access-log and --access-log exclude each other; leave one away"


# --- mistakes --------------------------------------------------------------------------------

MISTAKES: list[tuple[list[str], int, str]] = [
    (["run"], 2, "nothing to serve; write pagi run module:attribute, pagi run path/to/file.py, "
                 "or pagi run -e CODE"),
    (["check"], 2, "nothing to check; write pagi check module:attribute, as for pagi run"),
    (["run", "main:app", "--prt", "1"], 2, "unknown option '--prt'; did you mean '--port'?"),
    (["run", "main:app", "--zzz"], 2, "unknown option '--zzz'; 'pagi run --help' lists all of "
                                      "them"),
    (["--prt"], 2, "unknown option '--prt'; "),
    (["run", "main:app", "--port"], 2, "option '--port' requires an argument; "
                                       "see 'pagi run --help'"),
    (["config", "--format", "xml"], 2, "invalid value for '--format'"),
    (["rn", "main:app"], 2, "there is no command 'rn'; did you mean 'run'?"),
    (["zzz"], 2, "there is no command 'zzz'; there are run, dev, check, config, cert, top"),
    (["main:app"], 2, "'main:app' is no command; to serve it write: pagi run main:app"),
    (["main.py"], 2, "'main.py' is no command; to serve it write: pagi run main.py"),
    (["run", "main:app", "--workers", "four"], 3, "workers: 'four' is not possible; write a number "
                                                  "from 0 to 1024, or auto (from --workers)"),
    (["run", "main:app", "-c", "none.toml"], 3, "none.toml: no such file or directory; "
                                                "name another file, or --no-config for none"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "status", "text"), MISTAKES)
def test_one_clear_line(
    words: list[str], status: int, text: str, app: str, pagi: Command, served: list[Served]
) -> None:
    result = pagi(*words)
    assert result.complaint.startswith(text)
    assert (result.status, result.out, served) == (status, "", [])


def test_all_impossible_values_are_told(app: str, pagi: Command) -> None:
    result = pagi("run", app, "--workers", "x", "--timeout", "y")
    assert result.status == 3
    assert [line[:20] for line in result.err.splitlines()] == [
        "pagi: workers: 'x' i",
        "pagi: keepalive_time",
    ]


def test_what_stops_the_server_is_one_line(app: str, pagi: Command, stand_in: StandIn) -> None:
    def run_loaded(*_: Any) -> int:
        raise StartError("port 80 is taken", EXIT_LISTENING)

    stand_in(run_loaded)
    result = pagi("run", app)
    assert (result.complaint, result.status) == ("port 80 is taken", 5)


@pytest.mark.parametrize(("outcome", "status"), [(0, 0), (6, 6), (KeyboardInterrupt(), 130)])
def test_the_status_of_the_server_is_passed_on(
    outcome: Any, status: int, app: str, pagi: Command, stand_in: StandIn
) -> None:
    def run_loaded(*_: Any) -> int:
        if isinstance(outcome, BaseException):
            raise outcome
        return int(outcome)

    stand_in(run_loaded)
    result = pagi("run", app)
    assert (result.status, result.out, result.err.strip()) == (status, "", "")


def test_a_variable_of_somebody_else_is_a_note(
    app: str, pagi: Command, served: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGI_SERVICE_HOST", "10.0.0.1")
    note = "note: PAGI_SERVICE_HOST is no option of this server and was left alone"
    assert pagi("run", app).complaint == note
    assert pagi("config").complaint == note
    assert pagi("run", app, "--quiet").err == ""


# --- help, version, configuration ------------------------------------------------------------


def test_help(pagi: Command) -> None:
    result = pagi()
    assert result.status == 2
    assert "check    Load an application and the configuration" in result.out
    assert pagi("--help") == (0, result.out, "")


def test_help_of_run_has_every_flag_under_a_heading(pagi: Command) -> None:
    result = pagi("run", "-h")
    assert (result.status, result.err) == (0, "")
    for option in OPTIONS.values():
        assert option.flags[0] in result.out
    for heading in ("Listening:", "Timeouts in seconds, 0 for none:", "Logging:"):
        assert heading in result.out


def test_version(pagi: Command) -> None:
    short = pagi("-v")
    assert (short.status, short.err) == (0, "")
    assert short.out.startswith("pagi ")
    result = pagi("version")
    facts = dict(line.split("  ", 1) for line in result.out.splitlines())
    assert result.status == 0
    assert facts["PAGI specification"].strip() == "1.0 (messages 1.0)"
    assert facts["Python"].strip().endswith(sys.version.split()[0])
    assert "compiled" in facts
    document = json.loads(pagi("version", "--format", "json").out)
    assert {*document, "in Python"} == set(facts)
    twins = document["compiled"]
    assert "protocol.http1.head" in twins
    assert set(facts["compiled"].strip().split(", ")) - {"nothing"} == {
        name for name, active in twins.items() if active
    }


def test_config_as_text(pagi: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGI_MAX_BODY_SIZE", "10MB")
    Path("pagi.toml").write_text("workers = 3\n")
    result = pagi("config", "main:app", "--port", "9", "--no-access-log")
    rows = {row[0]: row[1:] for row in (line.split() for line in result.out.splitlines())}
    assert result.status == 0
    assert list(rows) == list(OPTIONS)
    assert rows["port"] == ["9", "--port"]
    assert rows["max_body_size"] == ["10000000", "PAGI_MAX_BODY_SIZE"]
    assert rows["workers"] == ["3", "pagi.toml"]
    assert rows["access_log"] == ["none", "--no-access-log"]
    assert rows["root_path"] == ['""', "default"]
    assert rows["backlog"] == ["2048", "default"]


def test_config_as_json(pagi: Command) -> None:
    document = json.loads(pagi("config", "-p", "0", "--format", "json").out)
    assert document["port"] == {"value": 0, "source": "--port"}
    assert list(document) == list(OPTIONS)


@pytest.mark.parametrize(
    "words",
    [
        ["--port", "9", "--host", "::1"],
        ["--socket", "/run/a b.sock", "--socket-mode", "0660"],
        ["--fd", "3"],
        ["--listen", "127.0.0.1:1", "--listen", "unix:./x"],
        ["--no-access-log", "--max-body-size", "0", "--header-timeout", "0", "--no-date-header"],
        ["--server-header", 'a "quoted" \\ name é'],
    ],
)
def test_config_as_toml_gives_the_same_configuration(words: list[str], pagi: Command) -> None:
    before = load({}, environ={})
    printed = pagi("config", *words, "--format", "toml").out
    assert "# default" in printed
    Path("pagi.toml").write_text(printed, encoding="utf-8")
    again = pagi("config", "--format", "toml").out
    strip = [line.rpartition("  # ")[0] for line in printed.splitlines()]
    assert [line.rpartition("  # ")[0] for line in again.splitlines()] == strip
    assert load({}, environ={}) != before


def test_a_listener_with_a_mode_of_its_own_is_a_table(pagi: Command) -> None:
    line = 'listen = [{ socket = "/run/x", socket_mode = "0660" }, "127.0.0.1:1"]'
    Path("pagi.toml").write_text(line + "\n")
    assert line + "  # pagi.toml" in pagi("config", "--format", "toml").out.splitlines()


def test_colour_only_on_a_terminal(pagi: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_colourful", lambda: True)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    assert pagi("zzz").err.startswith("\x1b[31m\x1b[1mpagi:\x1b[0m ")
    monkeypatch.undo()


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert program._colourful()
    monkeypatch.setenv("NO_COLOR", "")
    assert not program._colourful()


# --- as a process ----------------------------------------------------------------------------


def run_process(*words: str, **keywords: Any) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PAGI_")}
    environ["PYTHONPATH"] = str(SOURCE)
    return subprocess.run(
        [sys.executable, "-m", "pagi", *words],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **keywords,
    )


def test_python_m_pagi(tmp_path: Path) -> None:
    result = run_process("run", "zzz:app", cwd=tmp_path)
    assert result.returncode == 4
    assert result.stderr.startswith("pagi: there is no module 'zzz'")
    assert "Traceback" not in result.stderr


def test_the_reader_of_the_output_may_leave(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = subprocess.run(
            [sys.executable, "-m", "pagi", "config"],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdout=writing,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (result.returncode, result.stderr) == (1, b"")


def test_help_imports_no_server(tmp_path: Path) -> None:
    code = (
        "import sys; from pagi.cli.main import main; main(['run', '--help'])\n"
        "bad = {'asyncio', 'ssl', 'tomllib', 'importlib.metadata', 'pagi.server.api', 'difflib'}\n"
        "print(sorted(bad & set(sys.modules)), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    assert result.stderr == "[]\n"


# --- pagi dev --------------------------------------------------------------------------------


def test_dev_is_run_with_other_defaults(
    app: str, pagi: Command, served: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAGI_ENV")
    assert pagi("dev", app).status == 0
    config = served[0][1]
    assert config.development.reload
    assert config.shows_errors
    assert config.application.validate_events
    assert config.logging.access_log_format == "tiny"
    assert (config.process.shutdown_grace, config.process.shutdown_timeout) == (1.0, 5.0)
    assert config.development.reload_dir == ()


def test_run_is_not(app: str, pagi: Command, served: list[Served]) -> None:
    assert pagi("run", app).status == 0
    assert not served[0][1].development.reload


def test_dev_heeds_what_is_said(app: str, pagi: Command, served: list[Served]) -> None:
    """The variable of the fixture says production."""
    assert pagi("dev", app, "--no-reload", "--access-log-format", "json").status == 0
    config = served[0][1]
    assert not config.development.reload
    assert config.logging.access_log_format == "json"
    assert config.application.env == "production"


@pytest.mark.parametrize(
    ("words", "directories"),
    [
        (["main:app"], ()),
        (["main.py"], ()),
        (["main:app", "--app-dir", "src"], ("src",)),
        (["src/main.py:app"], (".", "src")),
        (["src/main.py:app", "--reload-dir", "a", "--reload-dir", "b"], ("a", "b")),
    ],
)
def test_what_is_watched(
    words: list[str],
    directories: tuple[str, ...],
    place: Path,
    pagi: Command,
    stand_in: StandIn,
) -> None:
    seen: list[Any] = []
    stand_in(lambda _, config, read_again: seen.append(config) or 0)
    assert pagi("dev", *words).status == 0
    assert seen[0].development.reload_dir == directories


def test_a_default_is_not_read_again_as_what_was_said(
    app: str, pagi: Command, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAGI_ENV")
    monkeypatch.setattr("pagi.server.config.settings.sys.stdin", _Terminal())
    seen: list[Any] = []
    stand_in(lambda _, config, read_again: seen.extend((config, read_again())) or 0)
    assert pagi("run", app).status == 0
    for config in seen:
        assert config.application.env == "development"
        assert config.sources["env"] == "default"
        assert not config.shows_errors


class _Terminal:
    def isatty(self) -> bool:
        return True
