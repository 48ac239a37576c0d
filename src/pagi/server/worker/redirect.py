"""The application of a listener whose role is ``redirect``."""

from __future__ import annotations

from typing import Any, Final

from pagi.interface.callables import App
from pagi.protocol.grammar import is_host

__all__ = ["redirect_to_https"]

_HTTPS_PORT: Final = 443


def redirect_to_https(port: int) -> App:
    """Return an application that leads every request to the same address over HTTPS.

    It answers 308, which keeps method and body (RFC 9110 §15.4.9). A request that does not name
    its host, which only HTTP/1.0 allows, is answered 400.

    Args:
        port: where TLS is spoken.
    """

    async def redirect(scope: Any, receive: Any, send: Any) -> None:
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        location = _location(host, port, scope)
        if location is None:
            text = b"This port redirects to HTTPS, and needs a host to do so.\n"
            await _answer(scope, send, 400, text, [])
        else:
            text = b"It is at %b\n" % location
            await _answer(scope, send, 308, text, [(b"location", location)])

    return redirect


def _location(host: bytes, port: int, scope: Any) -> bytes | None:
    if not host or not is_host(host):
        return None
    name, colon, digits = host.rpartition(b":")
    if colon and (digits.isdigit() or not digits):
        host = name
    if port != _HTTPS_PORT:
        host = b"%b:%d" % (host, port)
    path = scope["raw_path"]
    if not path.startswith(b"/"):  # OPTIONS *
        path = b"/"
    query = scope["query_string"]
    return b"https://%b%b%b" % (host, path, b"?" + query if query else b"")


async def _answer(
    scope: Any, send: Any, status: int, text: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    headers = [
        *headers,
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
    ]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": text})
