"""`Config`: the whole configuration, frozen, made of slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pagi.protocol.http1.limits import HTTP1Limits
from pagi.protocol.http2.limits import HTTP2Limits
from pagi.protocol.websocket.limits import WebSocketLimits
from pagi.server.config.development import Development
from pagi.server.config.http2 import HTTP2
from pagi.server.config.kinds import FileOrOff
from pagi.server.config.listen import Listen
from pagi.server.config.option import option
from pagi.server.config.proxies import Proxies
from pagi.server.config.settings import (
    SSE,
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

__all__ = ["Config"]


@dataclass(frozen=True, slots=True)
class Config:
    """What a server is told. ``Config()`` holds the defaults and reads nothing.

    `pagi.server.config.load` makes one from flags, variables, the file and keywords.

    Attributes:
        sources: for each option where its value came from: a flag, the name of a variable, the
            path of the file, ``keyword`` or ``default``. Empty when made by hand.
        notes: what looked odd while reading and stopped nothing, one line each.
    """

    listening: Listening = field(default_factory=Listening)
    tls: TLS = field(default_factory=TLS)
    proxies: Proxies = field(default_factory=Proxies)
    process: Process = field(default_factory=Process)
    application: Application = field(default_factory=Application)
    development: Development = field(default_factory=Development)
    http1: HTTP1Limits = field(default_factory=HTTP1Limits)
    http2: HTTP2 = field(default_factory=HTTP2)
    http2_limits: HTTP2Limits = field(default_factory=HTTP2Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    flow: Flow = field(default_factory=Flow)
    websocket: WebSockets = field(default_factory=WebSockets)
    websocket_limits: WebSocketLimits = field(default_factory=WebSocketLimits)
    sse: SSE = field(default_factory=SSE)
    headers: ResponseHeaders = field(default_factory=ResponseHeaders)
    logging: Logging = field(default_factory=Logging)
    config_file: str | None = option(
        None,
        FileOrOff(),
        "File to read options from.",
        flags=("--config",),
        short="c",
        off_flag="--no-config",
        derived="pagi.toml, else [tool.pagi] of pyproject.toml, where there is one",
        in_file=False,
    )
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    notes: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def shows_errors(self) -> bool:
        """Whether a response may show what is wrong in the application, source code included.

        Only if somebody has said that this is development. A terminal is no proof: servers of
        production are started at one, too.
        """
        return self.application.env == "development" and self.sources.get("env") != "default"

    def tls_of(self, listen: Listen) -> TLS | None:
        """Return the options of TLS for a listener, or ``None`` if it speaks plainly."""
        if listen.role != "serve":
            return None
        tls = self.tls.changed(listen.tls)
        return tls if tls.wanted else None
