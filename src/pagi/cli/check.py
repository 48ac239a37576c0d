"""``pagi check``: everything that would go wrong, told at once and before it does."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import click

from pagi.cli.advice import advice
from pagi.cli.errors import UsageError, show_traceback
from pagi.cli.options import loader_from, server_config
from pagi.server.config import Config, ConfigError
from pagi.server.errors import EXIT_CONFIGURATION, StartError

__all__ = ["check"]


def check(
    parameters: Mapping[str, Any],
    complain: Callable[[str], None],
    remark: Callable[[str], None],
) -> int:
    """Check configuration and application; return the status ``pagi run`` would end with.

    Args:
        parameters: the flags and words of the command line.
        complain: told each fault, as one line.
        remark: told each thing that is possible but perhaps not meant, as one line.

    Raises:
        UsageError: no application is named.
    """
    loader = loader_from(parameters)
    if loader is None:
        raise UsageError("nothing to check; write pagi check module:attribute, as for pagi run")
    config, status = _configuration(parameters, complain)
    if config is not None:
        os.environ["PAGI_ENV"] = config.application.env
    try:
        loader()
    except StartError as error:
        if parameters["traceback"]:
            show_traceback(error)
        complain(error.message)
        status = status or error.exit_status
    remarks = [*config.notes, *advice(config)] if config is not None else []
    for text in remarks:
        remark(text)
    if status == 0:
        count = f", {len(remarks)} to consider" if remarks else ""
        click.echo(f"the application and the configuration are good{count}")
    return status


def _configuration(
    parameters: Mapping[str, Any], complain: Callable[[str], None]
) -> tuple[Config | None, int]:
    try:
        config = server_config(parameters)
    except ConfigError as error:
        for problem in error.problems:
            complain(problem)
        return None, EXIT_CONFIGURATION
    # The formats are compiled where lines are written; only there every fault is known.
    from pagi.server.worker.access_format import Clock, compile_format

    try:
        compile_format(config.logging.access_log_format, Clock())
    except StartError as error:
        complain(error.message)
        return config, error.exit_status
    return config, 0
