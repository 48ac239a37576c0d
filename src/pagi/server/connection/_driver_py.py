"""`ConnectionDriver`: what drivers of every version of HTTP have in common.

One source, two builds: compiled as ``_driver_c`` (see ``_driver_c.pxd``).

The driver is the protocol of the transport: it has asyncio's callbacks. Here are the transport's
side of it, flow control, the orderly end, and the deadlines that do not depend on the version.
Deadlines are stored, not scheduled: each read notes the coarse time and the worker's tick compares.
"""

from __future__ import annotations

import socket
from struct import pack
from typing import TYPE_CHECKING, Any, Final

from pagi.server.connection.ends import ConnectionEnds
from pagi.server.connection.kernel import is_reset, unacknowledged
from pagi.server.connection.syscalls import take_bytes
from pagi.server.connection.transport import SocketTransport

if TYPE_CHECKING:
    from pagi.server.connection.context import ConnectionContext

__all__ = ["GROUP", "RESOLUTION", "ConnectionDriver", "ReadBatch", "batch_of"]

#: The coarse time may be this much behind (seconds): a deadline is never early, and late by less.
RESOLUTION: Final = 1.0

UNKNOWN: Final = -2
#: SO_LINGER on, for no time: closing throws away what was not sent and resets the connection.
_LINGER_NOT: Final = pack("ii", 1, 0)
#: Connections of a `ReadBatch` that are served before their answers are written: more would make
#: the first of them wait.
GROUP: Final = 64


class ReadBatch:
    """The connections that have something to do in this turn of the loop, served together.

    Reading, serving and writing take turns over many connections, not within each: the kernel's
    code for receiving, our code with the application's, and the kernel's code for sending each
    stay in the processor's cache while they are used. It saves a tenth of the time of a small
    request. A connection that is alone waits for nothing but the end of the turn.

    Attributes:
        collecting: somebody is reading from many connections and calls `serve` afterwards.
    """

    __slots__ = ("_drivers", "_loop", "_writing", "collecting")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._drivers: list[ConnectionDriver] = []
        self._writing: list[ConnectionDriver] = []
        self.collecting = False

    def add(self, driver: ConnectionDriver) -> None:
        """Serve ``driver`` when the reading is over: after `collecting`, or after this turn."""
        if not self._drivers and not self.collecting:
            self._loop.call_soon(self._serve)
        self._drivers.append(driver)

    def flush_later(self, driver: ConnectionDriver) -> None:
        """Flush ``driver`` at the end of this turn: one callback for all, not one for each."""
        if not self._writing:
            self._loop.call_soon(self._flush)
        self._writing.append(driver)

    def _flush(self) -> None:
        drivers, self._writing = self._writing, []
        for driver in drivers:
            driver._flush_scheduled = False
            try:
                driver._flush_now()
            except Exception as exc:  # one connection's trouble must not become another's
                driver._fail(exc)

    def _serve(self) -> None:
        self.serve()

    def serve(self) -> None:
        """Serve the connections that received something, then write their answers."""
        drivers, self._drivers = self._drivers, []
        for begin in range(0, len(drivers), GROUP):
            group = drivers[begin : begin + GROUP]
            for driver in group:
                driver._serve_received(True)
            for driver in group:
                driver._flush_deferred()


def batch_of(context: ConnectionContext) -> ReadBatch:
    """Return the batch of all connections that share ``context``; who asks first makes it."""
    if context.batch is None:
        context.batch = ReadBatch(context.service.loop)
    batch: ReadBatch = context.batch
    return batch


class ConnectionDriver(ConnectionEnds):
    """Transport, output and end of one connection. Subclasses walk a machine's events.

    It is also a `Stream`, because HTTP/1 has one stream at a time and the driver is it.
    """

    __slots__ = (
        "__weakref__",
        "_batch",
        "_clock",
        "_deferred",
        "_draining_all",
        "_flush_scheduled",
        "_heir",
        "_linger_until",
        "_lost",
        "_machine",
        "_own",
        "_plain_socket",
        "_read_at",
        "_reading",
        "_reason",
        "_received",
        "_waiters",
        "_walking",
        "_write",
        "_write_mark",
        "_write_moved",
        "_write_since",
    )

    def __init__(self, context: ConnectionContext) -> None:
        ConnectionEnds.__init__(self, context)
        self._clock = context.clock
        self._batch = batch_of(context)
        self._received: bytes | None = None  # waits for the batch
        self._deferred = False  # output waits for the batch
        self._machine: Any = None
        self._own: SocketTransport | None = None  # the same, if it is one of ours
        self._write: Any = None
        self._walking = False
        self._flush_scheduled = False
        self._plain_socket = UNKNOWN  # of the plain socket, looked up when a file is sent
        self._draining_all = False
        self._heir: Any = None  # the driver that the transport was left to
        self._lost = False
        self._reading = True
        self._reason: str | None = None
        self._waiters: Any = None
        self._read_at = 0.0
        self._linger_until = 0.0
        self._write_mark = 0
        self._write_moved = 0
        self._write_since = 0.0
        self.writable = True

    # ------------------------------------------------------------- what subclasses do

    def _serve_bytes(self, data: bytes) -> None:
        """Take bytes of the peer."""

    def _opened(self, full: bool) -> None:
        """The transport is there; ``full`` says that there are too many connections."""

    def _closed(self, reason: str, detail: str | None) -> None:
        """The transport is gone."""

    def _crossed(self, high: bool) -> None:
        """The buffered amount reached the high mark, or fell below the low one."""

    def _writable_again(self) -> None:
        """The peer has taken what it was given: its next requests may have their turn."""

    def _check_reading(self, now: float) -> None:
        """Compare the deadlines of what the peer owes with ``now``."""

    # ------------------------------------------------------------- what the transport calls

    def connection_made(self, transport: Any) -> None:
        """Take the transport of a new connection."""
        context = self._context
        self._transport = transport
        if type(transport) is SocketTransport:
            self._own = transport
        self._write = transport.write
        self._read_at = self._clock.now
        self._meet(transport)
        flow = context.flow
        # "At the mark" is above it: asyncio pauses beyond its high mark and resumes at its low.
        transport.set_write_buffer_limits(
            high=max(flow.write_high_watermark - 1, 0), low=max(flow.write_low_watermark - 1, 0)
        )
        full = len(context.connections) - len(context.openings) >= context.max_connections
        context.connections.add(self)
        self._opened(full)

    def is_buffered_protocol(self) -> bool:
        """Tell aiofastnet to read into `get_buffer`."""
        return True

    def get_buffer(self, size_hint: int) -> bytearray:
        """Return what the transport reads into: one buffer for all connections.

        asyncio's own transports call `data_received` instead, with bytes that they allocate.
        """
        return self._context.receive_buffer

    def buffer_updated(self, size: int) -> None:
        """Take ``size`` bytes of the peer out of the buffer; they are served with the batch."""
        if self._received is not None:
            self._serve_received(False)
        data = take_bytes(self._context.receive_buffer, size)
        if self._heir is not None:
            self._heir.data_received(data)
            return
        self._received = data
        self._batch.add(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer; they are served at once, or with the batch."""
        if self._received is not None:
            self._serve_received(False)
        if self._heir is not None:  # it has just taken the transport over
            self._heir.data_received(data)
        elif self._batch.collecting:
            self._received = data
            self._batch.add(self)
        else:
            self._serve_bytes(data)

    def _serve_received(self, deferred: bool) -> None:
        """Serve what was received, unless that has happened; ``deferred`` holds the output back."""
        data = self._received
        if data is None or self._lost:
            return
        self._received = None
        self._deferred = deferred
        try:
            self._serve_bytes(data)
        except Exception as exc:  # one connection's trouble must not become another's
            self._deferred = False
            self._fail(exc)

    def _flush_deferred(self) -> None:
        if self._deferred:
            self._deferred = False
            try:
                self._flush_now()
            except Exception as exc:  # one connection's trouble must not become another's
                self._fail(exc)

    def _fail(self, exc: Exception) -> None:
        """Give the connection up because of a fault of ours."""
        self._context.logger.error("a connection failed", exc_info=exc)
        self.abort("server_error")

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn that the connection is gone."""
        self._lost = True
        self._received = None
        self._own = self._write = None  # the transport refers to us
        self.writable = True
        context = self._context
        context.connections.discard(self)
        reason = self._reason
        if reason is None:
            # Aborted by the peer or closed in the middle: the peer's doing, unless the operating
            # system had another trouble.
            ours = exc is not None and not isinstance(exc, ConnectionError)
            reason = "read_error" if ours else "client_closed"
        self._closed(reason, None if exc is None else type(exc).__name__)
        self._wake_waiters()  # after the observers of the end
        if context.closed is not None:
            context.closed()

    def pause_writing(self) -> None:
        """The buffered amount reached the high water mark."""
        self.writable = False
        self._write_since = self._clock.now
        if not self._draining_all:
            self._crossed(True)

    def resume_writing(self) -> None:
        """The buffered amount fell below the low water mark."""
        self.writable = True
        self._wake_waiters()
        if not self._draining_all:
            self._crossed(False)
        self._writable_again()

    # ------------------------------------------------------------- output

    def _flush_now(self) -> None:
        if self._lost:
            return
        pieces = self._take_output()
        if pieces:
            own = self._own
            if len(pieces) > 1:
                self._transport.writelines(pieces)
            elif own is not None:
                own.write(pieces[0])
            else:
                self._write(pieces[0])
        if self._is_finished() and not self._linger_until:
            self._finish()

    def _take_output(self) -> list[bytes]:
        output: list[bytes] = self._machine.data_to_send()
        return output

    def _is_finished(self) -> bool:
        return bool(self._machine.finished)

    def _finish(self) -> None:
        """Close after the last bytes, gently if the peer may be sending still.

        Closing a socket with unread bytes resets the connection, and a reset can overtake the
        answer: so the sending side is closed first and what comes is thrown away for a while.
        """
        transport = self._transport
        linger = self._context.timeouts.linger_timeout
        if self._machine.peer_may_send and linger and transport.can_write_eof():
            self._linger_until = self._clock.now + linger + RESOLUTION
            try:
                transport.write_eof()
            except OSError:  # the peer has reset the connection
                transport.abort()
                return
            if not self._reading:
                self._reading = True
                self._resume_reading()
        elif not transport.is_closing():
            # Once: after a second call asyncio's TLS transport answers no question any more.
            transport.close()

    def _resume_reading(self) -> None:
        self._transport.resume_reading()
        if self._context.scheme == "https":
            self._context.service.loop.call_soon(self._read_rest)

    def _read_rest(self) -> None:
        """Make aiofastnet 1.2 hand out what it has received: it would wait until more comes."""
        read = getattr(self._transport, "_do_read", None)
        if read is not None and self._reading and not self._lost:
            read()

    async def drain(self) -> None:
        """Wait until ``writable``; also returns when the connection is lost."""
        if self.writable or self._lost:
            return
        waiter = self._context.service.loop.create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        await waiter

    async def drain_all(self) -> None:
        """Wait until nothing is buffered; also returns when the connection is lost."""
        self._flush_now()
        transport = self._transport
        if self._lost or not transport.get_write_buffer_size():
            return
        flow = self._context.flow
        self._draining_all = True
        try:
            transport.set_write_buffer_limits(high=0, low=0)
            await self.drain()
        finally:
            if not self._lost:
                transport.set_write_buffer_limits(
                    high=max(flow.write_high_watermark - 1, 0),
                    low=max(flow.write_low_watermark - 1, 0),
                )
            self._draining_all = False

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def _descriptor(self) -> int:
        """Return the descriptor of the transport's socket, or -1 if it has none."""
        sock = self._transport.get_extra_info("socket")
        return -1 if sock is None else int(sock.fileno())

    def _raw_socket(self) -> int:
        """Return the descriptor of the transport's plain socket, or -1 (TLS, pipes, tests)."""
        if self._plain_socket == UNKNOWN:
            transport = self._transport
            sock = transport.get_extra_info("socket")
            if sock is None or transport.get_extra_info("sslcontext") is not None:
                self._plain_socket = -1
            else:
                self._plain_socket = sock.fileno()
        return -1 if self._lost else self._plain_socket

    # ------------------------------------------------------------- what the worker calls

    def on_tick(self, now: float) -> None:
        """Compare the deadlines with ``now``."""
        if self._lost:
            return
        if now - self._read_at < 2 * RESOLUTION and is_reset(self._descriptor()):
            self._transport.abort()
            return
        waiting = self._transport.get_write_buffer_size()
        if waiting:
            self._check_writing(now, self._context.timeouts.write_timeout)
        else:
            self._write_since = 0.0
        if not self._linger_until:
            self._check_reading(now)
        elif waiting:
            self._linger_until += 1.0  # it begins when the peer has the response
        elif now > self._linger_until:
            self._transport.abort()

    def _check_writing(self, now: float, timeout: float | None) -> None:
        mark = int(self._transport.get_write_buffer_size()) - self._write_moved
        mark += unacknowledged(self._descriptor())
        if mark != self._write_mark or not self._write_since:
            self._write_mark = mark
            self._write_since = now
        elif timeout is not None and now - self._write_since >= timeout + RESOLUTION:
            self.abort("write_timeout")

    def abort(self, reason: str) -> None:
        """Give the connection up at once, by a reset: the peer must not take it for an end."""
        self._reason = reason
        if self._lost:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            except OSError:  # it is lost, which the transport will notice
                pass
        self._transport.abort()
