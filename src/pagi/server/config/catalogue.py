"""`OPTIONS`: every option there is, gathered from the declarations in the slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, Final

from pagi.protocol.http1.limits import HTTP1Limits
from pagi.server.config.config import Config
from pagi.server.config.option import Option, declaration
from pagi.server.config.settings import (
    HTTP1_DECLARATIONS,
    Application,
    Flow,
    Listening,
    Logging,
    Process,
    ResponseHeaders,
    Timeouts,
)

__all__ = ["OPTIONS", "OPTION_NAMES", "SLICES", "effective"]

#: The attributes of `Config` that are slices, in the order of the reference page.
SLICES: Final[Mapping[str, type[Any]]] = {
    "listening": Listening,
    "process": Process,
    "application": Application,
    "http1": HTTP1Limits,
    "timeouts": Timeouts,
    "flow": Flow,
    "headers": ResponseHeaders,
    "logging": Logging,
}


def _gather() -> Iterator[Option]:
    for slice_name, slice_type in (("", Config), *SLICES.items()):
        for field in fields(slice_type):
            declared = declaration(field.metadata)
            if declared is None and slice_type is HTTP1Limits:
                declared = HTTP1_DECLARATIONS.get(field.name)
            if declared is not None:
                yield Option(field.name, slice_name, field.default, declared)


#: Options by name. The one whose ``slice_name`` is empty stands in `Config` itself.
OPTIONS: Final[Mapping[str, Option]] = {option.name: option for option in _gather()}

#: Options by name and alias.
OPTION_NAMES: Final[Mapping[str, Option]] = {
    name: option for option in OPTIONS.values() for name in option.names
}


def effective(config: Config) -> Iterator[tuple[Option, Any, str]]:
    """Yield each option of ``config`` with its value and the source of the value."""
    for option in OPTIONS.values():
        holder = getattr(config, option.slice_name) if option.slice_name else config
        yield option, getattr(holder, option.name), config.sources.get(option.name, "default")
