"""`HTTP1Stream`: the port of the exchange, on a connection of HTTP/1.

One source, two builds: compiled as ``_http1_stream_c`` (see ``_http1_stream_c.pxd``).

HTTP/1 has one stream at a time, so the driver is it; its half that the exchange calls is here. What
is written between two walks of the driver is flushed once per turn of the loop, or at once when it
completes the response or there is much of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pagi.protocol.http1.connection import HTTP1Connection
from pagi.server.connection.driver import ConnectionDriver
from pagi.server.connection.sendfile import (
    PIECE_SIZE,
    WINDOW_SIZE,
    read_cached,
    read_piece,
    send_window,
)
from pagi.server.connection.syscalls import is_cached, move_file

if TYPE_CHECKING:
    from pagi.protocol.events import Fields
    from pagi.server.connection.context import ConnectionContext

__all__ = ["FLUSH_SIZE", "HTTP1Stream"]

#: Output that is not flushed by the end of the turn of the loop, but at once.
FLUSH_SIZE: Final = 65_536

_NO_FIELDS: Final[list[tuple[bytes, bytes]]] = []


class HTTP1Stream(ConnectionDriver):
    """The writing half of the driver of HTTP/1."""

    __slots__ = ("_exchange", "_flush_size", "_http1", "_idle_since", "_inbound", "_stream_id")

    def __init__(self, context: ConnectionContext) -> None:
        ConnectionDriver.__init__(self, context)
        self._http1 = HTTP1Connection(context.http1, context.defaults)
        self._machine = self._http1
        self._flush_size = min(FLUSH_SIZE, context.flow.write_high_watermark)
        self._exchange: Any = None
        self._stream_id = 0
        self._inbound = 0  # body bytes the application has not taken yet
        self._idle_since = context.clock.now

    def _update_reading(self) -> None:
        """Read on, or stop; the reading half knows how."""

    def _go_on(self) -> None:
        """Take up what waits to be read."""

    def want_body(self) -> None:
        """The application began to read: let the peer send its body."""
        if self._http1.continue_expected:
            self._read_at = self._clock.now  # from here on the body is due
            self._http1.send_informational(self._stream_id, 100, _NO_FIELDS)
            self._flush_now()

    def consumed(self, size: int) -> None:
        """The application took ``size`` body bytes: reading may go on."""
        self._inbound -= size
        self._http1.consumed(self._stream_id, size)
        if not self._reading:
            self._update_reading()

    # ------------------------------------------------------------- writing

    def write_informational(self, status: int, fields: Fields) -> None:
        """Send a 1xx response."""
        self._http1.send_informational(self._stream_id, status, fields)

    def write_head(
        self, status: int, fields: Fields, size: int | None, trailers: bool, at_least: int
    ) -> None:
        """Send the head; see `Stream.write_head`."""
        self._http1.send_head(self._stream_id, status, fields, size, trailers, at_least)

    def write_response(self, status: int, fields: Fields, data: bytes) -> None:
        """Send a whole response: head, body and end. If it raises nothing was sent."""
        self._http1.send_response(self._stream_id, status, fields, data)

    def write_body(self, data: bytes, end: bool) -> None:
        """Send body bytes; ``end`` completes the body."""
        self._http1.send_body(self._stream_id, data, end)

    def write_trailers(self, fields: Fields) -> None:
        """Send trailer fields and complete the response."""
        self._http1.send_trailers(self._stream_id, fields)

    def switch(self, fields: Fields) -> int:
        """Accept the upgrade; what the peer sent behind its request follows."""
        self._http1.switch(self._stream_id, fields)
        if self._http1.pending and not self._walking:
            self._context.service.loop.call_soon(self._go_on)
        return 101

    def flush(self) -> None:
        """End of one ``send``: give the output to the transport now, or once in this turn.

        Now if it is much, or if the transport has something already: then waiting for more would
        not save a system call, and what waits here does not count against its water mark.
        """
        size = self._http1.buffered(self._stream_id)
        if size >= self._flush_size or (size and self._transport.get_write_buffer_size()):
            self._flush_now()
        elif not self._walking and not self._flush_scheduled:
            self._flush_scheduled = True
            self._batch.flush_later(self)

    def _take_output(self) -> list[bytes]:
        return self._http1.data_to_send()

    def _is_finished(self) -> bool:
        return self._http1.finished

    def reset(self, reason: str) -> None:
        """Give the response up: what was written is sent, the rest is visibly missing.

        After the application's own abort nothing more is sent.
        """
        self._exchange = None
        # A body that only the end of the connection delimits would look whole after an orderly one.
        hard = reason == "app_abort" or self._http1.body_ends_with_connection
        self._http1.reset(self._stream_id, reason)
        if hard:
            self.abort(reason)
        elif not self._walking:
            self._flush_now()

    def response_complete(self) -> None:
        """The exchange needs the stream no more."""
        self._exchange = None
        if self._walking:
            return
        self._flush_now()
        self._idle_since = self._read_at = self._clock.now
        if self._http1.pending:
            self._context.service.loop.call_soon(self._go_on)
        if not self._reading:
            self._update_reading()

    def buffered_amount(self) -> int:
        """Bytes accepted and not yet given to the operating system."""
        if self._lost:
            return 0
        amount: int = self._http1.buffered(self._stream_id)
        return amount + int(self._transport.get_write_buffer_size())

    def begin_file(self, descriptor: int, offset: int, count: int) -> int:
        """Send of ``count`` bytes of a regular file what needs no waiting; see `Stream`."""
        machine = self._http1
        machine.expect_body(self._stream_id, count)
        if self._lost or not self.writable:
            return 0
        if self._raw_socket() < 0 or not machine.is_body_raw():
            data = read_cached(descriptor, offset, min(count, PIECE_SIZE))
            machine.send_body(self._stream_id, data)
            self.flush()
            return len(data)
        count = min(count, WINDOW_SIZE)
        if not is_cached(descriptor, offset, count):
            return 0
        self._flush_ahead()
        moved = -1
        if not self._lost and not self._transport.get_write_buffer_size():
            moved = move_file(self._raw_socket(), descriptor, offset, count)
        if moved <= 0:
            return 0
        machine.account_body(self._stream_id, moved)
        self._write_moved += moved
        return moved

    def _flush_ahead(self) -> None:
        """Flush what a file follows at once, so that they share a segment where that can be."""
        own = self._own
        if own is not None:
            own.more_follows = True
        self._flush_now()
        if own is not None:
            own.more_follows = False

    async def write_file(self, descriptor: int, offset: int, count: int) -> int:
        """Send ``count`` bytes of a regular file as body bytes, without ending the body.

        By ``sendfile`` where the framing leaves the bytes as they are and the transport owns a
        plain socket; whatever the socket does not take at once goes through the transport, which
        knows how to wait.
        """
        machine = self._http1
        machine.expect_body(self._stream_id, count)
        self._flush_now()
        loop = self._context.service.loop
        out = self._raw_socket() if machine.is_body_raw() else -1
        sent = 0
        while sent < count and not self._lost:
            if out >= 0 and not self._transport.get_write_buffer_size():
                moved = await send_window(loop, out, descriptor, offset + sent, count - sent)
                if moved >= 0 and not self._lost:
                    if moved == 0:
                        break
                    machine.account_body(self._stream_id, moved)
                    self._write_moved += moved
                    sent += moved
                    continue
                if self._lost:
                    break
            size = min(PIECE_SIZE, count - sent)
            data = await read_piece(loop, descriptor, offset + sent, size)
            if not data or self._lost:
                break
            machine.send_body(self._stream_id, data)
            sent += len(data)
            if out >= 0:
                await self.drain_all()
            else:
                self._flush_now()
                await self.drain()
        return sent
