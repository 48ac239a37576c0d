"""The access log: one line for each request, made once and written in batches.

One source, two builds: compiled as ``_access_log_c`` (see ``_access_log_c.pxd``).

The lines of one turn of the event loop are written together. A destination that cannot take them
holds nothing up: see `pagi.server.worker.log_sink`. The formats are in
`pagi.server.worker.access_format`.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, Final

from pagi.server.worker.access_format import Clock, compile_format
from pagi.server.worker.log_sink import LogSink

__all__ = ["AccessLog"]

#: Characters after which lines are written without waiting for the owner's flush.
BATCH: Final = 32 * 1024

_REASONS: Final = {408: "client_timeout", 413: "body_too_large"}
_NOT_KNOWN: Final[dict[str, Any]] = {
    "method": "-",
    "raw_path": b"-",
    "query_string": b"",
    "http_version": "-",
    "headers": [],
}


def _mended(scope: MutableMapping[str, Any]) -> dict[str, Any]:
    """Return what a line needs of ``scope``, with a stand-in for each part that is no use.

    A WebSocket scope has no method, and an application may change its scope as it likes.
    """
    parts = dict(_NOT_KNOWN)
    if scope.get("type") == "websocket":
        parts["method"] = "GET"
    for name, stand_in in _NOT_KNOWN.items():
        value = scope.get(name)
        if isinstance(value, type(stand_in)):
            parts[name] = value
    try:
        parts["headers"] = [(bytes(name), bytes(value)) for name, value in parts["headers"]]
    except (TypeError, ValueError):
        parts["headers"] = []
    return parts


class AccessLog:
    """Writes a line for each request that ended.

    Nothing here raises into the server: a scope that the application has bent out of shape costs
    the line its request fields, and a destination that does not take lines loses them.

    Attributes:
        dropped: (property) number of lines lost so far.
    """

    __slots__ = ("_clock", "_lines", "_render", "_render_rejected", "_schedule", "_sink", "_size")

    def __init__(self, form: str, target: int | str, schedule: Callable[[], object]) -> None:
        """Compile the format and open the destination; call it in the process that will log.

        Args:
            form: a preset (``clf``, ``combined``, ``common``, ``tiny``, ``json``) or a format.
            target: a path, a descriptor (which is duplicated) or ``"-"`` for standard error.
            schedule: called when the first line is waiting; arranges a call of `flush` soon.

        Raises:
            StartError: the format has a fault, or the destination cannot be opened.
        """
        self._clock = Clock()
        self._render, self._render_rejected = compile_format(form, self._clock)
        self._sink = LogSink(target)
        self._schedule = schedule
        self._lines: list[str] = []
        self._size = 0

    @property
    def dropped(self) -> int:
        """Number of lines lost so far."""
        return self._sink.dropped

    def log(
        self,
        client: str,
        scope: MutableMapping[str, Any],
        status: int | None,
        sent: int,
        duration: float,
        reason: str | None,
    ) -> None:
        """Log a request that was given to the application.

        Args:
            client: address of the peer, ``"unix"`` for one on a Unix socket.
            scope: the scope that the application got.
            status: of the response; ``None`` if none was sent.
            sent: body bytes sent, framing not counted.
            duration: seconds from the request's head to its end.
            reason: why it ended early, ``None`` after a clean end.
        """
        try:
            line = self._render(client, scope, status, sent, duration, reason)
        except Exception:
            line = self._render(client, _mended(scope), status, sent, duration, reason)
        lines = self._lines
        if lines:
            self._size = size = self._size + len(line)
            lines.append(line)
            if size > BATCH:
                self.flush()
        else:
            self._begin(line)

    def _begin(self, line: str) -> None:
        """Take the first line of a batch."""
        self._lines.append(line)
        self._size = len(line)
        self._schedule()

    def log_rejected(
        self, client: str, status: int, detail: str, reason: str | None = None
    ) -> None:
        """Log a request that was refused before an application saw it.

        Args:
            client: address of the peer.
            status: of the answer; 0 if none could be given.
            detail: what was wrong, for ``%{detail}x`` and JSON.
            reason: end reason; by default what a 4xx status implies, and none for a 503.
        """
        if reason is None and 400 <= status < 500:
            reason = _REASONS.get(status, "protocol_error")
        line = self._render_rejected(client, status, reason, detail)
        if not self._lines:
            self._begin(line)
            return
        self._lines.append(line)
        self._size += len(line)
        if self._size > BATCH:
            self.flush()

    def tick(self, now: float) -> None:
        """Set the time of the lines to come; call it once a second.

        Also offers lines once more to a destination that could not take them.

        Args:
            now: seconds since the epoch.
        """
        self._clock.set(now)
        if self._sink.pending:
            self._sink.drain()

    def flush(self) -> None:
        """Hand the waiting lines to the destination."""
        lines = self._lines
        if lines:
            # backslashreplace: a format of the operator's may hold lone surrogates.
            self._sink.write("".join(lines).encode("utf-8", "backslashreplace"))
            lines.clear()

    def reopen(self) -> None:
        """Open the file again, after it was rotated."""
        self.flush()
        self._sink.reopen()

    def close(self) -> None:
        """Flush and close; waits a second at most for a reader that is behind."""
        self.flush()
        self._sink.close()
