"""What an exception says, for people: its frames with their source, and what caused it.

Frames are *own* (of the application) or of libraries: of the standard library, of installed
packages, of this server. Everything is bounded: an exception may be as long as it likes.
"""

from __future__ import annotations

import linecache
import os
import traceback
from collections import deque
from collections.abc import Iterator
from itertools import islice
from types import TracebackType
from typing import Final, NamedTuple

__all__ = ["Frame", "Trace", "cut", "from_here", "place", "read_traces", "text_of"]

#: Exceptions that are told of one: itself, its causes, the parts of a group.
MAX_TRACES: Final = 8
#: Frames of one exception: so many from its beginning and from its end.
FIRST_FRAMES: Final = 15
LAST_FRAMES: Final = 35
#: Lines around the one that failed.
CONTEXT: Final = 5
MAX_LINE: Final = 300
MAX_MESSAGE: Final = 4000

_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_STANDARD: Final = os.path.join(os.path.dirname(os.path.realpath(os.__file__)), "")


class Frame(NamedTuple):
    """One call.

    Attributes:
        file: of the code.
        line: that was executed.
        function: its name; empty for a file that could not be compiled.
        own: it is the application's.
        source: numbers and texts of the lines around it, if they can be had.
    """

    file: str
    line: int
    function: str
    own: bool
    source: list[tuple[int, str]]


class Trace(NamedTuple):
    """One exception.

    Attributes:
        relation: to the one before: ``caused by`` or similar; empty for the first.
        name: of its type.
        message: what it says.
        frames: the outermost first.
        left_out: how many frames are missing in the middle.
    """

    relation: str
    name: str
    message: str
    frames: list[Frame]
    left_out: int


def read_traces(error: BaseException) -> list[Trace]:
    """Read an exception and what led to it, itself first. Never raises."""
    linecache.checkcache()
    return [_read(each, relation) for each, relation in islice(_related(error), MAX_TRACES)]


def _related(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    seen: set[int] = set()
    waiting = deque([(error, "")])
    while waiting:
        each, relation = waiting.popleft()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each, relation
        if isinstance(each, BaseExceptionGroup):
            waiting.extend(
                (part, f"part {number} of {len(each.exceptions)}")
                for number, part in enumerate(each.exceptions[:MAX_TRACES], 1)
            )
        if each.__cause__ is not None:
            waiting.append((each.__cause__, "caused by"))
        elif each.__context__ is not None and not each.__suppress_context__:
            waiting.append((each.__context__, "while handling"))


def _read(error: BaseException, relation: str) -> Trace:
    first: list[Frame] = []
    last: deque[Frame] = deque(maxlen=LAST_FRAMES)
    count = 0
    for count, frame in enumerate(_frames(error), 1):
        (first if count <= FIRST_FRAMES else last).append(frame)
    left_out = max(0, count - FIRST_FRAMES - len(last))
    name = type(error).__name__
    return Trace(relation, name, cut(_message(error), MAX_MESSAGE), first + list(last), left_out)


def _frames(error: BaseException) -> Iterator[Frame]:
    for frame, line in traceback.walk_tb(_begin(error.__traceback__)):
        code = frame.f_code
        if code.co_filename.startswith("<frozen "):
            continue
        module = str(frame.f_globals.get("__name__"))
        own = _is_own(code.co_filename, module)
        source = _source(code.co_filename, line)
        yield Frame(code.co_filename, line, code.co_name, own, source)
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        source = _source(error.filename, error.lineno)
        yield Frame(error.filename, error.lineno, "", _is_own(error.filename, ""), source)


def _begin(trace: TracebackType | None) -> TracebackType | None:
    """Leave out how the server came to call the application: that is never what failed."""
    begin = trace
    while begin is not None and _is_machinery(str(begin.tb_frame.f_globals.get("__name__"))):
        begin = begin.tb_next
    return begin


def _is_machinery(module: str) -> bool:
    return _is_ours(module) or module.partition(".")[0] == "importlib"


def _is_ours(module: str) -> bool:
    return module == "pagi" or module.startswith("pagi.")


def _is_own(file: str, module: str) -> bool:
    if _is_ours(module) or _INSTALLED.intersection(file.split(os.sep)):
        return False
    return not os.path.realpath(file).startswith(_STANDARD)


def _source(file: str, line: int) -> list[tuple[int, str]]:
    lines = linecache.getlines(file)
    begin = max(1, line - CONTEXT)
    return [
        (number, cut(text.rstrip("\n"), MAX_LINE))
        for number, text in enumerate(lines[begin - 1 : line + CONTEXT], begin)
    ]


def _message(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return str(error.msg)
    try:
        text = str(error)
    except Exception as failure:
        text = f"(its text cannot be had: {type(failure).__name__})"
    notes = getattr(error, "__notes__", None)
    return "\n".join([text, *map(str, notes)]) if isinstance(notes, list) else text


def cut(text: str, size: int) -> str:
    """Return the beginning of a text that may be too long."""
    return text if len(text) <= size else f"{text[:size]}…"


def place(file: str) -> str:
    """Return the path of a file as short as it is understood from here."""
    return file.removeprefix(os.path.join(os.getcwd(), ""))


def from_here(text: str) -> str:
    """Return text in which paths are as short as they are understood from here."""
    return text.replace(os.path.join(os.getcwd(), ""), "")


def text_of(traces: list[Trace], *, libraries: bool = False) -> str:
    """Return exceptions as text, as Python shows them: what caused one stands above it.

    Args:
        traces: of one exception.
        libraries: with the frames of libraries; without it, only those of exceptions that have
            no others, and how many there are.
    """
    return "\n".join(line for trace in reversed(traces) for line in _lines(trace, libraries))


def _lines(trace: Trace, libraries: bool) -> Iterator[str]:
    every = libraries or not any(frame.own for frame in trace.frames)
    hidden = trace.left_out
    for frame in trace.frames:
        if not frame.own and not every:
            hidden += 1
            continue
        if hidden:
            yield _left_out(hidden)
            hidden = 0
        where = f", in {frame.function}" if frame.function else ""
        yield f"  {place(frame.file)}:{frame.line}{where}"
        yield from (f"    {text.strip()}" for number, text in frame.source if number == frame.line)
    if hidden:
        yield _left_out(hidden)
    yield f"{trace.name}: {trace.message}" if trace.message else trace.name
    if trace.relation:
        words = {"caused by": "which caused", "while handling": "while that was handled"}
        yield f"-- {words.get(trace.relation, trace.relation)}:"


def _left_out(count: int) -> str:
    return f"  … {count} {'frame' if count == 1 else 'frames'} of libraries"
