"""`HTTPConnection`: what every version of the wire is to the driver.

Bytes go in, events come out; calls go in, bytes come out. A machine does no I/O, knows no clock
and never raises on what the peer sends.
"""

from __future__ import annotations

from typing import Protocol

from pagi.protocol.events import Event, Fields

__all__ = ["DefaultFields", "HTTPConnection"]


class DefaultFields:
    """Fields the server adds to each response that does not bring them itself.

    One object per worker, shared by all its connections; the worker calls `set_date` once a second.

    Attributes:
        date: value of ``date`` (RFC 9110 §6.6.1), or empty for no date.
        server: value of ``server`` (RFC 9110 §10.2.4), or empty for none.
        fields: both as fields.
        wire: both as HTTP/1 field lines, each ended by CRLF: the usual case, made once.
    """

    __slots__ = ("date", "fields", "server", "wire")

    def __init__(self, date: bytes = b"", server: bytes = b"") -> None:
        self.server = server
        self.set_date(date)

    def set_date(self, date: bytes) -> None:
        """Replace the date and the prepared lines."""
        self.date = date
        given = ((b"date", date), (b"server", self.server))
        self.fields = [field for field in given if field[1]]
        self.wire = (b"date: %b\r\n" % date if date else b"") + (
            b"server: %b\r\n" % self.server if self.server else b""
        )


class HTTPConnection(Protocol):
    """The machine of one connection, server side."""

    finished: bool
    """Nothing more will be read or written: the connection can be closed."""

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the peer and return what they mean.

        ``receive_data(b"", now)`` goes on with bytes that were kept back because a response was
        not complete. ``now`` is monotonic time in seconds.
        """

    def receive_eof(self, now: float) -> list[Event]:
        """Take the end of the peer's bytes."""

    def send_informational(self, stream_id: int, status: int, fields: Fields) -> None:
        """Queue a 1xx response other than 101 (RFC 9110 §15.2)."""

    def send_head(
        self,
        stream_id: int,
        status: int,
        fields: Fields,
        *,
        size: int | None = None,
        trailers: bool = False,
        at_least: int = 0,
    ) -> None:
        """Queue the head of the final response.

        Args:
            stream_id: which request is answered.
            status: status code, 200 to 999.
            fields: the application's fields; names in any case. Framing and hop-by-hop fields
                that belong to the machine are dropped or checked; `DefaultFields` are added
                where absent.
            size: length of the body in bytes if it is known and not declared in ``fields``.
            trailers: trailer fields will follow the body.
            at_least: bytes of the body that are at hand: more than declared are refused.
        """

    def send_body(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        """Queue body bytes; ``end`` completes the response (or the body, if trailers follow)."""

    def send_trailers(self, stream_id: int, fields: Fields) -> None:
        """Queue trailer fields and complete the response."""

    def switch(self, stream_id: int, fields: Fields) -> None:
        """Accept the upgrade: 101 on HTTP/1, 200 to an extended CONNECT; a tunnel follows."""

    def reset(self, stream_id: int, reason: str) -> None:
        """Give up a response: it must not look whole to the peer."""

    def consumed(self, stream_id: int, size: int) -> None:
        """The application took ``size`` body bytes: give the peer credit for more."""

    def buffered(self, stream_id: int) -> int:
        """Bytes queued here for the stream and not yet pulled by ``data_to_send``."""

    def data_to_send(self) -> list[bytes]:
        """Take what is queued for the wire; pieces are sent in order."""

    def close(self) -> None:
        """Begin an orderly end: idle connections are finished, others after their response."""
