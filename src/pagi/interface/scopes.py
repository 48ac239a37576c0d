"""The shapes of scopes: what an application is told when it is called.

A scope is a plain ``dict``; the classes here are for readers and type checkers. `Scope` in
`pagi.interface.callables` stays wide, so that every ASGI application is a PAGI application; narrow
it by its ``type``::

    if scope["type"] == "http":
        request = cast(HTTPScope, scope)

Names that ASGI also has mean what they mean there (ASGI wins where the two differ).
"""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from pagi.interface.handles import ConnectionHandle, TransportHandle

__all__ = [
    "ASGIInfo",
    "AnyScope",
    "Extensions",
    "HTTPScope",
    "Headers",
    "LifespanExtensions",
    "LifespanInfo",
    "LifespanScope",
    "PAGIInfo",
    "SSEScope",
    "TLSInfo",
    "WebSocketScope",
]

#: Field lines in wire order, duplicates kept, names in lower case, values as they came. Several
#: ``cookie`` fields are joined into one with ``"; "`` (RFC 9113 §8.2.3).
Headers: TypeAlias = list[tuple[bytes, bytes]]


class ASGIInfo(TypedDict):
    """``scope["asgi"]``: which ASGI this is.

    Keys:
        version: ``"3.0"``.
        spec_version: version of the ASGI HTTP, WebSocket or lifespan text, ``"2.5"``.
    """

    version: str
    spec_version: str


class PAGIInfo(TypedDict):
    """``scope["pagi"]``: which PAGI this is. Absent on a plain ASGI server.

    Keys:
        version: version of the interface, ``"1.0"``.
        spec_version: version of the specification text, ``"1.0"``.
    """

    version: str
    spec_version: str


class LifespanInfo(PAGIInfo):
    """``scope["pagi"]`` of a lifespan scope.

    Keys:
        is_worker: true in a worker process that a supervisor started.
        worker_num: number of that worker, from 1; ``None`` without a supervisor.
    """

    is_worker: bool
    worker_num: int | None


class TLSInfo(TypedDict):
    """``scope["extensions"]["tls"]``: what is known of the TLS connection.

    Keys:
        server_cert: the certificate we showed, PEM; ``None`` if unknown.
        client_cert_chain: certificates the client showed, PEM, leaf first; empty if none.
        client_cert_name: subject of the client's certificate as an RFC 4514 string; ``None`` if
            there is none.
        client_cert_error: why the client's certificate was not verified; ``None`` if it was, or if
            there is none.
        tls_version: number of the protocol version as on the wire, ``0x0304`` for TLS 1.3; ``None``
            if unknown.
        cipher_suite: number of the cipher suite in the IANA registry; ``None`` if unknown.
    """

    server_cert: str | None
    client_cert_chain: list[str]
    client_cert_name: str | None
    client_cert_error: str | None
    tls_version: int | None
    cipher_suite: int | None


Extensions = TypedDict(
    "Extensions",
    {
        "fullflush": dict[str, Any],
        "http.response.early_hint": dict[str, Any],
        "http.response.pathsend": dict[str, Any],
        "http.response.trailers": dict[str, Any],
        "http.response.zerocopysend": dict[str, Any],
        "sse": dict[str, Any],
        "tls": TLSInfo,
        "websocket.http.response": dict[str, Any],
    },
    total=False,
)
"""``scope["extensions"]`` of a request: a key that is present may be used.

Keys:
    fullflush: `http.fullflush` may be sent.
    http.response.early_hint: `http.response.early_hint` may be sent.
    http.response.pathsend: `http.response.pathsend` may be sent.
    http.response.trailers: `http.response.trailers` may be announced and sent.
    http.response.zerocopysend: `http.response.zerocopysend` may be sent.
    sse: this http scope may be answered with the ``sse.*`` messages.
    tls: the connection is encrypted; what is known of it.
    websocket.http.response: a WebSocket may be refused with a response of one's own.
"""

LifespanExtensions = TypedDict(
    "LifespanExtensions", {"lifespan.shutdown.notice": dict[str, Any]}, total=False
)
"""``scope["extensions"]`` of a lifespan.

Keys:
    lifespan.shutdown.notice: the application may ask for `lifespan.shutdown.notice`.
"""

_Handles = TypedDict(
    "_Handles", {"pagi.connection": ConnectionHandle, "pagi.transport": TransportHandle}
)


class _RequestScope(_Handles):
    """What http, sse and websocket scopes have in common.

    Keys:
        asgi, pagi: versions.
        http_version: ``"1.0"``, ``"1.1"`` or ``"2"``.
        path: path of the target, percent-decoded, then decoded as UTF-8 (as Latin-1 if it is not
            UTF-8). Begins with ``root_path`` where one is set.
        raw_path: the same path as it came, percent-encoding kept, without the query string.
        query_string: what follows the first ``?`` of the target, still encoded; may be empty.
        root_path: prefix under which the application is mounted; ``""`` at the root.
        headers: fields of the request.
        client: address and port of the peer; ``None`` or absent on a Unix socket.
        server: address and port the request came in by; path and ``None`` on a Unix socket.
        state: shallow copy of the lifespan's state, one for each request; absent on servers
            that offer none.
        extensions: what this server offers beyond the core.
        pagi.connection: what becomes of this request.
        pagi.transport: how far behind the client is.
    """

    asgi: ASGIInfo
    pagi: PAGIInfo
    http_version: str
    path: str
    raw_path: bytes
    query_string: bytes
    root_path: str
    headers: Headers
    client: NotRequired[tuple[str, int] | None]
    server: NotRequired[tuple[str, int | None] | None]
    state: NotRequired[dict[str, Any]]
    extensions: Extensions


class HTTPScope(_RequestScope):
    """One HTTP request (RFC 9110 §3.3).

    Keys:
        method: as sent; methods are case-sensitive (RFC 9110 §9.1).
        scheme: ``"http"`` or ``"https"``.
    """

    type: Literal["http"]
    method: str
    scheme: str


class SSEScope(_RequestScope):
    """A request that wants an event stream, made to an application marked as native.

    Keys:
        method: as sent; any method.
        scheme: ``"http"`` or ``"https"``.
    """

    type: Literal["sse"]
    method: str
    scheme: str


class WebSocketScope(_RequestScope):
    """One WebSocket (RFC 6455; RFC 8441 over HTTP/2).

    Keys:
        scheme: ``"ws"`` or ``"wss"``.
        subprotocols: what the client offers, in its order; may be empty.
    """

    type: Literal["websocket"]
    scheme: str
    subprotocols: list[str]


class LifespanScope(TypedDict):
    """The life of one event loop that serves the application.

    Keys:
        asgi, pagi: versions, and which worker this is.
        state: dict the application may fill; each request gets a shallow copy.
        extensions: what this server offers beyond the core.
    """

    type: Literal["lifespan"]
    asgi: ASGIInfo
    pagi: LifespanInfo
    state: dict[str, Any]
    extensions: LifespanExtensions


AnyScope: TypeAlias = HTTPScope | SSEScope | WebSocketScope | LifespanScope
