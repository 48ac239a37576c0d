"""`load`: four places, their precedence, and every mistake told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pagi.server.config import OPTIONS, Config, ConfigError, Listen, effective, load
from tests.unit.config.samples import companions, sample


def value_of(config: Config, name: str) -> Any:
    return next(value for option, value, _ in effective(config) if option.name == name)


IN_FILE = [name for name, option in OPTIONS.items() if option.declared.in_file]
NAMES = [(name, alias) for name in IN_FILE for alias in OPTIONS[name].names]


@pytest.mark.parametrize(("name", "alias"), NAMES)
def test_every_option_as_keyword(name: str, alias: str, tmp_path: Path) -> None:
    text, value = sample(name)
    for given in (text, value):
        config = load({**companions(name), alias: given}, environ={}, directory=str(tmp_path))
        assert value_of(config, name) == value
        assert config.sources[name] == "keyword"


@pytest.mark.parametrize(("name", "alias"), NAMES)
def test_every_option_as_variable(name: str, alias: str, tmp_path: Path) -> None:
    text, value = sample(name)
    variable = "PAGI_" + alias.upper()
    config = load(companions(name), environ={variable: text}, directory=str(tmp_path))
    assert value_of(config, name) == value
    assert config.sources[name] == variable


@pytest.mark.parametrize("file", ["pagi.toml", "pyproject.toml"])
@pytest.mark.parametrize(("name", "alias"), NAMES)
def test_every_option_in_the_file(name: str, alias: str, file: str, tmp_path: Path) -> None:
    text, value = sample(name)
    table = "" if file == "pagi.toml" else "[tool.pagi]\n"
    path = tmp_path / file
    for key, stated in ((alias, text), (alias.replace("_", "-"), OPTIONS[name].kind.native(value))):
        path.write_text(f"{table}{key} = {json.dumps(stated)}\n")
        config = load(companions(name), environ={}, directory=str(tmp_path))
        assert value_of(config, name) == value
        assert config.sources[name] == str(path)
        assert config.config_file == str(path)


def test_precedence(tmp_path: Path) -> None:
    (tmp_path / "pagi.toml").write_text(
        "max_header_count = 1\nbacklog = 1\nworkers = 1\nport = 1\n"
    )
    variables = {"PAGI_MAX_HEADER_COUNT": "2", "PAGI_BACKLOG": "2", "PAGI_PORT": "2"}
    config = load(
        {"max_header_count": "3", "port": "3"},
        labels={"max_header_count": "--max-header-count", "port": "--port"},
        environ=variables,
        directory=str(tmp_path),
    )
    assert (config.http1.max_header_count, config.sources["max_header_count"]) == (
        3,
        "--max-header-count",
    )
    assert (config.listening.backlog, config.sources["backlog"]) == (2, "PAGI_BACKLOG")
    assert (config.process.workers, config.sources["workers"]) == (1, str(tmp_path / "pagi.toml"))
    assert config.sources["host"] == "default"


def test_labels_are_relative_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pagi.toml").write_text("workers = 3\n")
    assert load(environ={}).sources["workers"] == "pagi.toml"
    absolute = load({"config_file": tmp_path / "pagi.toml"}, environ={})
    assert absolute.sources["workers"] == "pagi.toml"


def test_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PAGI_WORKERS", "3")
    assert load(directory=str(tmp_path)).process.workers == 3


# --- the file --------------------------------------------------------------------------------


def test_pagi_toml_goes_before_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pagi.toml").write_text("workers = 3\n")
    (tmp_path / "pyproject.toml").write_text("[tool.pagi]\nworkers = 4\n")
    assert load(environ={}, directory=str(tmp_path)).process.workers == 3


@pytest.mark.parametrize("text", ["[project]\nname = 'x'\n", "[tool.pagix]\na = 1\n", ""])
def test_a_pyproject_of_others_is_left_alone(text: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert load(environ={}, directory=str(tmp_path)).config_file is None


def test_naming_and_refusing_the_file(tmp_path: Path) -> None:
    (tmp_path / "pagi.toml").write_text("workers = 3\n")
    other = tmp_path / "other.toml"
    other.write_text("workers = 5\n")
    by_variable = {"PAGI_CONFIG_FILE": str(other)}
    assert load(environ=by_variable, directory=str(tmp_path)).process.workers == 5
    config = load({"config_file": None}, environ=by_variable, directory=str(tmp_path))
    assert (config.process.workers, config.config_file) == (0, None)


def problems(*arguments: Any, **keywords: Any) -> tuple[str, ...]:
    keywords.setdefault("environ", {})
    keywords.setdefault("directory", "/nonexistent")
    with pytest.raises(ConfigError) as caught:
        load(*arguments, **keywords)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "max_conections = 1",
            "F: unknown option 'max_conections'; did you mean 'max_connections'?",
        ),
        (
            "max-conections = 1",
            "F: unknown option 'max-conections'; did you mean 'max_connections'?",
        ),
        ("zzzz = 1", "F: unknown option 'zzzz'; 'pagi run --help' lists all of them"),
        ("[timeouts]\nx = 1", "F: [timeouts] is unknown; write the options without sections"),
        ("config_file = 'x'", "F: 'config_file' cannot be set in the file; use --config"),
        ("workers = 1.5", "workers: 1.5 is not possible; write a number from 0 to 1024, or auto"),
        ("socket_mode = 660", 'socket_mode: 660 is not text; write the mode in quotes: "0660"'),
        ("timeout = 1\nkeepalive_timeout = 2", "keepalive_timeout: given twice, by F and by F;"),
        ("workers = ", "F: not valid TOML: Invalid value"),
    ],
)
def test_mistakes_in_the_file(content: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "pagi.toml"
    path.write_text(content + "\n")
    (problem,) = problems(directory=str(tmp_path))
    assert problem.startswith(expected.replace("F", str(path)) if "F" in expected else expected)


def test_a_value_of_the_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "pagi.toml").write_text("workers = -1\n")
    (problem,) = problems(directory=str(tmp_path))
    assert problem.endswith(f"(from {tmp_path / 'pagi.toml'})")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (problem,) = problems({"config_file": "/nonexistent/x.toml"})
    assert problem == (
        "/nonexistent/x.toml: no such file or directory; name another file, or --no-config for none"
    )
    (tmp_path / "latin.toml").write_bytes(b"server_header = '\xe9'\n")
    assert "not valid TOML" in problems({"config_file": str(tmp_path / "latin.toml")})[0]
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    assert "no table [tool.pagi]" in problems({"config_file": str(tmp_path / "pyproject.toml")})[0]


def test_a_broken_pyproject_that_means_us_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pagi]\nworkers = \n")
    assert "not valid TOML" in problems(directory=str(tmp_path))[0]


# --- keywords and variables ------------------------------------------------------------------


def test_all_mistakes_are_told_at_once() -> None:
    told = problems(
        {"max_conections": 1, "workers": "four", "backlog": 0},
        labels={"workers": "--workers"},
        environ={"PAGI_TIMEOUT": "soon", "PAGI_MAX_BODYSIZE": "1"},
    )
    assert told == (
        "unknown option 'max_conections'; did you mean 'max_connections'?",
        "workers: 'four' is not possible; write a number from 0 to 1024, or auto (from --workers)",
        "backlog: 0 is not possible; write a whole number of at least 1 and at most 65535",
        "unknown variable PAGI_MAX_BODYSIZE; did you mean PAGI_MAX_BODY_SIZE?",
        "keepalive_timeout: 'soon' is not a time; write a number of seconds such as 30 or 0.5, "
        "or 0 for no limit (from PAGI_TIMEOUT)",
    )


def test_variables_of_others_are_noted(tmp_path: Path) -> None:
    environ = {"PAGI_PURE_PYTHON": "1", "PAGI_SERVICE_HOST": "10.0.0.1", "PATH": "/bin"}
    config = load(environ=environ, directory=str(tmp_path))
    assert config.notes == ("PAGI_SERVICE_HOST is no option of this server and was left alone",)


def test_alias_and_name_together() -> None:
    environ = {"PAGI_TIMEOUT": "1", "PAGI_KEEPALIVE_TIMEOUT": "2"}
    assert problems(environ=environ) == (
        "keepalive_timeout: given twice, by PAGI_KEEPALIVE_TIMEOUT and by PAGI_TIMEOUT; "
        "leave one away",
    )


def test_water_marks_in_the_wrong_order() -> None:
    (problem,) = problems({"write_high_watermark": "1KiB"})
    assert problem.startswith("write_low_watermark: 16384 is above write_high_watermark (1024)")
    equal = {"write_high_watermark": 1024, "write_low_watermark": 1024}
    assert load(equal, environ={}, directory="/nonexistent").flow.write_low_watermark == 1024


# --- where to listen -------------------------------------------------------------------------


def listens(given: dict[str, Any], environ: dict[str, str], directory: Path) -> str:
    config = load(given, environ=environ, directory=str(directory))
    return ",".join(map(str, config.listening.addresses()))


def test_the_highest_source_says_where_to_listen(tmp_path: Path) -> None:
    (tmp_path / "pagi.toml").write_text('listen = ["127.0.0.1:1", "127.0.0.1:2"]\n')
    assert listens({}, {}, tmp_path) == "127.0.0.1:1,127.0.0.1:2"
    assert listens({}, {"PAGI_HOST": "::"}, tmp_path) == "[::]:8000"
    assert listens({"socket": "/x"}, {"PAGI_HOST": "::"}, tmp_path) == "unix:/x"
    assert listens({"fd": 0}, {"PAGI_SOCKET": "/x"}, tmp_path) == "fd:0"
    assert listens({"port": 0}, {"PAGI_FD": "3"}, tmp_path) == "127.0.0.1:0"


def test_host_and_port_join_across_sources(tmp_path: Path) -> None:
    (tmp_path / "pagi.toml").write_text('host = "::1"\n')
    assert listens({"port": 9}, {}, tmp_path) == "[::1]:9"


def test_switching_a_place_off_names_none(tmp_path: Path) -> None:
    assert listens({"socket": None, "listen": (), "port": 9}, {}, tmp_path) == "127.0.0.1:9"


def test_two_places_from_one_source() -> None:
    (problem,) = problems({"host": "::", "port": 1, "socket": "/x"})
    assert (
        problem == "host, port and socket: only one of these says where to listen; leave one away"
    )
    (problem,) = problems(environ={"PAGI_FD": "3", "PAGI_LISTEN": "a:1"})
    assert problem.startswith("PAGI_FD and PAGI_LISTEN: only one")
    (problem,) = problems({"port": 1, "fd": 3}, labels={"port": "--port", "fd": "--fd"})
    assert problem.startswith("--port and --fd: only one")


def test_a_place_named_twice() -> None:
    (problem,) = problems({"listen": ["a:1", "fd:3", "a:1"]})
    assert problem == "listen: a:1 is named twice; leave one away"
    twice = load({"listen": ["a:0", "a:0"]}, environ={}, directory="/nonexistent")
    assert twice.listening.listen == (Listen.tcp("a", 0),) * 2
    (problem,) = problems({"listen": ["a:1", "plain:a:1"]})
    assert problem == "listen: a:1 is named twice; leave one away"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ssl_key": "/k"}, "ssl_key: there is no certificate; set ssl_cert"),
        ({"ssl_ca": "/k"}, "ssl_ca: there is no certificate"),
        ({"ssl_sni": "a=/k"}, "ssl_sni: there is no certificate"),
        ({"listen": "redirect:a:1"}, "redirect:a:1 leads nowhere"),
        ({"listen": "redirect:a:1,plain:a:2", "ssl_cert": "/c"}, "redirect:a:1 leads nowhere"),
        ({"listen": {"fd": 3, "ssl_key": "/k"}}, "fd:3 has options of TLS but no certificate"),
    ],
)
def test_what_would_be_served_without_tls_by_mistake(given: dict[str, Any], words: str) -> None:
    (problem,) = problems(given)
    assert words in problem


@pytest.mark.parametrize(
    "given",
    [
        {"listen": "redirect:a:1", "redirect_port": 443},
        {"listen": "redirect:a:1,a:2", "ssl_cert": "/c"},
        {"listen": ["redirect:a:1", {"fd": 3, "ssl_cert": "/c"}]},
        {"listen": [{"fd": 3, "ssl_cert": "/c"}, {"fd": 4, "ssl_cert": "/d"}], "ssl_key": "/k"},
    ],
)
def test_listeners_with_tls_and_without(given: dict[str, Any]) -> None:
    config = load(given, environ={}, directory="/nonexistent")
    speaks = [config.tls_of(listen) is not None for listen in config.listening.addresses()]
    roles = [listen.role for listen in config.listening.addresses()]
    assert [role == "serve" for role in roles] == speaks or "redirect_port" in given


def test_nothing_is_left_behind_in_the_environment() -> None:
    before = dict(os.environ)
    load({"env": "development"}, environ={}, directory="/nonexistent")
    assert dict(os.environ) == before
