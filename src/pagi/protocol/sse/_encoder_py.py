"""Events and comments to bytes, by the format of WHATWG HTML §9.2.5 and §9.2.6. Two builds.

A parser ends a line at CR LF, LF or CR, and nowhere else. Text that may have several lines is
split at exactly these; a field of one line that holds one is refused, because what follows it
would be a field of its own.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pagi.protocol.errors import LocalProtocolError

__all__ = ["CONTENT_TYPE", "encode_comment", "encode_event"]

#: Media type of an event stream. It has no parameters: an event stream is always UTF-8.
CONTENT_TYPE: Final = b"text/event-stream"

_LINE_END: Final = re.compile("\r\n|\r|\n")


def encode_event(
    data: str | None = None,
    event: str | None = None,
    id: str | None = None,
    retry: int | None = None,
) -> bytes:
    """Return an event as bytes, its empty line included.

    Args:
        data: the text; each of its lines becomes a ``data`` line. ``None``: no such line, so that
            the client takes note of ``id`` and ``retry`` and dispatches nothing.
        event: its type; empty is as good as none.
        id: what the client sends as ``Last-Event-ID`` when it reconnects. An empty one makes it
            forget the last.
        retry: how long the client waits before it reconnects, in milliseconds.

    Raises:
        LocalProtocolError: a field has the wrong type, ``event`` or ``id`` holds a line end,
            ``id`` holds a NUL (clients ignore such an id), or ``retry`` is negative.
    """
    lines = ""
    if event is not None:
        _check_line("event", event)
        if event:
            lines = f"event: {event}\n"
    if data is not None:
        if type(data) is not str:
            _check_text("data", data)
        if "\n" in data or "\r" in data:
            lines += "".join([f"data: {line}\n" for line in _LINE_END.split(data)])
        else:
            lines += f"data: {data}\n"
    if id is not None:
        _check_line("id", id)
        if "\0" in id:
            raise LocalProtocolError("the id of an event holds a NUL, and clients would ignore it")
        lines += f"id: {id}\n" if id else "id\n"
    if retry is not None:
        if type(retry) is not int or retry < 0:
            raise LocalProtocolError(
                f"retry must be a whole number of milliseconds from 0 up; got {retry!r:.40}"
            )
        lines += f"retry: {retry}\n"
    return _as_utf8(lines + "\n")


def encode_comment(comment: str) -> bytes:
    """Return a comment as bytes: each line of the text behind a colon, and an empty line.

    Raises:
        LocalProtocolError: it is not text.
    """
    _check_text("comment", comment)
    lines = "".join([f": {line}\n" if line else ":\n" for line in _LINE_END.split(comment)])
    return _as_utf8(lines + "\n")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise LocalProtocolError(f"{name} must be text; got {type(value).__name__}")


def _check_line(name: str, value: Any) -> None:
    _check_text(name, value)
    if "\n" in value or "\r" in value:
        raise LocalProtocolError(f"the {name} of an event holds a line end")


def _as_utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError(
            "the text of an event holds half of a surrogate pair, which UTF-8 cannot express"
        ) from None
