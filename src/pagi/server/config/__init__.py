"""Configuration: every option stated once, read from four places, frozen, handed down in slices.

    config = load({"port": 0})          # and variables, and the file
    config.http1.max_head_size          # an int, as mypy knows
    config.sources["port"]              # "keyword"

Flags and the reference page are made from `OPTIONS`.
"""

from __future__ import annotations

from pagi.protocol.http1.limits import HTTP1Limits
from pagi.server.config.catalogue import OPTION_NAMES, OPTIONS, SLICES, effective
from pagi.server.config.config import Config
from pagi.server.config.errors import ConfigError
from pagi.server.config.listen import Listen
from pagi.server.config.load import load
from pagi.server.config.option import Option
from pagi.server.config.settings import (
    Application,
    Flow,
    Listening,
    Logging,
    Process,
    ResponseHeaders,
    Timeouts,
)

__all__ = [
    "OPTIONS",
    "OPTION_NAMES",
    "SLICES",
    "Application",
    "Config",
    "ConfigError",
    "Flow",
    "HTTP1Limits",
    "Listen",
    "Listening",
    "Logging",
    "Option",
    "Process",
    "ResponseHeaders",
    "Timeouts",
    "effective",
    "load",
]
