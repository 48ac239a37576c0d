"""The slices, and the catalogue made from them."""

from __future__ import annotations

import pickle
import resource
import sys
from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest

from pagi.protocol.http1.limits import HTTP1Limits
from pagi.protocol.websocket.limits import WebSocketLimits
from pagi.server.config import (
    OPTION_NAMES,
    OPTIONS,
    SLICES,
    Config,
    Listen,
    Listening,
    Logging,
    effective,
    load,
)
from pagi.server.config.kinds import Choice
from pagi.server.config.proxies import ForwardedFamily
from pagi.server.config.settings import HTTP1_DECLARATIONS, WEBSOCKET_DECLARATIONS
from pagi.server.config.tls import ClientVerification, MinimumVersion


@pytest.mark.parametrize("name", SLICES)
def test_every_slice_is_made_without_arguments_and_frozen(name: str) -> None:
    made = SLICES[name]()
    assert made == getattr(Config(), name)
    assert not hasattr(made, "__dict__")
    with pytest.raises(FrozenInstanceError):
        setattr(made, fields(made)[0].name, 1)


def test_every_field_of_every_slice_is_an_option() -> None:
    for name, slice_type in SLICES.items():
        for field in fields(slice_type):
            if name == "http2_limits" and field.name in HTTP1_DECLARATIONS:
                continue  # one option for both versions
            options = [o for o in OPTIONS.values() if (o.slice_name, o.field) == (name, field.name)]
            assert len(options) == 1, field.name
    assert set(HTTP1_DECLARATIONS) == {field.name for field in fields(HTTP1Limits)}
    assert set(WEBSOCKET_DECLARATIONS) == {field.name for field in fields(WebSocketLimits)}


def test_names_flags_and_variables_are_unique() -> None:
    assert len(OPTION_NAMES) == sum(len(option.names) for option in OPTIONS.values())
    flags = [flag for option in OPTIONS.values() for flag in option.flags]
    flags += [o.declared.off_flag for o in OPTIONS.values() if o.declared.off_flag]
    assert len(flags) == len(set(flags))
    taken_by_the_command_line = {"-e", "-M", "-I", "--lib", "--factory", "-h", "-v"}
    assert not set(flags) & taken_by_the_command_line


@pytest.mark.parametrize("name", OPTIONS)
def test_every_default_is_possible_and_every_help_a_sentence(name: str) -> None:
    option = OPTIONS[name]
    if option.default is not None:
        assert option.kind.accept(option.default) == option.default
    assert option.declared.help[0].isupper()
    assert option.declared.help.endswith(".")
    assert bool(option.declared.derive) <= bool(option.declared.derived)


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        ("-o", "host"),
        ("-p", "port"),
        ("-b", "backlog"),
        ("--listener-backlog", "backlog"),
        ("-w", "workers"),
        ("-l", "loop"),
        ("-q", "quiet"),
        ("-E", "env"),
        ("-c", "config_file"),
        ("--config", "config_file"),
        ("--timeout", "keepalive_timeout"),
        ("--max-header-size", "max_head_size"),
        ("--max-header-count", "max_header_count"),
        ("--lifespan", "lifespan"),
    ],
)
def test_flags_known_from_elsewhere(flag: str, name: str) -> None:
    assert flag in OPTIONS[name].flags


def test_words_of_choices_are_those_of_the_types() -> None:
    words = {name: o.kind.words for name, o in OPTIONS.items() if isinstance(o.kind, Choice)}
    assert words == {
        "ssl_verify_client": get_args(ClientVerification),
        "ssl_min_version": get_args(MinimumVersion),
        "loop": ("auto", "asyncio", "uvloop"),
        "transports": ("auto", "pagi", "aiofastnet", "asyncio"),
        "forwarded": get_args(ForwardedFamily),
        "lifespan": ("auto", "on", "off"),
        "interface": ("auto", "pagi", "asgi"),
        "ws_overflow": ("pause", "1008", "1013"),
        "env": ("development", "production", "none"),
        "log_level": ("debug", "info", "warning", "error"),
        "log_format": ("text", "json", "terminal"),
    }


def test_addresses() -> None:
    assert Listening().addresses() == (Listen.tcp("127.0.0.1", 8000),)
    assert Listening(fd=3).addresses() == (Listen.inherited(3),)
    assert Listening(socket="/x").addresses() == (Listen.unix("/x", 0o600),)
    several = Listening(
        listen=(Listen.unix("/x"), Listen.unix("/y", 0o666), Listen.tcp("::", 1)),
        socket_mode=0o660,
    )
    assert several.addresses() == (
        Listen.unix("/x", 0o660),
        Listen.unix("/y", 0o666),
        Listen.tcp("::", 1),
    )


def test_connection_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Listening(max_connections=7).connection_limit() == 7
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1000, 2000))
    assert Listening().connection_limit() == 800
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert Listening.descriptor_limit() == 1 << 20
    monkeypatch.setitem(sys.modules, "resource", None)
    assert Listening().connection_limit() == 8000


def test_quiet_wins_over_the_level() -> None:
    assert Logging(log_level="debug").effective_level == "debug"
    assert Logging(log_level="debug", quiet=True).effective_level == "error"


@pytest.mark.parametrize(("terminal", "env"), [(True, "development"), (False, "production")])
def test_environment_follows_the_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, env: str
) -> None:
    class Input:
        def isatty(self) -> bool:
            return terminal

    monkeypatch.setattr("sys.stdin", Input())
    config = load(environ={}, directory="/nonexistent")
    assert config.application.env == env
    assert config.application.validate_events is terminal
    assert config.sources["env"] == "default"


def test_environment_without_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert load(environ={}, directory="/nonexistent").application.env == "production"


def test_config_made_by_hand() -> None:
    config = Config(http1=HTTP1Limits(max_head_size=1024))
    assert config.http1.max_head_size + 1 == 1025
    shown = {option.name: (value, source) for option, value, source in effective(config)}
    assert shown["max_head_size"] == (1024, "default")
    assert shown["config_file"] == (None, "default")
    assert list(shown) == list(OPTIONS)


def test_config_survives_pickling() -> None:
    config = load({"port": 0}, environ={}, directory="/nonexistent")
    copy = pickle.loads(pickle.dumps(config))
    assert copy == config
    assert copy.sources == config.sources
