"""`Development`, the defaults of ``pagi dev``, and who may see errors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pagi.server.config import Application, Config, ConfigError, load
from pagi.server.config.development import Words

WORDS = Words("patterns", "PATTERN")


def configured(given: dict[str, object] | None = None, **more: Any) -> Config:
    return load({"config_file": None, **(given or {})}, **{"environ": {}, **more})


def test_words() -> None:
    assert WORDS.read("a, b ,,") == ("a", "b")
    assert WORDS.read("none") == ()
    assert WORDS.accept(["a", "b"]) == ("a", "b")
    assert WORDS.show(("a", "b")) == "a,b"
    assert WORDS.show(()) == "none"
    assert WORDS.native(("a",)) == ["a"]


@pytest.mark.parametrize("value", [1, ["a", 1], ["a\n"], [""]])
def test_no_words(value: object) -> None:
    with pytest.raises(ValueError, match="list of patterns"):
        WORDS.accept(value)


def test_other_defaults_come_last(tmp_path: Path) -> None:
    file = tmp_path / "pagi.toml"
    file.write_text("access_log_format = 'json'\n")
    config = load(
        {"port": 1, "config_file": str(file)},
        environ={"PAGI_SHUTDOWN_GRACE": "2"},
        defaults={"access_log_format": "tiny", "shutdown_grace": 1.0, "port": 2, "reload": True},
        default_labels={"reload": "pagi dev"},
    )
    assert config.logging.access_log_format == "json"
    assert config.process.shutdown_grace == 2.0
    assert config.listening.port == 1
    assert config.development.reload
    assert config.sources["reload"] == "pagi dev"


def test_reload_and_preload_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match="use --no-preload"):
        configured({"reload": True, "preload": True})


def test_who_may_see_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    derived = configured()
    assert derived.application.env == "development"
    assert not derived.shows_errors, "a terminal is no proof"
    assert configured({"env": "development"}).shows_errors
    assert configured(environ={"PAGI_ENV": "development"}).shows_errors
    assert configured(defaults={"env": "development"}).shows_errors
    assert not configured({"env": "production"}).shows_errors
    assert not configured({"env": "none"}).shows_errors
    assert not Config().shows_errors
    assert Config(application=Application(env="development")).shows_errors
