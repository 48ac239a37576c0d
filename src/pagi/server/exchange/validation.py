"""Checks of every field of an application's messages, for development.

The order of messages and what the server itself needs are always checked; this is the rest: wrong
types that would work by accident here and fail on another server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pagi.interface.errors import MessageError

__all__ = ["check_message"]

_Check = Callable[[Any], bool]


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_integer(value) and value >= 0


def _is_optional_count(value: Any) -> bool:
    return value is None or _is_count(value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, (bool, int)) and value in (0, 1)


def _is_fields(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(
        isinstance(pair, (list, tuple))
        and len(pair) == 2
        and isinstance(pair[0], bytes)
        and isinstance(pair[1], bytes)
        for pair in value
    )


def _is_bytes(value: Any) -> bool:
    return isinstance(value, (bytes, bytearray, memoryview))


def _is_links(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(link, bytes) for link in value)


def _is_path(value: Any) -> bool:
    return isinstance(value, str) or hasattr(value, "__fspath__")


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


_TEXT: Final = ("a str", lambda v: isinstance(v, str))
_OPTIONAL_TEXT: Final = ("a str", lambda v: v is None or isinstance(v, str))
_SECONDS: Final = ("a number of seconds, from 0 up", _is_seconds)
_FIELDS: Final = ("a list of pairs [name, value] of bytes", _is_fields)
_FLAG: Final = ("a bool", _is_flag)
_COUNT: Final = ("a non-negative int", _is_optional_count)

#: type → field → (required, what it must be, check)
_SHAPES: Final[Mapping[str, Mapping[str, tuple[bool, str, _Check]]]] = {
    "http.response.start": {
        "status": (True, "an int from 200 to 999", lambda v: _is_integer(v) and 200 <= v <= 999),
        "headers": (False, *_FIELDS),
        "trailers": (False, *_FLAG),
    },
    "http.response.body": {
        "body": (False, "bytes", _is_bytes),
        "more_body": (False, *_FLAG),
        "file": (False, "a path", _is_path),
        "fh": (False, "an object with read()", lambda v: hasattr(v, "read")),
        "offset": (False, *_COUNT),
        "length": (False, *_COUNT),
    },
    "http.response.trailers": {
        "headers": (False, *_FIELDS),
        "more_trailers": (False, *_FLAG),
    },
    "http.response.pathsend": {"path": (True, "a path", _is_path)},
    "http.response.zerocopysend": {
        "file": (True, "a file descriptor", lambda v: _is_count(v) or hasattr(v, "fileno")),
        "offset": (False, *_COUNT),
        "count": (False, *_COUNT),
        "more_body": (False, *_FLAG),
    },
    "sse.start": {
        "status": (False, "an int from 200 to 999", lambda v: _is_integer(v) and 200 <= v <= 999),
        "headers": (False, *_FIELDS),
    },
    "sse.send": {
        "data": (True, *_TEXT),
        "event": (False, *_OPTIONAL_TEXT),
        "id": (False, *_OPTIONAL_TEXT),
        "retry": (False, *_COUNT),
    },
    "sse.comment": {"comment": (True, *_TEXT)},
    "sse.keepalive": {"interval": (True, *_SECONDS), "comment": (False, *_TEXT)},
    "sse.close": {"reason": (False, *_OPTIONAL_TEXT)},
    "websocket.accept": {
        "subprotocol": (False, *_OPTIONAL_TEXT),
        "headers": (False, *_FIELDS),
    },
    "websocket.send": {
        "text": (False, *_OPTIONAL_TEXT),
        "bytes": (False, "bytes", lambda v: v is None or _is_bytes(v)),
    },
    "websocket.keepalive": {
        "interval": (True, *_SECONDS),
        "timeout": (False, "seconds", lambda v: v is None or _is_seconds(v)),
    },
    "websocket.close": {
        "code": (False, "an int", lambda v: v is None or _is_integer(v)),
        "reason": (False, *_OPTIONAL_TEXT),
    },
    "http.response.early_hint": {"links": (True, "a list of bytes", _is_links)},
}


def check_message(kind: str, message: Mapping[str, Any]) -> None:
    """Check the fields of a message; an unknown type and unknown fields pass.

    Raises:
        MessageError: a required field is missing, or a field has the wrong type.
    """
    shape = _SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        return
    for name, (required, expected, check) in shape.items():
        if name not in message:
            if required:
                raise MessageError(f"{kind} requires {name!r} ({expected})")
        elif not check(message[name]):
            raise MessageError(f"{kind}: {name!r} must be {expected}; got {message[name]!r}")
    if kind == "http.response.body" and sum(key in message for key in ("body", "file", "fh")) > 1:
        raise MessageError("http.response.body takes exactly one of body/file/fh")
