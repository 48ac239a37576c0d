"""Pieces of an access-log line, and the function that the interpreter makes of them.

The pieces become one f-string that is compiled once. The compiled twin of `access_line` goes
through the pieces instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple

__all__ = [
    "DASH",
    "DIGITS",
    "Piece",
    "escape",
    "link",
    "link_pieces",
    "literal",
    "make_render_rejected",
    "remembering",
    "text",
]


class Piece(NamedTuple):
    """A piece of a line.

    Attributes:
        kind: what stands there: ``text``, ``field`` (a request header) or a key of `SOURCES`.
        text: the literal text, or the name of the header in lower case.
    """

    kind: str
    text: str = ""


def text(literal: str) -> Piece:
    """Make a piece of literal text."""
    return Piece("text", literal)


DASH: Final = text("-")

# Finding three digits here costs a tenth of formatting them.
DIGITS: Final = [f"{i:03d}" for i in range(1000)]
BELOW_ONE: Final = [f"0.{digits}" for digits in DIGITS]

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


def remembering(
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


# --- from pieces to a function ---------------------------------------------------------------


def _clean(name: str, raw: str, before: str = "", after: str = "") -> str:
    """Return an f-string's field that shows ``raw`` escaped, under ``name``.

    The common case is written out: a call would cost more than the four tests.
    """
    return (
        f'{{{before}({name} if ({name} := {raw}.decode("latin-1")).isascii()'
        f" and {name}.isprintable() and QUOTE not in {name} and BACKSLASH not in {name}"
        f" else {name}.translate(ESCAPES)){after}}}"
    )


#: What stands in the f-string for each kind of piece.
SOURCES: Final = {
    "client": "{client if client in known else recognise(client)}",
    "time": "{clock.text}",
    "method": '{m if (m := scope["method"]) in known else recognise(m)}',
    "version": '{v if (v := scope["http_version"]) in known else recognise(v)}',
    "path": _clean("p", 'scope["raw_path"]'),
    "query": _clean("q", "s", '"?" + ', ' if (s := scope["query_string"]) else ""'),
    # Path and query side by side, as in nearly every format, are checked as one.
    "target": _clean(
        "p",
        '(scope["raw_path"] + b"?" + s if (s := scope["query_string"]) else scope["raw_path"])',
    ),
    "status": '{status or "-"}',
    "body": '{sent or "-"}',
    "sent": "{sent}",
    "seconds3": (
        '{BELOW_ONE[i] if (i := int(duration * 1000 + 0.5)) < 1000 else format(duration, ".3f")}'
    ),
    "us": "{int(duration * 1000000 + 0.5)}",
    "ms": "{(i := int(duration * 1000000 + 0.5)) // 1000}.{DIGITS[i % 1000]}",
    "s": "{int(duration)}",
    "pid": "{pid}",
    "reason": '{reason or "-"}',
    "detail": "{escape(detail)}",
}
_LITERAL: Final = str.maketrans({"{": "{{", "}": "}}", "'": "\\'", "\\": "\\\\", "\n": "\\n"})


def _names(clock: Any) -> dict[str, object]:
    known: set[str] = set()
    seen, remember = remembering(escape_bytes, "-")
    return {
        "clock": clock,
        "known": known,
        "recognise": _recognise(known),
        "escape": escape,
        "ESCAPES": _ESCAPES,
        "seen": seen,
        "remember": remember,
        "pid": os.getpid(),
        "BELOW_ONE": BELOW_ONE,
        "DIGITS": DIGITS,
        "QUOTE": '"',
        "BACKSLASH": "\\",
    }


def link(source: str, parameters: str, names: dict[str, object]) -> Any:
    """Compile the inside of an f-string to a function that sees ``names``."""
    code = compile(f"lambda {parameters}: f'{source}'", "<access log format>", "eval")
    return eval(code, names)


def literal(piece: str) -> str:
    """Return a text as it stands inside an f-string."""
    return piece.translate(_LITERAL)


def link_pieces(pieces: list[Piece], parameters: str, clock: Any) -> Any:
    """Compile ``pieces`` to a function."""
    names = _names(clock)
    source = []
    fields = '(f := dict(scope["headers"]))'
    for number, piece in enumerate(pieces):
        if piece.kind == "field":
            names[f"N{number}"] = piece.text.encode("ascii")
            source.append(f"{{seen(v := {fields}.get(N{number})) or remember(v)}}")
            fields = "f"
        else:
            source.append(SOURCES.get(piece.kind) or literal(piece.text))
    return link("".join(source), parameters, names)


def make_render_rejected(pieces: list[Piece], clock: Any) -> Any:
    """Make the function for requests that no application saw."""
    return link_pieces(pieces, "client, status, reason, detail", clock)
