"""Errors of the machines.

    Exception
    └── ProtocolError
        ├── LocalProtocolError      our side (server or application) asked for the impossible
        │   └── ShortBodyError      … and the response is cut: its body ended too early
        └── RemoteProtocolError     the peer broke the rules; carries the answer it deserves
            └── StreamError         … on one stream only; the connection lives

``receive_*`` never raises on peer input: a `RemoteProtocolError` is raised and caught inside the
machine. ``send_*`` raises `LocalProtocolError` and leaves the machine as it was, except with
`ShortBodyError`.
"""

from __future__ import annotations

__all__ = [
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "ShortBodyError",
    "StreamError",
]


class ProtocolError(Exception):
    """Base of the errors of the machines."""


class LocalProtocolError(ProtocolError):
    """A call that the protocol does not allow now, or bytes that it never allows."""


class ShortBodyError(LocalProtocolError):
    """The body ended before its declared length: the response cannot be completed any more."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol.

    Attributes:
        status: status code of the answer (RFC 9110 §15.5, §15.6).
        reason: disconnect reason token.
    """

    def __init__(self, detail: str, status: int = 400, reason: str = "protocol_error") -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.reason = reason


class StreamError(RemoteProtocolError):
    """A fault confined to one stream."""
