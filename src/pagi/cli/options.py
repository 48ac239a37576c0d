"""Flags made from the declarations, and the flags that say which application is meant."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import click

from pagi.cli.errors import UsageError
from pagi.cli.target import Loader, Target
from pagi.server.config import OPTIONS, Config, Option, load
from pagi.server.config.kinds import Switch

__all__ = ["ServerCommand", "loader_from", "server_config", "server_options", "target_options"]

_HEADINGS = {
    "": "Configuration",
    "listening": "Listening",
    "tls": "TLS",
    "proxies": "Proxies",
    "process": "Processes",
    "application": "Application",
    "development": "Development",
    "http1": "Limits of HTTP/1.1",
    "http2": "HTTP/2",
    "http2_limits": "Limits of HTTP/2",
    "timeouts": "Timeouts in seconds, 0 for none",
    "flow": "Flow control",
    "websocket": "WebSockets",
    "websocket_limits": "Limits of WebSockets",
    "sse": "Event streams",
    "headers": "Response headers",
    "logging": "Logging",
}
_OFF_PREFIX = "off_"


class ServerOption(click.Option):
    """A flag that belongs to one `Option`; its text is checked by the configuration."""

    section: str = ""


class ServerCommand(click.Command):
    """A command whose help lists the flags by subject."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the flags of the command first, then those of each slice."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                section = getattr(parameter, "section", "Options")
                sections.setdefault(section, []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records, col_max=34)


def server_options() -> list[click.Parameter]:
    """Return one flag for each option, and the flags that switch one off."""
    return [flag for option in OPTIONS.values() for flag in _flags(option)]


def _flags(option: Option) -> Iterator[ServerOption]:
    is_switch = isinstance(option.kind, Switch)
    names = list(option.flags)
    if is_switch:
        first = names[0]
        names[0] = f"{first}/--no-{first[2:]}"
    flag = ServerOption(
        [option.name, *names],
        default=None,
        metavar=None if is_switch else option.kind.metavar,
        type=None if is_switch else str,
        multiple=option.kind.repeatable,
        help=f"{option.declared.help}  [{option.default_text or 'empty'}]",
    )
    flag.section = _HEADINGS[option.slice_name]
    yield flag
    if option.declared.off_flag:
        off = ServerOption(
            [_OFF_PREFIX + option.name, option.declared.off_flag],
            is_flag=True,
            default=False,
            help=f"The same as {option.flags[0]} none.",
        )
        off.section = flag.section
        yield off


#: What ``pagi dev`` is, beside ``pagi run``: other defaults.
_DEVELOPMENT: Mapping[str, object] = {
    "reload": True,
    "env": "development",
    "access_log_format": "tiny",
    "log_format": "terminal",
    # Nobody waits for streams that are open in a browser.
    "shutdown_grace": 1.0,
    "shutdown_timeout": 5.0,
}


def server_config(
    parameters: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    *,
    development: bool = False,
) -> Config:
    """Read the configuration with the flags in ``parameters`` on top.

    Args:
        parameters: the flags.
        environ: variables; the process's own if None.
        development: with the defaults of ``pagi dev``.

    Raises:
        ConfigError: every problem in any source.
        UsageError: an option is set and switched off at once.
    """
    given: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for name, option in OPTIONS.items():
        value = parameters.get(name)
        if value not in (None, ()):
            # A repeated flag is written like the list in a variable.
            given[name] = ",".join(value) if isinstance(value, tuple) else value
            labels[name] = option.flags[0]
        if parameters.get(_OFF_PREFIX + name):
            if name in given:
                raise UsageError(
                    f"{option.declared.off_flag} and {option.flags[0]} exclude each other; "
                    "leave one away"
                )
            given[name], labels[name] = None, option.declared.off_flag
    defaults = dict(_DEVELOPMENT) if development else {}
    default_labels = dict.fromkeys(defaults, "pagi dev")
    directories = _directories_of_application(parameters)
    if directories:
        defaults["reload_dir"], default_labels["reload_dir"] = directories, "the application"
    return load(
        given,
        labels=labels,
        environ=environ,
        defaults=defaults,
        default_labels=default_labels,
    )


def _directories_of_application(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where the application is, if that is not the current directory alone."""
    found = [parameters.get("app_dir") or "."]
    for word in parameters.get("words", ()):
        path, colon, _ = word.rpartition(":")
        path = path if colon else word
        if path.endswith(".py") and not _is_pair(word):
            found.append(os.path.dirname(path) or ".")
    return tuple(dict.fromkeys(found)) if set(found) != {"."} else ()


def target_options() -> list[click.Parameter]:
    """Return what says which application is meant, the arguments included."""
    return [
        click.Argument(["words"], nargs=-1, metavar="[TARGET] [key=value]..."),
        click.Option(["code", "-e"], multiple=True, metavar="CODE", help=_CODE_HELP),
        click.Option(["modules", "-M"], multiple=True, metavar="MODULE[=a,b]", help=_MODULE_HELP),
        click.Option(["libraries", "-I", "--lib"], multiple=True, metavar="PATH", help=_LIB_HELP),
        click.Option(["--app-dir"], metavar="PATH", help=_DIRECTORY_HELP),
        click.Option(["--factory"], is_flag=True, help=_FACTORY_HELP),
        click.Option(["--traceback"], is_flag=True, help="Show where loading failed, in full."),
    ]


_CODE_HELP = "Serve what this code ends with, or calls app, instead of TARGET."
_MODULE_HELP = "Import a module, or names from it, before -e."
_LIB_HELP = "Look for modules here first; repeatable."
_DIRECTORY_HELP = "Look for modules here.  [current directory]"
_FACTORY_HELP = "Call TARGET, with key=value as arguments, and serve what it returns."


def loader_from(parameters: Mapping[str, Any]) -> Loader | None:
    """Return how to load the application that ``parameters`` name; None if they name none.

    Raises:
        UsageError: the words do not go together.
    """
    words: tuple[str, ...] = parameters["words"]
    targets = [word for word in words if not _is_pair(word)]
    code = "\n".join(parameters["code"]) or None
    if len(targets) > 1:
        raise UsageError(
            f"{targets[1]!r} is one word too many after {targets[0]!r}; "
            "arguments for a factory are written key=value"
        )
    if targets and code is not None:
        raise UsageError(f"-e and {targets[0]!r} both name an application; leave one away")
    if not targets and code is None:
        return None
    if parameters["modules"] and code is None:
        raise UsageError(
            "-M imports for the code of -e, and there is none; add -e or leave it away"
        )
    return Loader(
        target=Target.parse(targets[0]) if targets else None,
        code=code,
        modules=parameters["modules"],
        factory=parameters["factory"],
        arguments=dict(word.split("=", 1) for word in words if _is_pair(word)),
        app_dir=parameters["app_dir"],
        libraries=parameters["libraries"],
    )


def _is_pair(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()
