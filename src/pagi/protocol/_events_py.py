"""What a machine returns from ``receive_data``: one vocabulary for every version of HTTP.

Events are immutable by convention, not by force: a frozen dataclass costs four times as much.
``stream_id`` is the HTTP/2 stream, and 1, 2, 3… for the successive requests of HTTP/1.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = [
    "BodyReceived",
    "BytesReceived",
    "ConnectionEnded",
    "ConnectionFailed",
    "Event",
    "Fields",
    "MessageComplete",
    "RequestReceived",
    "StreamReset",
]

#: Header or trailer fields in wire order, duplicates kept, names in lower case.
Fields: TypeAlias = list[tuple[bytes, bytes]]


class Event:
    """Base of all events."""

    __slots__ = ("stream_id",)

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id

    def _shown(self) -> dict[str, object]:
        names = [name for kind in type(self).__mro__ for name in getattr(kind, "__slots__", ())]
        return {name: getattr(self, name) for name in sorted(names)}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._shown().items())
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event) or type(self) is not type(other):
            return NotImplemented
        return self._shown() == other._shown()

    __hash__ = None  # type: ignore[assignment]  # events hold lists and are compared by value


class RequestReceived(Event):
    """A request head is complete.

    Attributes:
        method: the method as sent (case-sensitive, RFC 9110 §9.1).
        raw_path: path of the target, percent-encoding kept; ``b"*"`` for ``OPTIONS *``; empty for
            CONNECT.
        query_string: what follows the first ``?``, without it.
        fields: header fields; several ``cookie`` fields have been joined with ``"; "``. The
            ``host`` field agrees with an absolute-form target (RFC 9112 §3.2.2).
        http_version: ``"1.0"``, ``"1.1"`` or ``"2"``.
        end: the message has no body: no `BodyReceived` or `MessageComplete` follows.
        content_length: the declared body length in bytes, or ``None`` if none was declared.
        expect_continue: the client waits for ``100 (Continue)`` before it sends the body.
        upgrade: the protocol in ``Upgrade`` (lower case) when ``Connection`` asks for it and the
            version allows it, otherwise ``None``.
        scheme: from an absolute-form target or ``:scheme``, otherwise ``None``.
        authority: target of CONNECT, otherwise ``None``.
    """

    __slots__ = (
        "authority",
        "content_length",
        "end",
        "expect_continue",
        "fields",
        "http_version",
        "method",
        "query_string",
        "raw_path",
        "scheme",
        "upgrade",
    )

    def __init__(
        self,
        stream_id: int,
        method: str,
        raw_path: bytes,
        query_string: bytes,
        fields: Fields,
        http_version: str = "1.1",
        end: bool = True,
        content_length: int | None = None,
        expect_continue: bool = False,
        upgrade: bytes | None = None,
        scheme: str | None = None,
        authority: bytes | None = None,
    ) -> None:
        self.stream_id = stream_id
        self.method = method
        self.raw_path = raw_path
        self.query_string = query_string
        self.fields = fields
        self.http_version = http_version
        self.end = end
        self.content_length = content_length
        self.expect_continue = expect_continue
        self.upgrade = upgrade
        self.scheme = scheme
        self.authority = authority


class BodyReceived(Event):
    """Some bytes of a request body, transfer coding removed."""

    __slots__ = ("data",)

    def __init__(self, stream_id: int, data: bytes) -> None:
        self.stream_id = stream_id
        self.data = data


class MessageComplete(Event):
    """The request body is complete; ``trailers`` are the fields that followed it."""

    __slots__ = ("trailers",)

    def __init__(self, stream_id: int, trailers: Fields) -> None:
        self.stream_id = stream_id
        self.trailers = trailers


class BytesReceived(Event):
    """Opaque bytes of a tunnel, after ``switch``."""

    __slots__ = ("data",)

    def __init__(self, stream_id: int, data: bytes) -> None:
        self.stream_id = stream_id
        self.data = data


class StreamReset(Event):
    """One exchange was ended by the peer or by a fault of the peer; the others live.

    Attributes:
        reason: disconnect reason token.
        detail: what happened, in our words, without peer data; for the log.
        status: status of the error response that was queued, or 0 if none was.
    """

    __slots__ = ("detail", "reason", "status")

    def __init__(self, stream_id: int, reason: str, detail: str = "", status: int = 0) -> None:
        self.stream_id = stream_id
        self.reason = reason
        self.detail = detail
        self.status = status


class ConnectionFailed(Event):
    """The peer broke the protocol: the farewell is queued, nothing more will be read.

    Attributes:
        reason: disconnect reason token for the exchanges that are open.
        status: status of the error response that was queued, or 0 if none could be.
        detail: what was wrong, in our words, without peer data; for the log.
    """

    __slots__ = ("detail", "reason", "status")

    def __init__(self, stream_id: int, reason: str, status: int, detail: str) -> None:
        self.stream_id = stream_id
        self.reason = reason
        self.status = status
        self.detail = detail


class ConnectionEnded(Event):
    """The peer will send no more (it closed its sending side between messages)."""

    __slots__ = ()
