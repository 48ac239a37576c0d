"""`TLSTransport`: TLS (RFC 8446, RFC 5246) on top of a `SocketTransport`.

One source, two builds: compiled as ``_tls_transport_c`` (see ``_tls_transport_c.pxd``).

To the transport of the socket it is a protocol, to the protocol above it is a transport:

    socket ─► SocketTransport ─► TLSTransport ─► protocol
    socket ◄─ SocketTransport ◄─ TLSTransport ◄─ protocol

What the protocol writes is encrypted a chunk at a time, when the socket has room for it: so no more
than a chunk lies here in two forms.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from pagi.server.connection.syscalls import take_bytes
from pagi.server.connection.transport import SocketTransport

if TYPE_CHECKING:
    from pagi.server.connection.readiness import Watcher

__all__ = ["TLSTransport"]

#: The first byte of a record of the handshake (RFC 8446 §5.1).
_HANDSHAKE: Final = 0x16
#: The most that a record holds (RFC 8446 §5.1).
_RECORD: Final = 16_384
#: Encrypted at a time. What OpenSSL makes of it is memory that the connection keeps to its end.
_CHUNK: Final = 81_920
_HIGH: Final = 65_536
_LOW: Final = 16_384

_WantRead: Final = ssl.SSLWantReadError


class TLSTransport:
    """The server's side of one TLS connection.

    The first protocol waits for the handshake. It has, beside those of asyncio's protocols, the
    methods ``plain_received(transport, data)`` for a peer that does not begin with TLS, and
    ``handshake_failed(error)``. Its ``connection_made`` is called when the handshake is complete.

    Args:
        poller: of the transport below.
        context: with the certificate.
        protocol: the first.
        buffer: what is decrypted into; it may be shared by all transports of a loop.
    """

    __slots__ = (
        "_backlog",
        "_backlog_size",
        "_begun",
        "_buffer",
        "_closing",
        "_deaf",
        "_done",
        "_ended",
        "_error",
        "_established",
        "_full",
        "_high",
        "_incoming",
        "_low",
        "_lower",
        "_outgoing",
        "_paused",
        "_poller",
        "_protocol",
        "_reading",
        "_records",
        "_resuming",
        "_sealed",
        "_tls",
    )

    def __init__(
        self, poller: Watcher, context: ssl.SSLContext, protocol: Any, buffer: bytearray
    ) -> None:
        self._poller = poller
        self._protocol = protocol
        self._buffer = buffer
        self._incoming: Any = ssl.MemoryBIO()
        self._outgoing: Any = ssl.MemoryBIO()
        self._tls: Any = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        # What is inside has the same methods, and is written in C; another ssl may have nothing.
        self._records: Any = getattr(self._tls, "_sslobj", self._tls)
        self._lower: SocketTransport | None = None
        self._backlog: Any = None  # what is not encrypted yet
        self._backlog_size = 0
        self._high: int = _HIGH
        self._low: int = _LOW
        self._begun = False
        self._established = False
        self._full = False  # the transport below has enough for now
        self._paused = False  # the protocol was asked to pause writing
        self._reading = True
        self._resuming = False
        self._deaf = False  # nothing of what comes matters any more
        self._done = False  # the peer sends no more
        self._ended = False  # and the protocol knows
        self._sealed = False  # no more is taken to be sent
        self._closing = False
        self._error: Exception | None = None

    # ------------------------------------------------------------- what the one below calls

    def connection_made(self, transport: SocketTransport) -> None:
        """The connection is there, the handshake to come."""
        self._lower = transport
        self._limit_lower()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        if self._deaf:
            return
        if self._established:
            self._incoming.write(data)
            self._decrypt()
            return
        if not self._begun:
            self._begun = True
            if data[0] != _HANDSHAKE:
                self._protocol.plain_received(self, data)
                return
        self._incoming.write(data)
        self._shake_hands()

    def eof_received(self) -> bool:
        """The peer closed its side: with a word before it, as it should, or without."""
        if not self._established:
            return False
        self._end_of_peer()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._closing = self._sealed = True
        self._backlog = None
        self._backlog_size = 0
        protocol, self._protocol = self._protocol, None
        protocol.connection_lost(exc if self._error is None else self._error)

    def pause_writing(self) -> None:
        """The one below has enough for now."""
        self._full = True

    def resume_writing(self) -> None:
        """The one below takes more."""
        self._full = False
        if self._backlog is not None:
            self._pump()
        self._crossed_low()

    # ------------------------------------------------------------- the handshake

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except _WantRead:
            self._send_records()
            return
        except ssl.SSLError as exc:
            self._send_records()  # the alert that says why
            self._protocol.handshake_failed(exc)
            self._end_deaf()
            return
        self._established = True
        self._send_records()
        self._protocol.connection_made(self)
        if self._incoming.pending:
            self._decrypt()

    def _lower_transport(self) -> SocketTransport:
        assert self._lower is not None
        return self._lower

    # ------------------------------------------------------------- reading

    def _decrypt(self) -> None:
        """Hand over what has come, as long as the protocol reads."""
        while self._reading:
            size = self._fill()
            if size:
                self._protocol.data_received(take_bytes(self._buffer, size))
            if self._done:
                if not self._closing:
                    self._end_of_peer()
                break
            if not size or not self._incoming.pending:
                break

    def _fill(self) -> int:
        """Decrypt whole records into the buffer; return how many bytes they hold.

        What OpenSSL has to say then, an alert or a new key of ours, leaves at once. A peer that
        asks for it again and again and does not read it is given up.
        """
        buffer = self._buffer
        most = len(buffer) - _RECORD
        size = 0
        try:
            while True:
                into = memoryview(buffer)[size:] if size else buffer
                count = self._records.read(_RECORD, into)
                size += count
                if not count:  # the peer has said goodbye
                    self._done = True
                    break
                if size > most or not self._incoming.pending:
                    break
        except _WantRead:
            pass
        except ssl.SSLZeroReturnError:  # the same, after we have
            self._done = True
        except ssl.SSLError as exc:
            self._lose(exc)
        if self._outgoing.pending and self._error is None:
            if not self._full:
                self._send_records()
            elif self._outgoing.pending > _RECORD:
                self._lose(ConnectionAbortedError("the peer does not read what it asks for"))
        return size

    def _end_of_peer(self) -> None:
        if not self._ended:
            self._done = self._ended = True
            self._read_no_more()
            if not self._protocol.eof_received():
                self.close()

    def _lose(self, exc: Exception) -> None:
        """Give the connection up: what came is not TLS, or not of this peer."""
        if self._error is None:
            self._error = exc
            self._reading = False
            self._done = self._ended = True
            self._send_records()  # the alert that says why
            self._lower_transport().abort()

    def _read_no_more(self) -> None:
        """Leave what comes in the system: otherwise it would pile up here, unread."""
        self._reading = False
        self._lower_transport().pause_reading()

    def is_reading(self) -> bool:
        """Whether bytes of the peer are taken."""
        return self._reading

    def pause_reading(self) -> None:
        """Leave what the peer sends in the system, which makes the peer wait."""
        if self._reading:
            self._reading = False
            self._lower_transport().pause_reading()

    def resume_reading(self) -> None:
        """Read again, first what has come already."""
        if self._reading or self._closing or self._done:
            return
        self._reading = True
        self._lower_transport().resume_reading()
        if self._incoming.pending and not self._resuming:
            self._resuming = True
            self._poller.call_later(self._go_on, None)

    def _go_on(self, argument: None) -> None:
        self._resuming = False
        if self._protocol is None:
            return
        try:
            self._decrypt()
        except Exception as exc:
            self._lower_transport().fail(exc)

    # ------------------------------------------------------------- writing

    def write(self, data: bytes) -> None:
        """Encrypt and send ``data``, now or when there is room.

        A closed or lost transport ignores it. Raises `RuntimeError` after `write_eof`.
        """
        if self._sealed:
            self._refuse()
        elif self._full or self._backlog is not None or len(data) > _CHUNK:
            self._keep((data,))
        elif data:
            self._encrypt(data)
            if self._full:
                self._crossed_high()

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Encrypt and send several pieces. As for `write`."""
        if self._sealed:
            self._refuse()
        else:
            self._keep(pieces)

    def _refuse(self) -> None:
        if not self._closing:
            raise RuntimeError("a write after write_eof")

    def _keep(self, pieces: Iterable[bytes]) -> None:
        """Put pieces behind what waits, and send what there is room for."""
        if self._backlog is None:
            self._backlog = deque()
        for data in pieces:
            if data:
                self._backlog.append(data)
                self._backlog_size += len(data)
        self._pump()
        self._crossed_high()

    def _pump(self) -> None:
        """Encrypt what waits, as long as there is room for it."""
        while self._backlog and not self._full:
            self._encrypt(self._take_chunk())
        if self._backlog is not None and not self._backlog:
            self._backlog = None
            if self._sealed:
                self._say_goodbye()

    def _take_chunk(self) -> Any:
        """Take the first bytes that wait, as many as are encrypted at a time."""
        backlog = self._backlog
        pieces: list[Any] = []
        room: int = _CHUNK
        while backlog and room:
            data = backlog.popleft()
            if len(data) > room:
                view = memoryview(data)
                backlog.appendleft(view[room:])
                data = view[:room]
            pieces.append(data)
            room -= len(data)
        self._backlog_size -= _CHUNK - room
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _encrypt(self, data: Any) -> None:
        size = len(data)
        try:
            done = self._records.write(data)
            if done < size:
                rest = memoryview(data)
                while done < size:
                    done += self._records.write(rest[done:])
        except ssl.SSLError as exc:
            self._lose(exc)
        else:
            self._lower.write(self._outgoing.read())  # type: ignore[union-attr]

    def _send_records(self) -> None:
        lower = self._lower_transport()
        if self._outgoing.pending and not lower.is_closing():
            lower.write(self._outgoing.read())

    def _crossed_high(self) -> None:
        if not self._paused and self.get_write_buffer_size() > self._high:
            self._paused = True
            self._protocol.pause_writing()

    def _crossed_low(self) -> None:
        if self._paused and self.get_write_buffer_size() <= self._low:
            self._paused = False
            self._protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        """Bytes that the system has not taken yet."""
        return self._backlog_size + self._lower_transport().get_write_buffer_size()

    def _limit_lower(self) -> None:
        """Have the one below tell as soon as it holds no more than our low mark.

        With one mark for both: so that whenever it is not full, that is true.
        """
        mark = min(self._low, _HIGH)
        self._lower_transport().set_write_buffer_limits(mark, mark)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark in bytes."""
        return (self._low, self._high)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks, see `SocketTransport.set_write_buffer_limits`."""
        if high is None:
            high = _HIGH if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"water marks must be high >= low >= 0, not {high!r} and {low!r}")
        self._high = high
        self._low = low
        self._limit_lower()
        self._crossed_high()
        self._crossed_low()

    # ------------------------------------------------------------- the end

    def can_write_eof(self) -> bool:
        """The sending side can be closed alone (RFC 8446 §6.1)."""
        return True

    def write_eof(self) -> None:
        """Close the sending side once everything is sent. Raises `OSError` if the peer has gone."""
        if not self._sealed:
            self._sealed = True
            if self._backlog is None:
                self._say_goodbye()

    def close(self) -> None:
        """Read no more, and close when everything is sent."""
        if self._closing:
            return
        self._closing = True
        self._read_no_more()
        if self._sealed:
            self._lower_transport().close()
        else:
            self._sealed = True
            if self._backlog is None:
                self._say_goodbye()

    def _say_goodbye(self) -> None:
        """Everything is sent: say so, and close below, the sending side or both."""
        lower = self._lower_transport()
        try:
            self._tls.unwrap()
        except OSError:  # usually that the peer has not said goodbye yet
            pass
        self._send_records()
        if self._closing:
            lower.close()
        elif not lower.is_closing():
            lower.write_eof()

    def abort(self) -> None:
        """Close now and drop what is not sent."""
        self._lower_transport().abort()

    def is_closing(self) -> bool:
        """Whether the transport was closed or lost."""
        return self._closing or self._lower_transport().is_closing()

    # ------------------------------------------------------------- questions

    def get_protocol(self) -> Any:
        """Return the protocol; ``None`` after it learned of the end."""
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        """Call another protocol from now on."""
        self._protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return ``ssl_object``, ``sslcontext``, or what the transport below knows."""
        if name == "ssl_object":
            return self._tls
        if name == "sslcontext":
            return self._tls.context
        return self._lower_transport().get_extra_info(name, default)

    def answer_plainly(self, data: bytes) -> None:
        """Send bytes as they are to a peer that does not speak TLS, and close our side."""
        self._lower_transport().write(data)
        self._end_deaf()

    def _end_deaf(self) -> None:
        """Close the sending side; what the peer still sends is thrown away.

        Closing with unread bytes would reset the connection, and a reset can overtake our last
        words. The first protocol sees to it that this ends.
        """
        self._deaf = True
        lower = self._lower_transport()
        try:
            lower.write_eof()
        except OSError:  # the peer has gone
            lower.abort()
