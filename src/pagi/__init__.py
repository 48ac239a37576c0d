"""PAGI for Python: a web server and toolkit for async applications; a strict superset of ASGI 3.

The public names are loaded when they are asked for, so that ``import pagi`` costs nothing and the
server and the toolkit never load each other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pagi.interface.errors import Disconnected as Disconnected
    from pagi.interface.errors import MessageError as MessageError
    from pagi.interface.native import native as native
    from pagi.server.api import Server as Server
    from pagi.server.api import run as run
    from pagi.server.api import serve as serve
    from pagi.server.config import Config as Config
    from pagi.server.config import ConfigError as ConfigError
    from pagi.server.errors import StartError as StartError

__version__ = "0.1.0"

_HOMES = {
    "Config": "pagi.server.config",
    "ConfigError": "pagi.server.config",
    "Disconnected": "pagi.interface.errors",
    "MessageError": "pagi.interface.errors",
    "Server": "pagi.server.api",
    "StartError": "pagi.server.errors",
    "native": "pagi.interface.native",
    "run": "pagi.server.api",
    "serve": "pagi.server.api",
}

__all__ = [  # all are strings
    "__version__",
    *_HOMES,
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'pagi' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
