"""``pagi top``: the state of a running server in the terminal, from its admin listener."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sys
from http.client import HTTPConnection, HTTPException
from time import monotonic
from types import TracebackType
from typing import Any, Final

import click

from pagi.cli.errors import UsageError
from pagi.cli.top_frame import Line, frame, painted
from pagi.server.config import Listen, load
from pagi.server.config.listen_kinds import AdminPlace
from pagi.server.errors import StartError

__all__ = ["admin_place", "top"]

#: Seconds between two frames, and those for which an answer is waited for.
_INTERVAL: Final = 1.0
_PATIENCE: Final = 3.0
#: Seconds of history that are drawn.
_HISTORY: Final = 60
_HTTP_OK: Final = 200
_EXIT_GONE: Final = 1
_TERMINATED: Final = 128 + 15

_SHOW: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_CLEAR_LINE: Final = "\x1b[K"
_CLEAR_REST: Final = "\x1b[J"

_LOCAL: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def top(place: str | None, *, once: bool, form: str) -> int:
    """Show the state of a server until Ctrl-C; return the exit status.

    Args:
        place: of its admin listener; ``None`` takes it from the configuration.
        once: show one frame and end; so does output that is no terminal.
        form: ``text``, or ``json`` for the document as it is.

    Raises:
        UsageError: the place is not known or not possible.
        StartError: one frame was wanted, and the server does not answer.
    """
    listen = admin_place(place)
    if form == "json" or once or not _is_terminal():
        _show_once(listen, form)
        return 0
    try:
        with _Screen() as screen:
            _watch(listen, screen)
    except KeyboardInterrupt:
        pass
    return 0


def admin_place(text: str | None) -> Listen:
    """Return where the admin listener is. Raises UsageError."""
    try:
        listen = AdminPlace().read(text) if text else next(iter(load({}).listening.admins()), None)
    except ValueError as error:
        raise UsageError(f"{error}") from None
    if listen is None:
        raise UsageError(
            "where is the admin listener? write pagi top PLACE (a port, host:port or unix:PATH), "
            "or set PAGI_ADMIN or admin in pagi.toml, as for the server"
        )
    if listen.kind == "fd":
        raise UsageError(f"only the server knows {listen.place}; write host:port or unix:PATH")
    if listen.kind == "tcp" and not listen.port:
        raise UsageError("port 0 lets the system choose; the log of the server says which it is")
    return listen


class _Unreachable(Exception):
    """The server does not answer as it should; says why."""


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _ask(listen: Listen, rows: int = 0) -> dict[str, Any]:
    """Return the status of the server."""
    if listen.kind == "unix":
        connection: HTTPConnection = _UnixConnection(listen.path)
    else:
        host = _LOCAL.get(listen.host, listen.host)
        connection = HTTPConnection(host, listen.port, timeout=_PATIENCE)
    try:
        connection.request("GET", f"/status?history={rows}" if rows else "/status")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != _HTTP_OK:
            raise _Unreachable(f"{listen.place} answers {answer.status}: is it an admin listener?")
        status = json.loads(body)
        if not isinstance(status, dict) or "site" not in status:
            raise _Unreachable(f"{listen.place} answers something else: is it an admin listener?")
        return status
    except (OSError, HTTPException, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise _Unreachable(f"{listen.place} does not answer: {why}") from None
    finally:
        connection.close()


def _show_once(listen: Listen, form: str) -> None:
    try:
        status = _ask(listen, 0 if form == "json" else _HISTORY)
    except _Unreachable as error:
        raise StartError(f"{error}", _EXIT_GONE) from None
    if form == "json":
        click.echo(json.dumps(status, indent=2))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    for line in frame(status, listen.place):
        click.echo(_encodable(painted(line, width, colours=_colourful())).rstrip())


def _watch(listen: Listen, screen: _Screen) -> None:
    status: dict[str, Any] | None = None
    while True:
        again = monotonic() + _INTERVAL
        try:
            status, trouble = _ask(listen, _HISTORY), ""
        except _Unreachable as error:
            trouble = f"trying again: {error}"
        screen.draw(frame(status, listen.place, trouble))
        while screen.resized_within(again - monotonic()):
            screen.draw(frame(status, listen.place, trouble))


class _Screen:
    """The terminal, which is given back as it was."""

    def __enter__(self) -> _Screen:
        self._woken, self._waking = socket.socketpair()
        for sock in (self._woken, self._waking):
            sock.setblocking(False)
        self._before: dict[signal.Signals, Any] = {}
        resized = getattr(signal, "SIGWINCH", None)
        if resized is not None:
            self._before[resized] = signal.signal(resized, lambda *_: None)
        self._before[signal.SIGTERM] = signal.signal(signal.SIGTERM, _terminated)
        self._wakeup_before = signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        self._write(_SHOW)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._write(_LEAVE)
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._woken.close()
        self._waking.close()

    def draw(self, lines: list[Line]) -> None:
        """Show lines, as many as there is room for."""
        width, height = shutil.get_terminal_size()
        shown = [
            painted(line, width, colours=_colourful()) + _CLEAR_LINE for line in lines[:height]
        ]
        # The last line ends without a break: there may be no room for one.
        self._write(_HOME + "\n".join(shown) + _CLEAR_REST)

    def resized_within(self, seconds: float) -> bool:
        """Wait so long; tell at once if the terminal has another size."""
        readable, _, _ = select.select([self._woken], [], [], max(0.0, seconds))
        if readable:
            self._woken.recv(64)
        return bool(readable)

    def _write(self, text: str) -> None:
        sys.stdout.write(_encodable(text))
        sys.stdout.flush()


def _terminated(*_: object) -> None:
    raise SystemExit(_TERMINATED)


def _encodable(text: str) -> str:
    """Return text that the terminal has letters for."""
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def _is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _colourful() -> bool:
    return _is_terminal() and "NO_COLOR" not in os.environ
