"""Access-log formats: from a format string to one function that makes a line.

A format is parsed once into pieces (literal text and expressions), and the pieces become one
f-string that is compiled once, so that a line costs little more than its characters.

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

import os
from collections.abc import Callable, Iterator, MutableMapping
from time import gmtime, strftime, time
from typing import Any, Final, NamedTuple, TypeAlias

from pagi.server.errors import EXIT_CONFIGURATION, StartError

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


# Finding three digits here costs a tenth of formatting them.
_DIGITS: Final = [f"{i:03d}" for i in range(1000)]
_BELOW_ONE: Final = [f"0.{digits}" for digits in _DIGITS]


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
        return f"{self._iso}.{_DIGITS[int(now % 1 * 1000)]}Z"


# --- escaping --------------------------------------------------------------------------------

_ESCAPES: Final = {
    code: f"\\x{code:02x}" for code in range(256) if not 0x20 <= code < 0x7F or code in b'"\\'
}
_KNOWN_LIMIT: Final = 4096
_KNOWN_LENGTH: Final = 64
_SEEN_LIMIT: Final = 512
_SEEN_LENGTH: Final = 512


def escape(text: str) -> str:
    """Return ``text`` as printable ASCII without quotation marks and bare backslashes."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    raw = text.encode("utf-8", "surrogatepass")
    return raw.decode("latin-1").translate(_ESCAPES)


def escape_bytes(raw: bytes) -> str:
    """Like `escape`, for bytes: each byte that is not printable ASCII is escaped by itself."""
    return raw.decode("latin-1").translate(_ESCAPES)


def _recognise(known: set[str]) -> Callable[[str], str]:
    """Return a function that escapes a text and remembers it in ``known`` if it was clean."""

    def recognise(text: str) -> str:
        escaped = escape(text) or "-"
        if escaped == text and len(text) <= _KNOWN_LENGTH:
            if len(known) >= _KNOWN_LIMIT:
                known.clear()
            known.add(text)
        return escaped

    return recognise


def _remembering(
    translate: Callable[[bytes], str], missing: str
) -> tuple[Callable[[bytes | None], str | None], Callable[[bytes], str]]:
    """Return a look-up of header values seen lately, and the function for the others.

    Values repeat (the same browsers come back), and looking one up is cheaper than making it.
    """
    seen: dict[bytes | None, str] = {None: missing}

    def remember(raw: bytes) -> str:
        text = translate(raw)
        if len(raw) <= _SEEN_LENGTH:
            if len(seen) >= _SEEN_LIMIT:
                seen.clear()
                seen[None] = missing
            seen[raw] = text
        return text

    return seen.get, remember


# --- from a format to pieces -----------------------------------------------------------------


class _Piece(NamedTuple):
    """A piece of a line: an expression, or without one a literal text."""

    source: str
    text: str = ""


_DASH: Final = _Piece("", "-")
_POINT: Final = _Piece("", ".")
_KNOWN: Final = "{0} if {0} in known else recognise({0})"
_METHOD: Final = 'm if (m := scope["method"]) in known else recognise(m)'
_VERSION: Final = 'v if (v := scope["http_version"]) in known else recognise(v)'
# The common case is written out: a call would cost more than the four tests.
_CLEAN: Final = (
    '({0} if ({0} := {1}.decode("latin-1")).isascii() and {0}.isprintable()'
    " and QUOTE not in {0} and BACKSLASH not in {0} else {0}.translate(ESCAPES))"
)
_PATH: Final = _CLEAN.format("p", 'scope["raw_path"]')
_QUERY: Final = f'"?" + {_CLEAN.format("q", "s")} if (s := scope["query_string"]) else ""'
# Path and query side by side, as in nearly every format, are checked as one.
_TARGET: Final = _CLEAN.format(
    "p",
    '(scope["raw_path"] + b"?" + s if (s := scope["query_string"]) else scope["raw_path"])',
)

_ATOMS: Final[dict[str, list[_Piece]]] = {
    "h": [_Piece(_KNOWN.format("client"))],
    "l": [_DASH],
    "u": [_DASH],
    "t": [_Piece("clock.text")],
    "r": [
        _Piece(_METHOD),
        _Piece("", " "),
        _Piece(_TARGET),
        _Piece("", " HTTP/"),
        _Piece(_VERSION),
    ],
    "m": [_Piece(_METHOD)],
    "U": [_Piece(_PATH)],
    "q": [_Piece(_QUERY)],
    "H": [_Piece("", "HTTP/"), _Piece(_VERSION)],
    "s": [_Piece('status or "-"')],
    "b": [_Piece('sent or "-"')],
    "B": [_Piece("sent")],
    "d": [
        _Piece(
            'BELOW_ONE[i] if (i := int(duration * 1000 + 0.5)) < 1000 else format(duration, ".3f")'
        )
    ],
    "D": [_Piece("int(duration * 1000000 + 0.5)")],
    "T": [_Piece("int(duration)")],
    "p": [_Piece("pid")],
    "%": [_Piece("", "%")],
}
_BRACED: Final[dict[str, dict[str, list[_Piece]]]] = {
    "T": {
        "s": _ATOMS["T"],
        "ms": [
            _Piece("(i := int(duration * 1000000 + 0.5)) // 1000"),
            _POINT,
            _Piece("DIGITS[i % 1000]"),
        ],
        "us": _ATOMS["D"],
    },
    "x": {
        "reason": [_Piece('reason or "-"')],
        "detail": [_DASH],
    },
}

#: Stands for the value of a request header, which is named by the text of the piece.
_FIELD: Final = "field"
_ZERO: Final = _Piece("", "0")
_REJECTED_ATOMS: Final[dict[str, list[_Piece]]] = _ATOMS | {
    "r": [_DASH],
    "m": [_DASH],
    "U": [_DASH],
    "q": [],
    "H": [_DASH],
    "b": [_DASH],
    "B": [_ZERO],
    "d": [_Piece("", "0.000")],
    "D": [_ZERO],
    "T": [_ZERO],
}
_REJECTED_BRACED: Final[dict[str, dict[str, list[_Piece]]]] = {
    "T": {"s": [_ZERO], "ms": [_Piece("", "0.000")], "us": [_ZERO]},
    "x": {
        "reason": _BRACED["x"]["reason"],
        "detail": [_Piece("escape(detail)")],
    },
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


def _braced(letter: str, argument: str, rejected: bool) -> list[_Piece]:
    if letter == "i":
        if not argument or not argument.isascii():
            raise _error(f"%{{{argument}}}i names no header; write for example %{{User-Agent}}i")
        return [_DASH if rejected else _Piece(_FIELD, argument.lower())]
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


def _parse(form: str, *, rejected: bool) -> list[_Piece]:
    atoms = _REJECTED_ATOMS if rejected else _ATOMS
    pieces: list[_Piece] = []
    for kind, text, argument in _tokens(form):
        if kind == "text":
            pieces.append(_Piece("", text))
        elif argument:
            pieces += _braced(text, argument, rejected)
        elif text == "q" and pieces and pieces[-1].source == _PATH:
            pieces[-1] = _Piece(_TARGET)
        elif text in atoms:
            pieces += atoms[text]
        elif text == "i":
            raise _error("%i needs the name of a header; write for example %{User-Agent}i")
        else:
            known = " ".join(f"%{letter}" for letter in atoms)
            raise _error(f"unknown atom %{text}; there are {known} and %{{Name}}i")
    pieces.append(_Piece("", "\n"))
    return pieces


# --- JSON ------------------------------------------------------------------------------------

_NULL: Final = [_Piece("", "null")]
_TIME: Final = [_Piece("", '"'), _Piece("clock.iso()"), _Piece("", '"')]
_CLIENT: Final = [_Piece('quote(client) if client else "null"')]
_STATUS: Final = [_Piece('status or "null"')]
_REASON: Final = [_Piece('quote(reason) if reason else "null"')]
_DURATION: Final = [
    _Piece("(i := int(duration * 1000000 + 0.5)) // 1000000"),
    _POINT,
    _Piece("DIGITS[i // 1000 % 1000]"),
    _Piece("DIGITS[i % 1000]"),
]
_AGENT: Final = 'seen(v := (f := dict(scope["headers"])).get(USER_AGENT)) or remember(v)'


def _object(*members: tuple[str, list[_Piece]], tail: tuple[str, ...] = ()) -> list[_Piece]:
    """Make a JSON object of named values; ``tail`` are expressions that bring their own names."""
    pieces = []
    opening = '{"'
    for name, value in members:
        pieces += [_Piece("", f'{opening}{name}":'), *value]
        opening = ',"'
    return [*pieces, *map(_Piece, tail), _Piece("", "}\n")]


_JSON: Final = _object(
    ("time", _TIME),
    ("client", _CLIENT),
    ("method", [_Piece('quote(scope["method"])')]),
    ("path", [_Piece('quote(scope["raw_path"].decode("latin-1"))')]),
    ("query", [_Piece('quote(q.decode("latin-1")) if (q := scope["query_string"]) else EMPTY')]),
    ("http_version", [_Piece('quote(scope["http_version"])')]),
    ("status", _STATUS),
    ("bytes", [_Piece("sent")]),
    ("duration", _DURATION),
    ("reason", _REASON),
    ("user_agent", [_Piece(_AGENT)]),
    ("referer", [_Piece("seen(v := f.get(REFERER)) or remember(v)")]),
    tail=(
        'member("request_id", f[REQUEST_ID]) if REQUEST_ID in f else ""',
        'member("traceparent", f[TRACEPARENT]) if TRACEPARENT in f else ""',
    ),
)
_JSON_REJECTED: Final = _object(
    ("time", _TIME),
    ("client", _CLIENT),
    *((name, _NULL) for name in ("method", "path", "query", "http_version")),
    ("status", _STATUS),
    *((name, _NULL) for name in ("bytes", "duration")),
    ("reason", _REASON),
    *((name, _NULL) for name in ("user_agent", "referer")),
    ("detail", [_Piece("quote(detail)")]),
)


def _json_names() -> dict[str, object]:
    from json.encoder import encode_basestring_ascii as quote  # only this format pays for it

    seen, remember = _remembering(lambda raw: quote(raw.decode("latin-1")), "null")

    def member(name: str, raw: bytes) -> str:
        return f',"{name}":{quote(raw.decode("latin-1"))}'

    return {
        "quote": quote,
        "DIGITS": _DIGITS,
        "seen": seen,
        "remember": remember,
        "member": member,
        "EMPTY": '""',
        "USER_AGENT": b"user-agent",
        "REFERER": b"referer",
        "REQUEST_ID": b"x-request-id",
        "TRACEPARENT": b"traceparent",
    }


# --- from pieces to a function ---------------------------------------------------------------

_LITERAL: Final = str.maketrans({"{": "{{", "}": "}}", "'": "\\'", "\\": "\\\\", "\n": "\\n"})


def _text_names() -> dict[str, object]:
    known: set[str] = set()
    seen, remember = _remembering(escape_bytes, "-")
    return {
        "known": known,
        "recognise": _recognise(known),
        "escape": escape,
        "ESCAPES": _ESCAPES,
        "seen": seen,
        "remember": remember,
        "pid": os.getpid(),
        "BELOW_ONE": _BELOW_ONE,
        "DIGITS": _DIGITS,
        "QUOTE": '"',
        "BACKSLASH": "\\",
    }


def _link(pieces: list[_Piece], parameters: str, names: dict[str, object]) -> Any:
    """Compile ``pieces`` to a function that sees ``names``."""
    names = dict(names)
    source = []
    fields = '(f := dict(scope["headers"]))'
    for number, piece in enumerate(pieces):
        if piece.source == _FIELD:
            names[f"N{number}"] = piece.text.encode("ascii")
            source.append(f"{{seen(v := {fields}.get(N{number})) or remember(v)}}")
            fields = "f"
        elif piece.source:
            source.append(f"{{{piece.source}}}")
        else:
            source.append(piece.text.translate(_LITERAL))
    code = compile(f"lambda {parameters}: f'{''.join(source)}'", "<access log format>", "eval")
    return eval(code, names)


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
    names: dict[str, object] = {"clock": clock}
    if form == "json":
        names |= _json_names()
        pieces, rejected = _JSON, _JSON_REJECTED
    else:
        form = PRESETS.get(form, form)
        _check(form)
        names |= _text_names()
        pieces, rejected = _parse(form, rejected=False), _parse(form, rejected=True)
    return Formats(
        _link(pieces, "client, scope, status, sent, duration, reason", names),
        _link(rejected, "client, status, reason, detail", names),
    )
