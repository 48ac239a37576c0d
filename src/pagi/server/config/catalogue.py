"""`OPTIONS`: every option there is, gathered from the declarations in the slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, Final

from pagi.protocol.http1.limits import HTTP1Limits
from pagi.protocol.http2.limits import HTTP2Limits
from pagi.protocol.websocket.limits import WebSocketLimits
from pagi.server.config.config import Config
from pagi.server.config.development import Development
from pagi.server.config.http2 import HTTP2, HTTP2_DECLARATIONS
from pagi.server.config.option import Declaration, Option, declaration
from pagi.server.config.proxies import Proxies
from pagi.server.config.settings import (
    HTTP1_DECLARATIONS,
    SSE,
    WEBSOCKET_DECLARATIONS,
    Application,
    Flow,
    Listening,
    Logging,
    Process,
    ResponseHeaders,
    Timeouts,
    WebSockets,
)
from pagi.server.config.tls import TLS

__all__ = ["OPTIONS", "OPTION_NAMES", "SLICES", "effective"]

#: The attributes of `Config` that are slices, in the order of the reference page.
SLICES: Final[Mapping[str, type[Any]]] = {
    "listening": Listening,
    "tls": TLS,
    "proxies": Proxies,
    "process": Process,
    "application": Application,
    "development": Development,
    "http1": HTTP1Limits,
    "http2": HTTP2,
    "http2_limits": HTTP2Limits,
    "timeouts": Timeouts,
    "flow": Flow,
    "websocket": WebSockets,
    "websocket_limits": WebSocketLimits,
    "sse": SSE,
    "headers": ResponseHeaders,
    "logging": Logging,
}


#: What the names of a slice's options begin with, where its own names would say too little.
_PREFIXES: Final = {
    "tls": "ssl_",
    "http2": "h2_",
    "http2_limits": "h2_",
    "websocket": "ws_",
    "websocket_limits": "ws_",
    "sse": "sse_",
}

#: Slices that belong to the protocol, which knows nothing of options.
_DECLARATIONS: Final[Mapping[type[Any], Mapping[str, Declaration]]] = {
    HTTP1Limits: HTTP1_DECLARATIONS,
    HTTP2Limits: HTTP2_DECLARATIONS,
    WebSocketLimits: WEBSOCKET_DECLARATIONS,
}


def _gather() -> Iterator[Option]:
    for slice_name, slice_type in (("", Config), *SLICES.items()):
        for field in fields(slice_type):
            declared = declaration(field.metadata)
            if declared is None:
                declared = _DECLARATIONS.get(slice_type, {}).get(field.name)
            if declared is not None:
                name = _PREFIXES.get(slice_name, "") + field.name
                yield Option(name, slice_name, field.name, field.default, declared)


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
        yield option, getattr(holder, option.field), config.sources.get(option.name, "default")
