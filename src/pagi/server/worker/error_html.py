"""The page of an error: one document that loads nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from typing import Final, NamedTuple

from pagi.server.worker.traces import Frame, Trace, place

__all__ = ["CONTENT_POLICY", "Failure", "html_of"]


class Failure(NamedTuple):
    """What is shown.

    Attributes:
        title: type of the exception, or what went wrong.
        message: in words.
        traces: the exception and its causes.
        detail: more lines, as they came.
        request: names and values.
        fields: of the request's head, masked.
        versions: in one line.
    """

    title: str
    message: str
    traces: list[Trace]
    detail: str
    request: list[tuple[str, str]]
    fields: list[tuple[str, str]]
    versions: str


_STYLE: Final = """\
:root{color-scheme:light dark;--back:#fbfbfa;--card:#fff;--ink:#1c1e21;--soft:#62676e;
--line:#dfe1e4;--red:#b3261e;--mark:#fdeceb;--code:#f4f5f6}
@media (prefers-color-scheme:dark){:root{--back:#16181b;--card:#1e2125;--ink:#e6e7e9;
--soft:#9aa0a8;--line:#33373d;--red:#ff8a80;--mark:#43211f;--code:#17191c}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main,header>div{max-width:62rem;margin:0 auto;padding:0 1.5rem}
header{background:var(--card);border-top:4px solid var(--red);
border-bottom:1px solid var(--line);padding:1.6rem 0 1.4rem}
h1{margin:0;color:var(--red);font-size:1.05rem;font-weight:600}
.message{margin:.35rem 0 .8rem;font-size:1.45rem;line-height:1.35;font-weight:600;
white-space:pre-wrap;overflow-wrap:anywhere;max-height:14rem;overflow-y:auto}
.request{margin:0;color:var(--soft);font-family:ui-monospace,Menlo,Consolas,monospace;
font-size:.88rem;overflow-wrap:anywhere}
h2{margin:2rem 0 .7rem;font-size:1rem}
h2 small{color:var(--soft);font-weight:400;font-size:inherit}
.frame,.fold,.detail,table{background:var(--card);border:1px solid var(--line);border-radius:6px;
margin:0 0 .6rem;overflow:hidden}
.frame>p{margin:0;padding:.5rem .9rem;font-size:.88rem;overflow-wrap:anywhere}
.frame>p b{font-weight:600}
.frame>p span,summary{color:var(--soft)}
.fold{background:none;border-style:dashed}
.fold>summary{padding:.4rem .9rem;font-size:.85rem;cursor:pointer}
.fold .frame{margin:.6rem;border-radius:4px}
pre{margin:0;font:13px/1.6 ui-monospace,Menlo,Consolas,monospace;tab-size:4}
.code{background:var(--code);border-top:1px solid var(--line);padding:.4rem 0;overflow-x:auto}
.code>span{display:block;width:max-content;min-width:100%;padding-right:1rem}
.code i{display:inline-block;width:4rem;padding-right:1rem;text-align:right;
color:var(--soft);font-style:normal;user-select:none}
.code .hit{background:var(--mark);font-weight:600}
.code .hit i{color:var(--red)}
.detail{padding:.8rem .9rem;overflow-x:auto;white-space:pre-wrap}
table{width:100%;border-spacing:0;font-size:.85rem;table-layout:fixed}
th,td{text-align:left;vertical-align:top;padding:.3rem .9rem;border-top:1px solid var(--line);
overflow-wrap:anywhere}
tr:first-child>*{border-top:0}
th{width:14rem;font-weight:400;color:var(--soft)}
td{font-family:ui-monospace,Menlo,Consolas,monospace}
footer{margin:2rem 0 2.5rem;color:var(--soft);font-size:.85rem}
@media (max-width:40rem){main,header>div{padding:0 1rem}th{width:8rem}.code i{width:3rem}}
"""

_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest())
#: Nothing is loaded or run, nobody may put it into a frame; only this style applies.
CONTENT_POLICY: Final = (
    b"default-src 'none'; style-src 'sha256-" + _HASH + b"'; base-uri 'none'; "
    b"form-action 'none'; frame-ancestors 'none'"
)


def html_of(failure: Failure) -> str:
    """Return the whole page. Every text in it is escaped."""
    line = " ".join(value for name, value in failure.request if name in ("Method", "Path"))
    title = f"{failure.title}: {failure.message}" if failure.message else failure.title
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{escape(title[:200])}</title><style>{_STYLE}</style></head><body>",
            f"<header><div><h1>{escape(failure.title)}</h1>",
            f'<p class="message">{escape(failure.message)}</p>' if failure.message else "",
            f'<p class="request">{escape(line)}</p></div></header>\n<main>',
            *(_trace(trace) for trace in failure.traces),
            _detail(failure.detail),
            _table("Request", [*failure.request, *failure.fields]),
            f"<footer>{escape(failure.versions)}. This page is shown in development only; "
            "in production the answer is a plain 500.</footer>",
            "</main></body></html>\n",
        )
    )


def _detail(text: str) -> str:
    return f'<h2>Details</h2><pre class="detail">{escape(text)}</pre>' if text else ""


def _trace(trace: Trace) -> str:
    if trace.relation:
        heading = f"{escape(trace.relation.capitalize())} {escape(trace.name)}"
        message = f" <small>{escape(trace.message)}</small>" if trace.message else ""
    else:
        heading, message = "Traceback", " <small>most recent call last</small>"
    if not trace.frames and not trace.relation:
        return ""
    return f"<h2>{heading}{message}</h2>\n{''.join(_groups(trace))}"


def _groups(trace: Trace) -> Iterator[str]:
    """Yield own frames, and those of libraries folded, several in a row together."""
    last = trace.frames[-1] if trace.frames else None
    all_hidden = not any(frame.own for frame in trace.frames)
    left_out = trace.left_out
    for is_open, group in groupby(
        trace.frames, lambda frame: frame.own or (all_hidden and frame is last)
    ):
        frames = list(group)
        if is_open:
            yield from map(_frame, frames)
        else:
            yield _fold(frames)
    if left_out:
        yield f'<p class="request">… {left_out} more frames in the middle are left out</p>'


def _fold(frames: Iterable[Frame]) -> str:
    frames = list(frames)
    count = "1 frame" if len(frames) == 1 else f"{len(frames)} frames"
    inside = "".join(map(_frame, frames))
    return f'<details class="fold"><summary>{count} of libraries</summary>{inside}</details>\n'


def _frame(frame: Frame) -> str:
    where = f"<b>{escape(place(frame.file))}</b><span>:{frame.line}"
    if frame.function:
        where += f", in {escape(frame.function)}"
    return f'<div class="frame"><p>{where}</span></p>{_source(frame)}</div>\n'


def _source(frame: Frame) -> str:
    if not frame.source:
        return ""
    lines = "".join(_line(number, text, frame.line) for number, text in frame.source)
    return f'<pre class="code">{lines}</pre>'


def _line(number: int, text: str, hit: int) -> str:
    mark = ' class="hit"' if number == hit else ""
    return f"<span{mark}><i>{number}</i>{escape(text) or ' '}</span>"


def _table(heading: str, rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in rows)
    return f"<h2>{heading}</h2><table>{cells}</table>"
