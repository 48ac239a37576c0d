"""The server's own log: records of the ``pagi`` loggers as text or as JSON lines.

=============== =================================================
``pagi.server``  what the server does and what happens to it
``pagi.error``   errors of the application, with their traceback
=============== =================================================

`configure` sets a handler on ``pagi`` and leaves the root logger alone. Without it (a server inside
another program) the records go wherever that program's logging sends them.

A record of the text form is one line; what has several (a traceback, a ``detail``) follows it
indented, so that no text can pass for a record. Characters that are not printable are escaped.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from time import gmtime, localtime, strftime
from typing import Any, Final, Literal, TextIO

from pagi.server.worker.log_file import LogFile

__all__ = [
    "ERROR_LOGGER",
    "SERVER_LOGGER",
    "JSONFormatter",
    "TerminalFormatter",
    "TextFormatter",
    "configure",
]

SERVER_LOGGER: Final = "pagi.server"
ERROR_LOGGER: Final = "pagi.error"

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_COLOURS: Final = {
    logging.DEBUG: "\x1b[2m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}
_DIM: Final = "\x1b[2m"
_PLAIN: Final = "\x1b[0m"
_INDENT: Final = "    "
#: What every record has; anything else came by ``extra``.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _escape(text: str) -> str:
    """Return ``text`` with each character that is not printable written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable()
        else c.encode("ascii", "backslashreplace").decode()
        if c > "\xff"
        else f"\\x{ord(c):02x}"
        for c in text
    )


def _indent(text: str) -> str:
    lines = text.replace("\t", _INDENT).split("\n")
    return "".join(f"\n{_INDENT}{_escape(line)}" for line in lines if line.strip())


def _time(record: logging.LogRecord) -> str:
    second = strftime("%Y-%m-%dT%H:%M:%S", gmtime(record.created))
    return f"{second}.{int(record.created % 1 * 1000):03d}Z"


class TextFormatter(logging.Formatter):
    """``2026-02-10T12:34:56.789Z [4711] WARNING message``, the time in UTC."""

    def __init__(self, *, colour: bool = False) -> None:
        """Make the formatter; ``colour`` marks the level with terminal sequences."""
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, with indented lines below it if it brought any."""
        level = f"{record.levelname:<7}"
        if self._colour and record.levelno in _COLOURS:
            level = f"{_COLOURS[record.levelno]}{level}{_PLAIN}"
        text = f"{_time(record)} [{record.process}] {level} {_escape(record.getMessage())}"
        detail = getattr(record, "detail", None)
        if detail is not None:
            text += _indent(str(detail))
        if record.exc_info:
            text += _indent(self.formatException(record.exc_info))
        if record.stack_info:
            text += _indent(record.stack_info)
        return text


class TerminalFormatter(logging.Formatter):
    """``12:34:56 message`` in local time, for people; of a traceback what is the application's."""

    def __init__(self, *, colour: bool = False) -> None:
        """Make the formatter; ``colour`` marks time and level with terminal sequences."""
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, with indented lines below it if it brought any."""
        time = self._paint(_DIM, strftime("%H:%M:%S", localtime(record.created)))
        word = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        word = self._paint(_COLOURS.get(record.levelno, ""), word)
        text = f"{time} {word}{_escape(record.getMessage())}"
        detail = getattr(record, "detail", None)
        if detail is not None:
            text += _indent(str(detail))
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            from pagi.server.worker.traces import read_traces, text_of

            text += _indent(text_of(read_traces(error)))
        return text

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour and colour and text else text


class JSONFormatter(logging.Formatter):
    """One object per line: time, level, logger, pid, message, what came by ``extra``, traceback.

    An extra field whose name is taken is kept as ``extra_<name>``; a value that JSON cannot
    express appears as its ``repr``.
    """

    def __init__(self) -> None:
        """Make the formatter."""
        super().__init__()
        from json import dumps  # only this form pays for the import

        self._dumps: Callable[..., str] = dumps

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of ASCII."""
        fields: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = record.stack_info
        for name, value in vars(record).items():
            if name not in _STANDARD:
                fields[f"extra_{name}" if name in fields else name] = value
        try:
            return self._dumps(fields, default=repr, allow_nan=False)
        except (TypeError, ValueError):  # keys that are no text, NaN, or a structure within itself
            return self._dumps({name: _plain(value) for name, value in fields.items()})


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | str) else repr(value)


class _Handler(logging.StreamHandler[TextIO]):
    """The handler that `configure` set, to be known again."""


def configure(
    level: str = "info",
    format: Literal["text", "json", "terminal"] = "text",
    quiet: bool = False,
    stream: TextIO | None = None,
    path: str | None = None,
) -> None:
    """Send the records of the ``pagi`` loggers to a stream or a file; called again, replace it.

    Args:
        level: least level written: ``debug``, ``info``, ``warning`` or ``error``.
        format: ``text`` or ``terminal``, with colours if the stream is a terminal, or ``json``.
        quiet: write errors only, whatever the level.
        stream: standard error by default.
        path: a file instead.

    Raises:
        ValueError: unknown level or format.
        StartError: the file cannot be opened; all stays as it was.
    """
    if level not in _LEVELS:
        raise ValueError(f"unknown log level {level!r}; there are {', '.join(_LEVELS)}")
    if format not in ("text", "json", "terminal"):
        raise ValueError(f"unknown log format {format!r}; there are text, json, terminal")
    stream = sys.stderr if stream is None else stream
    handler: logging.Handler = _Handler(stream) if path is None else LogFile(path)
    colour = path is None and _takes_colour(stream)
    handler.setFormatter(_formatter(format, colour))
    tree = logging.getLogger("pagi")
    for old in [old for old in tree.handlers if isinstance(old, (_Handler, LogFile))]:
        tree.removeHandler(old)
        old.close()
    tree.addHandler(handler)
    tree.setLevel(logging.ERROR if quiet else _LEVELS[level])
    # Or a handler that the application sets on the root logger would repeat every record.
    tree.propagate = False


def _formatter(format: str, colour: bool) -> logging.Formatter:
    if format == "json":
        return JSONFormatter()
    return (
        TerminalFormatter(colour=colour) if format == "terminal" else TextFormatter(colour=colour)
    )


def _takes_colour(stream: TextIO) -> bool:
    """Tell whether the stream is a terminal whose user wants colours (no-color.org)."""
    environ = os.environ
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return stream.isatty()
