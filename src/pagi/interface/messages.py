"""The shapes of messages: what passes through ``receive`` and ``send``.

One class per message, named after its ``type``. A message is a plain ``dict``; unknown keys are
ignored in both directions. Keys marked ``NotRequired`` may be left out and then have the default
that the docstring gives. Names that ASGI also has mean what they mean there.
"""

import os
from collections.abc import Iterable
from typing import IO, Literal, NotRequired, TypeAlias, TypedDict

from pagi.interface.scopes import Headers
from pagi.interface.tokens import DisconnectReason

__all__ = [
    "HTTPDisconnect",
    "HTTPEarlyHint",
    "HTTPFullFlush",
    "HTTPReceiveMessage",
    "HTTPRequest",
    "HTTPResponseBody",
    "HTTPResponsePathsend",
    "HTTPResponseStart",
    "HTTPResponseTrailers",
    "HTTPResponseZeroCopySend",
    "HTTPSendMessage",
    "LifespanReceiveMessage",
    "LifespanSendMessage",
    "LifespanShutdown",
    "LifespanShutdownComplete",
    "LifespanShutdownFailed",
    "LifespanShutdownNotice",
    "LifespanStartup",
    "LifespanStartupComplete",
    "LifespanStartupFailed",
    "ReceiveMessage",
    "SSEClose",
    "SSEComment",
    "SSEDisconnect",
    "SSEKeepalive",
    "SSEReceiveMessage",
    "SSERequest",
    "SSESend",
    "SSESendMessage",
    "SSEStart",
    "SendHeaders",
    "SendMessage",
    "WebSocketAccept",
    "WebSocketClose",
    "WebSocketConnect",
    "WebSocketDisconnect",
    "WebSocketKeepalive",
    "WebSocketReceive",
    "WebSocketReceiveMessage",
    "WebSocketResponseBody",
    "WebSocketResponseStart",
    "WebSocketSend",
    "WebSocketSendMessage",
]

#: Fields the application sends: pairs of bytes, in the order in which they go out. A CR, LF or NUL
#: in a name or value is refused.
SendHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]


# --- http: receive ---------------------------------------------------------------------------


class HTTPRequest(TypedDict):
    """Some of the request body.

    Keys:
        body: bytes with the transfer coding removed; may be empty.
        more_body: more such messages follow.
        trailers: trailer fields of the request; only on the last message, only if there were any
            (RFC 9110 §6.5). Never merged into the headers.
    """

    type: Literal["http.request"]
    body: bytes
    more_body: bool
    trailers: NotRequired[Headers]


class HTTPDisconnect(TypedDict):
    """The exchange is over: the client has gone, or the response is complete.

    Keys:
        reason: why, if it ended abnormally; absent after a clean end.
    """

    type: Literal["http.disconnect"]
    reason: NotRequired[DisconnectReason]


# --- http: send ------------------------------------------------------------------------------


class HTTPResponseStart(TypedDict):
    """Status and fields of the response.

    Keys:
        status: 200 to 999.
        headers: fields; default none.
        trailers: `HTTPResponseTrailers` will follow the body; default false.
    """

    type: Literal["http.response.start"]
    status: int
    headers: NotRequired[SendHeaders]
    trailers: NotRequired[bool]


class HTTPResponseBody(TypedDict):
    """Some of the response body: bytes, or a file, or an open file. At most one of the three.

    Keys:
        body: the bytes; default empty.
        file: path of a regular file; the server opens and closes it. Completes the body.
        fh: an object with ``read(size) -> bytes``, and ``seek`` if ``offset`` is given. The
            application closes it after ``send`` has returned. Completes the body.
        offset: where to begin in the file, in bytes from its start; default 0 (``fh``: where it
            stands). Past the end it sends nothing.
        length: how many bytes at most; default to the end of the file.
        more_body: more such messages follow; default false. Ignored with ``file`` and ``fh``.
    """

    type: Literal["http.response.body"]
    body: NotRequired[bytes]
    file: NotRequired[str | os.PathLike[str]]
    fh: NotRequired[IO[bytes]]
    offset: NotRequired[int]
    length: NotRequired[int]
    more_body: NotRequired[bool]


class HTTPResponseTrailers(TypedDict):
    """Trailer fields after the body; allowed if the start announced them.

    Keys:
        headers: the fields; default none.
        more_trailers: more such messages follow; default false.
    """

    type: Literal["http.response.trailers"]
    headers: NotRequired[SendHeaders]
    more_trailers: NotRequired[bool]


class HTTPResponsePathsend(TypedDict):
    """The body is this file (ASGI extension). Completes the body.

    Keys:
        path: absolute path of a regular file.
    """

    type: Literal["http.response.pathsend"]
    path: str


class HTTPResponseZeroCopySend(TypedDict):
    """Body bytes out of an open file descriptor, past the memory of the process if possible.

    Keys:
        file: an open file with a ``fileno``, or a descriptor. The application closes it after
            ``send`` has returned.
        offset: where to begin; default where the file stands, which then moves on.
        count: how many bytes at most; default to the end of the file.
        more_body: more body messages follow; default false.
    """

    type: Literal["http.response.zerocopysend"]
    file: IO[bytes] | int
    offset: NotRequired[int]
    count: NotRequired[int]
    more_body: NotRequired[bool]


class HTTPEarlyHint(TypedDict):
    """An informational 103 response ahead of the final one (RFC 8297; ASGI extension).

    Keys:
        links: values of ``Link`` fields.
    """

    type: Literal["http.response.early_hint"]
    links: Iterable[bytes]


class HTTPFullFlush(TypedDict):
    """Wait until all that was sent so far has left the process."""

    type: Literal["http.fullflush"]


# --- sse -------------------------------------------------------------------------------------


class SSERequest(TypedDict):
    """Some of the request body; keys as in `HTTPRequest`."""

    type: Literal["sse.request"]
    body: bytes
    more_body: bool
    trailers: NotRequired[Headers]


class SSEDisconnect(TypedDict):
    """The stream is over.

    Keys:
        reason: why, if it ended abnormally; absent after `SSEClose`.
    """

    type: Literal["sse.disconnect"]
    reason: NotRequired[DisconnectReason]


class SSEStart(TypedDict):
    """Begin the event stream.

    Keys:
        status: default 200.
        headers: fields besides ``content-type``, which the server adds; default none.
    """

    type: Literal["sse.start"]
    status: NotRequired[int]
    headers: NotRequired[SendHeaders]


class SSESend(TypedDict):
    """One event.

    Keys:
        data: the text; each of its lines becomes a ``data`` line.
        event: name of the event; no line ends.
        id: value for the client's ``Last-Event-ID``; no line ends, no NUL.
        retry: how long the client waits before it reconnects, in milliseconds.
    """

    type: Literal["sse.send"]
    data: str
    event: NotRequired[str]
    id: NotRequired[str]
    retry: NotRequired[int]


class SSEComment(TypedDict):
    """A comment, which clients ignore.

    Keys:
        comment: the text; each of its lines becomes a comment line.
    """

    type: Literal["sse.comment"]
    comment: str


class SSEKeepalive(TypedDict):
    """Send a comment whenever the stream was silent for a while. The last such message counts.

    Keys:
        interval: seconds of silence; 0 ends it.
        comment: the text; default empty.
    """

    type: Literal["sse.keepalive"]
    interval: float
    comment: NotRequired[str]


class SSEClose(TypedDict):
    """End the stream, cleanly.

    Keys:
        reason: text for the server's log; the client does not see it.
    """

    type: Literal["sse.close"]
    reason: NotRequired[str]


# --- websocket -------------------------------------------------------------------------------


class WebSocketConnect(TypedDict):
    """The client asks for a WebSocket: accept it or refuse it."""

    type: Literal["websocket.connect"]


class WebSocketReceive(TypedDict):
    """A message. One of the two is present and not ``None``.

    Keys:
        text: text message.
        bytes: binary message.
    """

    type: Literal["websocket.receive"]
    text: NotRequired[str | None]
    bytes: NotRequired[bytes | None]


class WebSocketDisconnect(TypedDict):
    """The WebSocket is over.

    Keys:
        code: close code (RFC 6455 §7.4); 1005 without one, 1006 without a closing handshake.
        reason: the peer's text, or our token if the end was abnormal.
    """

    type: Literal["websocket.disconnect"]
    code: int
    reason: str


class WebSocketAccept(TypedDict):
    """Accept the WebSocket.

    Keys:
        subprotocol: one of those offered; default none.
        headers: further fields of the answer; default none.
    """

    type: Literal["websocket.accept"]
    subprotocol: NotRequired[str | None]
    headers: NotRequired[SendHeaders]


class WebSocketSend(TypedDict):
    """Send a message. Exactly one of the two is present and not ``None``.

    Keys:
        text: text message.
        bytes: binary message.
    """

    type: Literal["websocket.send"]
    text: NotRequired[str | None]
    bytes: NotRequired[bytes | None]


class WebSocketKeepalive(TypedDict):
    """Send pings. The last such message counts.

    Keys:
        interval: seconds between pings; 0 ends them.
        timeout: seconds to wait for the pong before the peer counts as dead; default no wait.
    """

    type: Literal["websocket.keepalive"]
    interval: float
    timeout: NotRequired[float | None]


class WebSocketClose(TypedDict):
    """Begin the closing handshake; before the accept, refuse with 403.

    Keys:
        code: close code; default 1000.
        reason: text for the peer, at most 123 bytes as UTF-8; default empty.
    """

    type: Literal["websocket.close"]
    code: NotRequired[int]
    reason: NotRequired[str | None]


class WebSocketResponseStart(TypedDict):
    """Refuse with a response of one's own; keys as in `HTTPResponseStart`."""

    type: Literal["websocket.http.response.start"]
    status: int
    headers: NotRequired[SendHeaders]


class WebSocketResponseBody(TypedDict):
    """Body of the refusal; keys as in `HTTPResponseBody`."""

    type: Literal["websocket.http.response.body"]
    body: NotRequired[bytes]
    more_body: NotRequired[bool]


# --- lifespan --------------------------------------------------------------------------------


class LifespanStartup(TypedDict):
    """Get ready; no request comes before the answer."""

    type: Literal["lifespan.startup"]


class LifespanShutdown(TypedDict):
    """Clean up; no request is open any more."""

    type: Literal["lifespan.shutdown"]


class LifespanShutdownNotice(TypedDict):
    """A stop or restart begins; requests are still open. Needs no answer."""

    type: Literal["lifespan.shutdown.notice"]


class LifespanStartupComplete(TypedDict):
    """Ready.

    Keys:
        shutdown_notice: deliver `LifespanShutdownNotice` when a stop begins; default false.
    """

    type: Literal["lifespan.startup.complete"]
    shutdown_notice: NotRequired[bool]


class LifespanStartupFailed(TypedDict):
    """Not ready: the server does not start.

    Keys:
        message: text for the operator; default empty.
    """

    type: Literal["lifespan.startup.failed"]
    message: NotRequired[str]


class LifespanShutdownComplete(TypedDict):
    """Cleaned up."""

    type: Literal["lifespan.shutdown.complete"]


class LifespanShutdownFailed(TypedDict):
    """Cleaning up failed; the server stops all the same.

    Keys:
        message: text for the operator; default empty.
    """

    type: Literal["lifespan.shutdown.failed"]
    message: NotRequired[str]


# --- unions ----------------------------------------------------------------------------------

HTTPReceiveMessage: TypeAlias = HTTPRequest | HTTPDisconnect
HTTPSendMessage: TypeAlias = (
    HTTPResponseStart
    | HTTPResponseBody
    | HTTPResponseTrailers
    | HTTPResponsePathsend
    | HTTPResponseZeroCopySend
    | HTTPEarlyHint
    | HTTPFullFlush
)
SSEReceiveMessage: TypeAlias = SSERequest | SSEDisconnect
SSESendMessage: TypeAlias = (
    SSEStart | SSESend | SSEComment | SSEKeepalive | SSEClose | HTTPFullFlush
)
WebSocketReceiveMessage: TypeAlias = WebSocketConnect | WebSocketReceive | WebSocketDisconnect
WebSocketSendMessage: TypeAlias = (
    WebSocketAccept
    | WebSocketSend
    | WebSocketKeepalive
    | WebSocketClose
    | WebSocketResponseStart
    | WebSocketResponseBody
)
LifespanReceiveMessage: TypeAlias = LifespanStartup | LifespanShutdownNotice | LifespanShutdown
LifespanSendMessage: TypeAlias = (
    LifespanStartupComplete
    | LifespanStartupFailed
    | LifespanShutdownComplete
    | LifespanShutdownFailed
)

ReceiveMessage: TypeAlias = (
    HTTPReceiveMessage | SSEReceiveMessage | WebSocketReceiveMessage | LifespanReceiveMessage
)
SendMessage: TypeAlias = (
    HTTPSendMessage | SSESendMessage | WebSocketSendMessage | LifespanSendMessage
)
