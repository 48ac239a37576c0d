"""What a client sees of an error of the application, in development: all that helps to find it.

As a page for browsers, as JSON for those who ask for it, else as text. Secrets of the request are
masked, and everything is bounded. Nothing of this is loaded in production.
"""

from __future__ import annotations

import json
import logging
import platform
import re
from collections.abc import Iterator
from typing import Any, Final

from pagi import __version__
from pagi.server.worker.error_html import CONTENT_POLICY, Failure, html_of
from pagi.server.worker.traces import cut, place, read_traces, text_of

__all__ = ["MASK", "failure_response", "show_error"]

MASK: Final = "••••••"
MAX_FIELDS: Final = 100
MAX_VALUE: Final = 500

_SECRET: Final = re.compile(
    r"auth|cookie|token|secret|passw|pwd|passphrase|credential|api.?key|private|session|csrf|xsrf"
    r"|signature|jwt|bearer|\bsig\b|key\b|\bcode\b",
    re.IGNORECASE,
)


_Response = tuple[list[tuple[bytes, bytes]], bytes]


def show_error(scope: dict[str, Any], error: BaseException | None) -> _Response | None:
    """Return fields and body of a response that shows an error. Never raises.

    Args:
        scope: of the request.
        error: what the application raised; None if it returned without a response.
    """
    try:
        if error is None:
            return failure_response(
                scope, "No response", "The application returned without sending a response.", None
            )
        first = read_traces(error)[0]
        return failure_response(scope, first.name, first.message, error)
    except Exception:
        logging.getLogger("pagi.server").exception("the error page cannot be made")
        return None


def failure_response(
    scope: dict[str, Any],
    title: str,
    message: str,
    error: BaseException | None,
    detail: str = "",
) -> _Response:
    """Return fields and body of a response in the form that the client prefers."""
    failure = Failure(
        title,
        message,
        [] if error is None else read_traces(error),
        detail,
        list(_request(scope)),
        _fields(scope),
        f"Python {platform.python_version()}, pagi {__version__}",
    )
    kind = _preferred(scope)
    if kind == "html":
        text, media = html_of(failure), "text/html"
    elif kind == "json":
        text, media = json.dumps(_object(failure), indent=2), "application/json"
    else:
        text, media = _text(failure), "text/plain"
    fields = [
        (b"content-type", f"{media}; charset=utf-8".encode() if kind != "json" else media.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"content-security-policy", CONTENT_POLICY),
    ]
    return fields, text.encode("utf-8", "backslashreplace")


def _preferred(scope: dict[str, Any]) -> str:
    """Return what of html, json and text the client names first; text if it names none."""
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    for part in accept.decode("latin-1").lower().split(","):
        media = part.partition(";")[0].strip()
        if media in ("text/html", "application/xhtml+xml"):
            return "html"
        if media == "application/json" or media.endswith("+json"):
            return "json"
        if media == "text/plain":
            return "text"
    return "text"


# --- the request -----------------------------------------------------------------------------


def _request(scope: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Method", scope.get("method", scope["type"])
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    yield "Path", cut(f"{path}?{_masked_query(query)}" if query else path, MAX_VALUE)
    yield "HTTP", scope["http_version"]
    client = scope.get("client")
    if client:
        yield "Client", f"{client[0]}:{client[1]}"


def _masked_query(query: str) -> str:
    pairs = []
    for pair in query.split("&"):
        name, equals, _ = pair.partition("=")
        pairs.append(f"{name}={MASK}" if equals and _SECRET.search(name) else pair)
    return "&".join(pairs)


def _fields(scope: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        _field(name.decode("latin-1"), value.decode("latin-1"))
        for name, value in scope["headers"][:MAX_FIELDS]
    ]


def _field(name: str, value: str) -> tuple[str, str]:
    if _SECRET.search(name):
        return name, MASK
    if name == "referer" and "?" in value:
        address, _, query = value.partition("?")
        value = f"{address}?{_masked_query(query)}"
    return name, cut(value, MAX_VALUE)


# --- forms -----------------------------------------------------------------------------------


def _text(failure: Failure) -> str:
    head = failure.title if not failure.message else f"{failure.title}: {failure.message}"
    request = " ".join(value for name, value in failure.request if name in ("Method", "Path"))
    parts = [f"{head}\n{request}"]
    if failure.traces:
        parts.append(text_of(failure.traces))
    if failure.detail:
        parts.append(failure.detail)
    parts.append("\n".join(f"{name}: {value}" for name, value in failure.fields))
    parts.append(failure.versions)
    return "\n\n".join(parts) + "\n"


def _object(failure: Failure) -> dict[str, Any]:
    return {
        "error": failure.title,
        "message": failure.message,
        "exceptions": [
            {
                "relation": trace.relation,
                "type": trace.name,
                "message": trace.message,
                "frames": [
                    {
                        "file": place(frame.file),
                        "line": frame.line,
                        "function": frame.function,
                        "own": frame.own,
                    }
                    for frame in trace.frames
                ],
            }
            for trace in failure.traces
        ],
        "detail": failure.detail,
        "request": {name.lower(): value for name, value in failure.request},
        "headers": failure.fields,
        "versions": failure.versions,
    }
