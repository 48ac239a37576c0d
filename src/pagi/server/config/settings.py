"""The slices of the configuration, and in them the one declaration of every option.

A part of the server receives its slice, never the whole `Config`. Every slice can be made without
arguments, and then holds the defaults. Times are in seconds, ``None`` is off; sizes in bytes.

`HTTP1Limits` belongs to the protocol, which knows nothing of flags and files; what its fields are
called outside is declared here, in `HTTP1_DECLARATIONS`.
"""

# The call that a dataclass must not have as a default is here one to `dataclasses.field`, inside
# `option`; ruff cannot see that.
# ruff: noqa: RUF009

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from pagi.server.config.kinds import (
    Choice,
    FileOrOff,
    Kind,
    LogFormat,
    Mount,
    Origins,
    Seconds,
    Size,
    SizeOrNone,
    Switch,
    Text,
    Whole,
)
from pagi.server.config.listen import Listen
from pagi.server.config.listen_kinds import (
    AdminPlace,
    Descriptor,
    Host,
    Listens,
    Mode,
    Port,
    SocketPath,
)
from pagi.server.config.option import Declaration, option
from pagi.server.config.process import LoopName, Process, TransportsName

__all__ = [
    "HTTP1_DECLARATIONS",
    "SSE",
    "WEBSOCKET_DECLARATIONS",
    "Application",
    "Environment",
    "Flow",
    "LifespanMode",
    "Listening",
    "LogLevel",
    "LogShape",
    "Logging",
    "LoopName",
    "Process",
    "ResponseHeaders",
    "Timeouts",
    "TransportsName",
    "WebSockets",
]

Environment: TypeAlias = Literal["development", "production", "none"]
LifespanMode: TypeAlias = Literal["auto", "on", "off"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
LogShape: TypeAlias = Literal["text", "json", "terminal"]
Interface: TypeAlias = Literal["auto", "pagi", "asgi"]
Overflow: TypeAlias = Literal["pause", "1008", "1013"]

_ENVIRONMENT: Kind[Environment] = Choice("development", "production", "none")
_LIFESPAN: Kind[LifespanMode] = Choice("auto", "on", "off")
_LEVEL: Kind[LogLevel] = Choice("debug", "info", "warning", "error")
_SHAPE: Kind[LogShape] = Choice("text", "json", "terminal")
_INTERFACE: Kind[Interface] = Choice("auto", "pagi", "asgi")
_OVERFLOW: Kind[Overflow] = Choice("pause", "1008", "1013")
_SECONDS = Seconds()


def _environment(_: Mapping[str, Any]) -> Environment:
    """Somebody at a terminal develops; everything else is production."""
    try:
        return "development" if sys.stdin.isatty() else "production"
    except (AttributeError, ValueError):  # no standard input, or a closed one
        return "production"


def _validate_events(values: Mapping[str, Any]) -> bool:
    return bool(values["env"] == "development")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where connections are accepted, and how many."""

    host: str = option(
        "127.0.0.1",
        Host(),
        "Address to listen on; 0.0.0.0 and :: mean every interface.",
        short="o",
    )
    port: int = option(8000, Port(), "TCP port; 0 lets the system choose one.", short="p")
    socket: str | None = option(
        None, SocketPath(), "Unix socket to listen on, instead of host and port."
    )
    socket_mode: int = option(
        0o600, Mode(), "Permissions of Unix sockets that state none themselves."
    )
    fd: int | None = option(
        None, Descriptor(), "Inherited descriptor of a socket to accept from, instead of the above."
    )
    listen: tuple[Listen, ...] = option(
        (),
        Listens(),
        "Several places at once: host:port, [v6]:port, unix:PATH, fd:N. Beside TLS also "
        "plain:host:port for HTTP and redirect:host:port for redirects to HTTPS. Repeatable.",
    )
    admin: Listen | None = option(
        None,
        AdminPlace(),
        "Port (of this machine), host:port or unix:PATH for /healthz, /readyz, /metrics, /status "
        "and the status page.",
    )
    proxy_protocol: bool = option(
        False,
        Switch(),
        "Expect the header of the PROXY protocol, version 1 or 2, from trusted_proxies, on every "
        "listener that does not say otherwise.",
    )
    redirect_port: int = option(
        0,
        Port(),
        "Port that redirects to HTTPS lead to; 0 means that of the first listener with TLS.",
    )
    backlog: int = option(
        2048,
        Whole(1, 65_535),
        "Connections that the system holds ready for accepting.",
        aliases=("listener_backlog",),
        short="b",
    )
    reuseport: bool = option(
        False, Switch(), "Give each worker its own listening socket (SO_REUSEPORT, TCP only)."
    )
    http2: bool = option(
        True,
        Switch(),
        "Speak HTTP/2 with clients that want it, by ALPN or by prior knowledge.",
    )
    max_connections: int = option(
        0,
        Whole(0),
        "Connections at a time in each process, more are answered 503; "
        "0 means 80 % of the descriptor limit.",
    )

    def addresses(self) -> tuple[Listen, ...]:
        """Return every place to listen on, with what those leave open filled in."""
        if self.listen:
            places = self.listen
        elif self.fd is not None:
            places = (Listen.inherited(self.fd),)
        elif self.socket is not None:
            places = (Listen.unix(self.socket),)
        else:
            places = (Listen.tcp(self.host, self.port),)
        if self.admin is not None:
            places = (*places, self.admin)
        return tuple(self._filled(place) for place in places)

    def _filled(self, place: Listen) -> Listen:
        """Fill in the mode of a Unix socket, and whether proxies speak first."""
        if place.kind == "unix" and place.mode is None:
            place = replace(place, mode=self.socket_mode)
        # Probes come to the admin listener directly, unless it says otherwise.
        if self.proxy_protocol and place.proxy_protocol is None and place.role != "admin":
            place = replace(place, proxy_protocol=True)
        return place

    def admins(self) -> tuple[Listen, ...]:
        """Return where the admin listeners are."""
        return tuple(place for place in self.addresses() if place.role == "admin")

    def connection_limit(self) -> int:
        """Return how many connections this process may hold, from the descriptor limit if 0."""
        return self.max_connections or self.descriptor_limit() * 4 // 5

    @staticmethod
    def descriptor_limit() -> int:
        """Return how many descriptors this process may have open."""
        try:
            import resource
        except ImportError:  # Windows has no such limit
            return 10_000
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        # "Unlimited" is never that: the kernel's own ceiling (fs.nr_open) is 2^20 by default.
        return 1 << 20 if soft == resource.RLIM_INFINITY else soft


@dataclass(frozen=True, slots=True)
class Application:
    """How the application is called and what it is told."""

    lifespan: LifespanMode = option(
        "auto",
        _LIFESPAN,
        "Lifespan events: on makes refusing them fatal, off never sends them.",
        aliases=("lifespan_mode",),
    )
    lifespan_startup_timeout: float | None = option(
        30.0, _SECONDS, "How long the application may take to start."
    )
    lifespan_shutdown_timeout: float | None = option(
        30.0, _SECONDS, "How long the application may take to clean up."
    )
    interface: Interface = option(
        "auto",
        _INTERFACE,
        "Event streams have a scope of their own with pagi; auto asks the application.",
    )
    root_path: str = option("", Mount(), "Path prefix that a proxy in front has removed.")
    env: Environment = option(
        "production",
        _ENVIRONMENT,
        "What the server runs for; development checks more.",
        short="E",
        derive=_environment,
        derived="development at a terminal, else production",
    )
    validate_events: bool = option(
        False,
        Switch(),
        "Check the type of every field that the application sends.",
        derive=_validate_events,
        derived="true in development, else false",
    )
    otel: bool = option(
        False, Switch(), "Make a span of OpenTelemetry for each request; takes pagi-web[otel]."
    )


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a peer may keep us waiting. ``None``: for ever."""

    header_timeout: float | None = option(
        30.0,
        _SECONDS,
        "From connecting, or the first byte of a later head, until the head is whole.",
    )
    body_timeout: float | None = option(
        60.0, _SECONDS, "Without one byte of a request body that is due."
    )
    write_timeout: float | None = option(
        60.0, _SECONDS, "Without the peer reading anything of what is there for it."
    )
    keepalive_timeout: float | None = option(
        60.0, _SECONDS, "Between two requests of a connection.", aliases=("timeout",)
    )
    linger_timeout: float | None = option(
        2.0,
        _SECONDS,
        "For the peer to read the last response before a connection in error is closed.",
    )


@dataclass(frozen=True, slots=True)
class Flow:
    """Water marks: how much is held for a slow peer or a slow application."""

    write_high_watermark: int = option(
        65_536, Size(1), "A send waits while this much is buffered for the peer."
    )
    write_low_watermark: int = option(
        16_384, Size(), "A waiting send goes on when less than this is buffered."
    )
    read_high_watermark: int = option(
        65_536, Size(1), "Request body held for an application that does not read."
    )


@dataclass(frozen=True, slots=True)
class WebSockets:
    """How WebSockets are kept, watched and ended. The options are called ``ws_…``."""

    ping_interval: float | None = option(20.0, _SECONDS, "Between two pings.")
    ping_timeout: float | None = option(
        20.0, _SECONDS, "For the answer to a ping, before the WebSocket is closed."
    )
    idle_timeout: float | None = option(
        None, _SECONDS, "Without a message in either direction, before it is closed."
    )
    close_timeout: float | None = option(10.0, _SECONDS, "For the client to answer our close.")
    max_queue: int = option(
        64,
        Whole(1),
        "Messages held for an application that does not receive.",
        aliases=("max_receive_queue",),
    )
    max_queue_size: int = option(
        1_048_576, Size(1), "Bytes of messages held for an application that does not receive."
    )
    overflow: Overflow = option(
        "pause",
        _OVERFLOW,
        "When that is reached: pause stops reading, 1008 and 1013 close with that code.",
    )
    origins: tuple[str, ...] = option(
        (),
        Origins(),
        "Origins that may open a WebSocket, such as https://example.org; none given means all.",
    )


@dataclass(frozen=True, slots=True)
class SSE:
    """Event streams. The options are called ``sse_…``."""

    idle_timeout: float | None = option(
        None, _SECONDS, "Without an event of the application, before the stream is ended."
    )


@dataclass(frozen=True, slots=True)
class ResponseHeaders:
    """Header fields that the server adds to responses."""

    server_header: str = option(
        "pagi", Text(), "Value of the Server field; an empty text sends none."
    )
    date_header: bool = option(True, Switch(), "Send a Date field.")


@dataclass(frozen=True, slots=True)
class Logging:
    """What is written, where and how."""

    access_log: str | None = option(
        "-",
        FileOrOff(),
        "File for one line per request; - is standard error.",
        off_flag="--no-access-log",
    )
    access_log_format: str = option(
        "clf",
        LogFormat("clf", "combined", "common", "tiny", "json"),
        "Preset (clf, combined, common, tiny, json) or format of an access log line.",
    )
    log_level: LogLevel = option("info", _LEVEL, "Least level of the server log.")
    quiet: bool = option(False, Switch(), "Log errors only.", short="q")
    log_format: LogShape = option(
        "text", _SHAPE, "Server log as text, as JSON lines, or short for people at a terminal."
    )
    log_file: str | None = option(
        None, FileOrOff(), "File for the server log; by default it is standard error."
    )
    slow_request: float | None = option(
        None, _SECONDS, "A request not answered in this time is logged, with where it waits."
    )
    slow_turn: float | None = option(
        1.0, _SECONDS, "A turn of the event loop that takes longer is logged, with where it was."
    )

    @property
    def effective_level(self) -> LogLevel:
        """``log_level``, or ``error`` when quiet."""
        return "error" if self.quiet else self.log_level


#: The options of `pagi.protocol.http1.limits.HTTP1Limits`; the defaults are its own.
HTTP1_DECLARATIONS: Final[Mapping[str, Declaration]] = {
    "max_target_size": Declaration(Size(1), "Longest request target; beyond it 414."),
    "max_head_size": Declaration(
        Size(16),
        "Request line and header fields together; beyond it 431.",
        aliases=("max_header_size",),
    ),
    "max_header_count": Declaration(Whole(1), "Header fields of a request; beyond it 431."),
    "max_body_size": Declaration(SizeOrNone(), "Request body; beyond it 413. 0 means no limit."),
    "max_chunk_line_size": Declaration(
        Size(16), "Line in front of a chunk, with its extensions; beyond it 400."
    ),
    "max_trailer_size": Declaration(Size(), "Trailer section of a request; beyond it 431."),
    "max_pipelined_size": Declaration(
        Size(1), "Following requests held while a response is not complete."
    ),
    "max_discarded_body": Declaration(
        Size(), "Unread request body thrown away to keep a connection; beyond it it is closed."
    ),
}

#: The options of `pagi.protocol.websocket.limits.WebSocketLimits`, called ``ws_…``.
WEBSOCKET_DECLARATIONS: Final[Mapping[str, Declaration]] = {
    "max_message_size": Declaration(
        Size(1), "Longest message, inflated; beyond it 1009.", aliases=("ws_max_size",)
    ),
    "max_fragments": Declaration(Whole(1), "Frames that a message may come in; beyond it 1009."),
    "max_control_frames": Declaration(
        Whole(1), "Pings, pongs and empty fragments a second, on average; beyond it 1008."
    ),
    "deflate": Declaration(
        Switch(), "Compress messages (permessage-deflate) if the client offers it."
    ),
    "deflate_min_size": Declaration(Size(), "Smaller messages are sent as they are."),
    "deflate_window_bits": Declaration(
        Whole(9, 15), "Window of the compression, as a power of two; 12 is 4 KiB."
    ),
    "deflate_memory_level": Declaration(
        Whole(1, 9), "Memory of the compressor, from 1 (least) to 9."
    ),
}
