"""Access-log formats: from a format string to one function that makes a line.

A format is parsed once into pieces (literal text and values), of which `access_line` makes one
function, so that a line costs little more than its characters.

Whatever a client or an application can choose is escaped: in text every byte that is not printable
ASCII, the quotation mark and the backslash appear as ``\\x1b``; in JSON as JSON writes them. So a
line is one line, a field stays inside its quotation marks, and a terminal is not steered.

Atoms:

    %h  client address            %s  status, - if none       %{Name}i   request header, the last
    %l  -                         %b  body bytes, - if none              if repeated, - if missing
    %u  -                         %B  body bytes              %{ms}T     milliseconds, 3 decimals
    %t  time, UTC                 %d  seconds, 3 decimals     %{reason}x why the request ended
    %r  request line              %D  microseconds                       early, - after a clean end
    %m  method                    %T  seconds, whole          %{detail}x what was wrong with a
    %U  path                      %p  process id                         rejected request, or -
    %q  ? and query, or nothing   %H  HTTP/1.1                %%         percent sign
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from time import gmtime, strftime, time
from typing import Any, Final, NamedTuple, TypeAlias

from pagi.server.errors import EXIT_CONFIGURATION, StartError
from pagi.server.worker.access_line import make_render
from pagi.server.worker.access_pieces import DASH, Piece, make_render_rejected, text

__all__ = ["PRESETS", "Clock", "Formats", "Render", "RenderRejected", "compile_format"]

PRESETS: Final = {
    "clf": '%h - - [%t] "%m %U%q" %s %ds',
    "combined": '%h - - [%t] "%r" %s %b "%{Referer}i" "%{User-Agent}i"',
    "common": '%h - - [%t] "%r" %s %b',
    "tiny": "%m %U%q %s %{ms}Tms",
}

#: client, scope, status, body bytes, duration in seconds, reason
Render: TypeAlias = Callable[
    [str, MutableMapping[str, Any], int | None, int, float, str | None], str
]
#: client, status, reason, detail
RenderRejected: TypeAlias = Callable[[str, int, str | None, str], str]


class Formats(NamedTuple):
    """The two functions that a format compiles to; each returns a line with its newline."""

    render: Render
    render_rejected: RenderRejected


class Clock:
    """The time of day as text, made once a second and not once a line."""

    _MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

    def __init__(self) -> None:
        self.text = ""
        self._second = -1
        self._iso = ""
        self.set(time())

    def set(self, now: float) -> None:
        """Take ``now`` (seconds since the epoch) as the time of the lines to come."""
        self._second = int(now)
        parts = gmtime(self._second)
        # Not %b: the names of the months must not depend on the locale.
        month = self._MONTHS[parts.tm_mon - 1]
        self.text = strftime(f"%d/{month}/%Y:%H:%M:%S +0000", parts)
        self._iso = strftime("%Y-%m-%dT%H:%M:%S", parts)

    def iso(self) -> str:
        """Return the time now as ISO 8601 in UTC with milliseconds."""
        now = time()
        if int(now) != self._second:
            self.set(now)
        return f"{self._iso}.{int(now % 1 * 1000):03d}Z"


# --- from a format to pieces -----------------------------------------------------------------


_ATOMS: Final[dict[str, list[Piece]]] = {
    "h": [Piece("client")],
    "l": [DASH],
    "u": [DASH],
    "t": [Piece("time")],
    "r": [Piece("method"), text(" "), Piece("target"), text(" HTTP/"), Piece("version")],
    "m": [Piece("method")],
    "U": [Piece("path")],
    "q": [Piece("query")],
    "H": [text("HTTP/"), Piece("version")],
    "s": [Piece("status")],
    "b": [Piece("body")],
    "B": [Piece("sent")],
    "d": [Piece("seconds3")],
    "D": [Piece("us")],
    "T": [Piece("s")],
    "p": [Piece("pid")],
    "%": [text("%")],
}
_BRACED: Final[dict[str, dict[str, list[Piece]]]] = {
    "T": {"s": [Piece("s")], "ms": [Piece("ms")], "us": [Piece("us")]},
    "x": {"reason": [Piece("reason")], "detail": [DASH]},
}

_ZERO: Final = text("0")
_REJECTED_ATOMS: Final[dict[str, list[Piece]]] = _ATOMS | {
    "r": [DASH],
    "m": [DASH],
    "U": [DASH],
    "q": [],
    "H": [DASH],
    "b": [DASH],
    "B": [_ZERO],
    "d": [text("0.000")],
    "D": [_ZERO],
    "T": [_ZERO],
}
_REJECTED_BRACED: Final[dict[str, dict[str, list[Piece]]]] = {
    "T": {"s": [_ZERO], "ms": [text("0.000")], "us": [_ZERO]},
    "x": {"reason": [Piece("reason")], "detail": [Piece("detail")]},
}


def _error(text: str) -> StartError:
    return StartError(f"access log format: {text}", EXIT_CONFIGURATION)


def _tokens(form: str) -> Iterator[tuple[str, str, str]]:
    """Yield ``("text", text, "")`` and ``("atom", letter, argument)``."""
    position = 0
    while (percent := form.find("%", position)) >= 0:
        if percent > position:
            yield "text", form[position:percent], ""
        after = percent + 1
        argument = ""
        if form[after : after + 1] == "{":
            end = form.find("}", after)
            if end < 0:
                raise _error(f"{form[percent:]!r} has no closing brace; write %{{Name}}i")
            argument = form[after + 1 : end]
            after = end + 1
        if after >= len(form):
            raise _error(f"{form[percent:]!r} at the end is no atom; a percent sign is %%")
        yield "atom", form[after], argument
        position = after + 1
    if position < len(form):
        yield "text", form[position:], ""


def _braced(letter: str, argument: str, rejected: bool) -> list[Piece]:
    if letter == "i":
        if not argument or not argument.isascii():
            raise _error(f"%{{{argument}}}i names no header; write for example %{{User-Agent}}i")
        return [DASH if rejected else Piece("field", argument.lower())]
    table = (_REJECTED_BRACED if rejected else _BRACED).get(letter)
    if table is None:
        raise _error(
            f"unknown atom %{{{argument}}}{letter}; in braces there are %{{Name}}i for a request"
            " header, %{ms}T, %{us}T, %{s}T, %{reason}x and %{detail}x"
        )
    if argument not in table:
        known = ", ".join(f"%{{{name}}}{letter}" for name in table)
        raise _error(f"unknown atom %{{{argument}}}{letter}; there are {known}")
    return table[argument]


def _parse(form: str, *, rejected: bool) -> list[Piece]:
    atoms = _REJECTED_ATOMS if rejected else _ATOMS
    pieces: list[Piece] = []
    for kind, token, argument in _tokens(form):
        if kind == "text":
            pieces.append(text(token))
        elif argument:
            pieces += _braced(token, argument, rejected)
        elif token == "q" and pieces and pieces[-1] == Piece("path"):
            pieces[-1] = Piece("target")
        elif token in atoms:
            pieces += atoms[token]
        elif token == "i":
            raise _error("%i needs the name of a header; write for example %{User-Agent}i")
        else:
            known = " ".join(f"%{letter}" for letter in atoms)
            raise _error(f"unknown atom %{token}; there are {known} and %{{Name}}i")
    pieces.append(text("\n"))
    return pieces


def _check(form: str) -> None:
    if "%" not in form:
        presets = ", ".join([*PRESETS, "json"])
        raise _error(f"{form!r} is neither a preset ({presets}) nor holds an atom such as %h")
    if not form.isprintable():
        raise _error("it holds a control character; one request is one line")


def compile_format(form: str, clock: Clock) -> Formats:
    """Compile a preset name or a format string.

    Call it in the process that will log: ``%p`` is read here.

    Raises:
        StartError: the format has a fault; the text names the atom and the remedy.
    """
    if form == "json":
        from pagi.server.worker import access_json  # only this format pays for it

        return Formats(access_json.make_render(clock), access_json.make_render_rejected(clock))
    form = PRESETS.get(form, form)
    _check(form)
    return Formats(
        make_render(_parse(form, rejected=False), clock),
        make_render_rejected(_parse(form, rejected=True), clock),
    )
