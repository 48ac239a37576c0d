"""`main`: the program ``pagi``.

Exit statuses: 0 success, 1 anything not listed, 2 the command line was wrong, 3 a value of the
configuration is impossible, 4 the application could not be loaded, 5 a listener could not be
opened, 6 the application failed to start, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from pagi.cli.errors import UsageError, show_traceback
from pagi.server.config import ConfigError
from pagi.server.config.kinds import nearest
from pagi.server.errors import EXIT_CONFIGURATION, EXIT_USAGE, StartError

__all__ = ["EXIT_INTERRUPTED", "main"]

#: 128 + SIGINT, as shells report it.
EXIT_INTERRUPTED = 130


class _Program(click.Group):
    """Makes each command only when it is asked for: a command has some sixty flags."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        make = _COMMANDS.get(cmd_name)
        return make() if make is not None else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word in _COMMANDS or word.startswith("-"):
            return super().resolve_command(ctx, args)
        if ":" in word or word.endswith(".py"):
            raise UsageError(f"{word!r} is no command; to serve it write: pagi run {word}")
        guess = nearest(word, tuple(_COMMANDS))
        hint = f"did you mean {guess!r}?" if guess else f"there are {', '.join(_COMMANDS)}"
        raise UsageError(f"there is no command {word!r}; {hint}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line in ``arguments`` (the process's own if None); return its status."""
    program = _Program(
        "pagi",
        help="PAGI, a web server for ASGI and PAGI applications.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        params=[click.Option(["--version", "-v"], is_flag=True, help="Print the version.")],
        callback=_without_command,
        invoke_without_command=True,
    )
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = program.main(words, "pagi", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except ConfigError as error:
        for problem in error.problems:
            _complain(problem)
        return EXIT_CONFIGURATION
    except StartError as error:
        if "--traceback" in words:
            show_traceback(error)
        _complain(error.message)
        return error.exit_status
    except click.ClickException as error:
        _complain(_usage_line(error, words))
        return EXIT_USAGE
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED


def _without_command(version: bool) -> int:
    context = click.get_current_context()
    if version:
        from pagi.cli.version import program_version

        click.echo(f"pagi {program_version()}")
        context.exit()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        return EXIT_USAGE
    return 0


def _complain(message: str) -> None:
    name = click.style("pagi:", fg="red", bold=True) if _colourful() else "pagi:"
    click.echo(f"{name} {message}", err=True)


def _remark(message: str) -> None:
    name = click.style("note:", fg="yellow") if _colourful() else "note:"
    click.echo(f"pagi: {name} {message}", err=True)


def _colourful() -> bool:
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


def _usage_line(error: click.ClickException, words: Sequence[str]) -> str:
    command = f"pagi {words[0]}" if words[0] in _COMMANDS else "pagi"
    if isinstance(error, click.NoSuchOption):
        parameters = error.ctx.command.params if error.ctx is not None else []
        guess = nearest(error.option_name, [flag for p in parameters for flag in p.opts])
        hint = f"did you mean {guess!r}?" if guess else f"'{command} --help' lists all of them"
        return f"unknown option {error.option_name!r}; {hint}"
    text = error.format_message().rstrip(".")
    return f"{text[:1].lower()}{text[1:]}; see '{command} --help'"


# --- commands --------------------------------------------------------------------------------


_TARGET_HELP = """\
TARGET is module:attribute, a module alone (its app or application), or path/to/file.py with or
without :attribute. Every server option below can also be a variable (PAGI_MAX_BODY_SIZE) and a key
of pagi.toml or of [tool.pagi] in pyproject.toml (max_body_size). A flag goes before the variable,
the variable before the file.

Exit status: 2 wrong command line, 3 impossible configuration, 4 application not loaded, 5 cannot
listen, 6 application failed to start."""


def _make_run() -> click.Command:
    return _server_command(
        "run", _run, f"Serve an application until told to stop.\n\n{_TARGET_HELP}"
    )


def _run(**parameters: Any) -> int:
    return _serve("run", parameters)


def _make_dev() -> click.Command:
    return _server_command(
        "dev",
        _dev,
        "Serve an application while it is being written. The same as run, but it is loaded anew "
        "when its files change (--reload), errors are shown in the browser, every event is checked "
        f"(--env development), and the log is for people.\n\n{_TARGET_HELP}",
    )


def _dev(**parameters: Any) -> int:
    return _serve("dev", parameters)


def _serve(command: str, parameters: dict[str, Any]) -> int:
    from functools import partial

    from pagi.cli.options import loader_from, server_config

    loader = loader_from(parameters)
    if loader is None:
        raise UsageError(
            f"nothing to serve; write pagi {command} module:attribute, "
            f"pagi {command} path/to/file.py, or pagi {command} -e CODE"
        )
    # As it was given to us, before we put a default there.
    environ = dict(os.environ)
    read_config = partial(server_config, parameters, environ, development=command == "dev")
    config = read_config()
    if not config.logging.quiet:
        for note in config.notes:
            _remark(note)

    def load_app() -> Any:
        # The application may look at it while it is imported. Set in its process only: a program
        # that takes over would read a default there as what somebody has said.
        os.environ["PAGI_ENV"] = config.application.env
        return loader()

    from pagi.server.api import run_loaded

    return run_loaded(load_app, config, read_config)


def _make_check() -> click.Command:
    return _server_command(
        "check", _check, "Load an application and the configuration; tell what is wrong."
    )


def _check(**parameters: Any) -> int:
    from pagi.cli.check import check

    return check(parameters, _complain, _remark)


def _make_config() -> click.Command:
    command = _server_command(
        "config",
        _config,
        "Print the effective configuration and where each value came from. Takes the same "
        "words as run and does not load the application.",
    )
    command.params.append(
        click.Option(
            ["--format"],
            type=click.Choice(["text", "toml", "json"]),
            default="text",
            help="How to print it.",
        )
    )
    return command


def _config(**parameters: Any) -> int:
    from pagi.cli.options import loader_from, server_config
    from pagi.cli.show import show_config

    loader_from(parameters)
    config = server_config(parameters)
    click.echo(show_config(config, parameters["format"]), nl=False)
    for note in config.notes:
        _remark(note)
    return 0


def _make_cert() -> click.Command:
    return click.Command(
        "cert",
        callback=_cert,
        params=[
            click.Argument(["names"], nargs=-1, metavar="[NAME]…"),
            click.Option(
                ["--out"],
                default="certificates",
                show_default=True,
                metavar="FOLDER",
                help="Where to write the files.",
            ),
        ],
        help="Make a certificate for development, by default for localhost. NAME is a host name "
        "or an address.",
    )


def _cert(names: Sequence[str], out: str) -> int:
    from pathlib import Path

    from pagi.cli.cert import make_certificate

    click.echo(make_certificate(names, Path(out)), nl=False)
    return 0


def _make_top() -> click.Command:
    return click.Command(
        "top",
        callback=_top,
        params=[
            click.Argument(["place"], required=False, metavar="[PLACE]"),
            click.Option(["--once"], is_flag=True, help="Show one frame and end."),
            click.Option(
                ["--format"],
                type=click.Choice(["text", "json"]),
                default="text",
                help="json prints the status document once.",
            ),
        ],
        help="Show what a running server does, once a second until Ctrl-C. PLACE is that of its "
        "admin listener: a port, host:port or unix:PATH; by default the option admin of the "
        "configuration here.",
        short_help="Show what a running server does.",
    )


def _top(place: str | None, once: bool, format: str) -> int:
    from pagi.cli.top import top

    return top(place, once=once, form=format)


def _make_version() -> click.Command:
    return click.Command(
        "version",
        callback=_version,
        params=[
            click.Option(["--format"], type=click.Choice(["text", "json"]), default="text"),
        ],
        help="Print the version of the program, of the specifications and of what it runs on.",
    )


def _version(format: str) -> int:
    from pagi.cli.version import version_text

    click.echo(version_text(format), nl=False)
    return 0


def _server_command(name: str, callback: Callable[..., int], text: str) -> click.Command:
    from pagi.cli.options import ServerCommand, server_options, target_options

    return ServerCommand(
        name,
        callback=callback,
        params=[*target_options(), *server_options()],
        help=text,
        short_help=text.split(".")[0] + ".",
    )


_COMMANDS: dict[str, Callable[[], click.Command]] = {
    "run": _make_run,
    "dev": _make_dev,
    "check": _make_check,
    "config": _make_config,
    "cert": _make_cert,
    "top": _make_top,
    "version": _make_version,
}
