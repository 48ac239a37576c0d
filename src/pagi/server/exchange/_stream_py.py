"""`Stream`: what an exchange may ask of the wire.

One source, two builds: compiled as ``_stream_c`` (see ``_stream_c.pxd``).

The exchange declares the port and the driver implements it (ports and adapters), so that
exchanges are tested with a fake stream and never learn which version of HTTP they run on.
"""

from __future__ import annotations

from pagi.protocol.events import Fields

__all__ = ["Stream"]


class Stream:
    """One request on the wire, seen from the application's side; drivers implement it.

    A base class and not a protocol: the compiled exchange calls it through C.

    ``write_*`` raise `LocalProtocolError` for what may not be sent and leave the stream usable.
    After the stream was completed, reset or lost they must not be called.
    """

    __slots__ = ("writable",)

    def __init__(self) -> None:
        #: False from reaching the high water mark until the amount is below the low one.
        self.writable = True

    def buffered_amount(self) -> int:
        """Bytes accepted and not yet given to the operating system."""
        return 0

    def want_body(self) -> None:
        """The application began to read: let the peer send its body (100-continue)."""

    def consumed(self, size: int) -> None:
        """The application took ``size`` body bytes: reading may go on."""

    def write_informational(self, status: int, fields: Fields) -> None:
        """Send a 1xx response."""

    def write_head(
        self, status: int, fields: Fields, size: int | None, trailers: bool, at_least: int
    ) -> None:
        """Send the head. If it raises nothing was sent.

        ``size`` is the length of the body if it is known, ``at_least`` that of what is at hand.
        """

    def write_response(self, status: int, fields: Fields, data: bytes) -> None:
        """Send a whole response: head, body and end. If it raises nothing was sent."""

    def write_body(self, data: bytes, end: bool) -> None:
        """Send body bytes; ``end`` completes the body.

        Raises `ShortBodyError` if the body is shorter than declared: only `reset` may follow.
        """

    def write_trailers(self, fields: Fields) -> None:
        """Send trailer fields and complete the response."""

    def switch(self, fields: Fields) -> int:
        """Accept another protocol: body bytes are opaque from now on, in both directions.

        Returns the status that was sent. If it raises nothing was sent.
        """
        return 0

    def begin_file(self, descriptor: int, offset: int, count: int) -> int:
        """Send of ``count`` bytes of an open regular file what needs no waiting.

        Returns the number of bytes sent; `write_file` is for the rest. Raises
        `LocalProtocolError` before anything is sent if ``count`` is more than declared.
        """
        return 0

    async def write_file(self, descriptor: int, offset: int, count: int) -> int:
        """Send ``count`` bytes of an open regular file as body bytes, without ending the body.

        Returns the number of bytes sent: fewer if the file ended early or the peer has gone.
        Raises `LocalProtocolError` before anything is sent if they are more than declared.
        Cancelling it leaves the response unfinished.
        """
        return 0

    def flush(self) -> None:
        """End of one ``send``: what was written may be given to the transport."""

    def reset(self, reason: str) -> None:
        """Give the response up: it must not look whole to the peer."""

    def response_complete(self) -> None:
        """The exchange needs the stream no more."""

    async def drain(self) -> None:
        """Wait until ``writable``; also returns when the stream is lost."""

    async def drain_all(self) -> None:
        """Wait until nothing is buffered; also returns when the stream is lost."""
