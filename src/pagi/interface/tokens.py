"""Words that server and application share: disconnect reasons, extension names, versions."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

__all__ = [
    "ASGI_SPEC_VERSION",
    "ASGI_VERSION",
    "DISCONNECT_REASONS",
    "PAGI_SPEC_VERSION",
    "PAGI_VERSION",
    "DisconnectReason",
]

ASGI_VERSION: Final = "3.0"
ASGI_SPEC_VERSION: Final = "2.5"
PAGI_VERSION: Final = "1.0"
PAGI_SPEC_VERSION: Final = "1.0"

StandardReason: TypeAlias = Literal[
    "client_closed",
    "client_timeout",
    "idle_timeout",
    "keepalive_timeout",
    "write_timeout",
    "write_error",
    "read_error",
    "protocol_error",
    "server_shutdown",
    "server_error",
    "body_too_large",
    "queue_overflow",
    "app_abort",
]

#: One of `DISCONNECT_REASONS`, or a server's own word that begins with ``x-``.
DisconnectReason: TypeAlias = str

DISCONNECT_REASONS: Final[frozenset[str]] = frozenset(
    {
        "client_closed",  # the peer closed or reset the connection or stream
        "client_timeout",  # the peer stopped sending its request body
        "idle_timeout",  # nothing happened for too long
        "keepalive_timeout",  # a keepalive (ping) was not answered
        "write_timeout",  # the peer stopped reading
        "write_error",  # the operating system refused our bytes
        "read_error",  # the operating system failed a read
        "protocol_error",  # the peer broke the protocol
        "server_shutdown",  # the server is stopping
        "server_error",  # the application or the server failed
        "body_too_large",  # the request body passed the limit
        "queue_overflow",  # the application did not keep up
        "app_abort",  # the application called abort()
    }
)
