"""The options of HTTP/2. They are called ``h2_…``; the switch ``http2`` is one of `Listening`."""

# The call that a dataclass must not have as a default is here one to `dataclasses.field`, inside
# `option`; ruff cannot see that.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pagi.server.config.kinds import Seconds, Size, Switch, Whole
from pagi.server.config.option import Declaration, option

__all__ = ["HTTP2", "HTTP2_DECLARATIONS"]

_SECONDS = Seconds()


@dataclass(frozen=True, slots=True)
class HTTP2:
    """Deadlines of HTTP/2 connections, and how they may begin. The options are ``h2_…``."""

    upgrade: bool = option(
        False, Switch(), "Let HTTP/1.1 requests without a body ask for h2c by Upgrade."
    )
    ping_interval: float | None = option(
        30.0, _SECONDS, "Without a byte of the peer while streams are open, before it is asked."
    )
    ping_timeout: float | None = option(
        30.0, _SECONDS, "For the answer; then the connection is given up."
    )


#: The options of `pagi.protocol.http2.limits.HTTP2Limits`; what HTTP/1 also has is declared there.
HTTP2_DECLARATIONS: Final[Mapping[str, Declaration]] = {
    "max_concurrent_streams": Declaration(
        Whole(1, 2**31 - 1), "Requests at a time on one connection."
    ),
    "window_size": Declaration(
        Size(1, 2**31 - 1), "Body of one request that may be on its way before it is read."
    ),
    "connection_window_size": Declaration(
        Size(65_535, 2**31 - 1), "The same for all requests of a connection together."
    ),
    "max_frame_size": Declaration(Size(16_384, 16_777_215), "Largest frame of the peer."),
    "max_header_list_size": Declaration(
        Size(256), "Fields of a request, with 32 bytes more for each; beyond it 431."
    ),
    "max_resets": Declaration(
        Whole(1),
        "Streams that a peer may reset or have reset at once; a tenth more in each second.",
    ),
    "max_idle_frames": Declaration(
        Whole(1),
        "Frames that ask for nothing (PING, SETTINGS …) at once; a tenth more in each second.",
    ),
    "max_continuations": Declaration(Whole(), "CONTINUATION frames of one header section."),
}
