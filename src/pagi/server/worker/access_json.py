"""The access log as JSON: one object on each line."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as quote
from typing import Any, Final

from pagi.server.worker.access_pieces import DIGITS, link, literal, remembering

__all__ = ["make_render", "make_render_rejected"]

_STATUS: Final = '{status or "null"}'
_REASON: Final = '{quote(reason) if reason else "null"}'
_CLIENT: Final = '{quote(client) if client else "null"}'
_TIME: Final = '"{clock.iso()}"'
_AGENT: Final = '{seen(v := (f := dict(scope["headers"])).get(USER_AGENT)) or remember(v)}'


def _object(*members: tuple[str, str], tail: str = "") -> str:
    """Make the inside of an f-string for an object; ``tail`` brings its own names."""
    body = ",".join(f'"{name}":{value}' for name, value in members)
    return literal("{") + body + tail + literal("}\n")


_LINE: Final = _object(
    ("time", _TIME),
    ("client", _CLIENT),
    ("method", '{quote(scope["method"])}'),
    ("path", '{quote(scope["raw_path"].decode("latin-1"))}'),
    ("query", '{quote(q.decode("latin-1")) if (q := scope["query_string"]) else EMPTY}'),
    ("http_version", '{quote(scope["http_version"])}'),
    ("status", _STATUS),
    ("bytes", "{sent}"),
    (
        "duration",
        "{(i := int(duration * 1000000 + 0.5)) // 1000000}"
        ".{DIGITS[i // 1000 % 1000]}{DIGITS[i % 1000]}",
    ),
    ("reason", _REASON),
    ("user_agent", _AGENT),
    ("referer", "{seen(v := f.get(REFERER)) or remember(v)}"),
    tail=(
        '{member("request_id", f[REQUEST_ID]) if REQUEST_ID in f else ""}'
        '{member("traceparent", f[TRACEPARENT]) if TRACEPARENT in f else ""}'
    ),
)
_REJECTED: Final = _object(
    ("time", _TIME),
    ("client", _CLIENT),
    *((name, "null") for name in ("method", "path", "query", "http_version")),
    ("status", _STATUS),
    *((name, "null") for name in ("bytes", "duration")),
    ("reason", _REASON),
    *((name, "null") for name in ("user_agent", "referer")),
    ("detail", "{quote(detail)}"),
)


def _member(name: str, raw: bytes) -> str:
    return f',"{name}":{quote(raw.decode("latin-1"))}'


def make_render(clock: Any) -> Any:
    """Make the function for requests that were given to the application."""
    seen, remember = remembering(lambda raw: quote(raw.decode("latin-1")), "null")
    names: dict[str, object] = {
        "clock": clock,
        "quote": quote,
        "DIGITS": DIGITS,
        "seen": seen,
        "remember": remember,
        "member": _member,
        "EMPTY": '""',
        "USER_AGENT": b"user-agent",
        "REFERER": b"referer",
        "REQUEST_ID": b"x-request-id",
        "TRACEPARENT": b"traceparent",
    }
    return link(_LINE, "client, scope, status, sent, duration, reason", names)


def make_render_rejected(clock: Any) -> Any:
    """Make the function for requests that no application saw."""
    return link(_REJECTED, "client, status, reason, detail", {"clock": clock, "quote": quote})
