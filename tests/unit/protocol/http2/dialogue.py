"""A client on the library `h2` and our engine, in one random dialogue; see `test_against_h2`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from h2 import events as theirs
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes

from pagi.protocol.connection import DefaultFields
from pagi.protocol.events import (
    BodyReceived,
    BytesReceived,
    MessageComplete,
    RequestReceived,
    StreamReset,
)
from pagi.protocol.http2.limits import HTTP2Limits
from tests.unit.protocol.http2.driving import priority_update

#: Bodies are pieces of it, by stream and place: bytes that are lost, doubled or mixed up show.
PATTERN = bytes(number * 7 % 251 for number in range(251)) * 6000
DEFAULTS = DefaultFields(b"Sun, 06 Nov 1994 08:49:37 GMT", b"pagi")
FIELDS = [(":scheme", "https"), (":authority", "h"), (":path", "/a")]
LAST_POSSIBLE = 2**31 - 1

_RST_STREAM, _GOAWAY = 3, 7


def content(stream: int, start: int, size: int) -> bytes:
    """Return what is in the body of a stream from a place on."""
    return PATTERN[stream * 17 + start : stream * 17 + start + size]


def whole_frames(data: bytes) -> Iterator[bytes]:
    """Take apart what was pulled at once: no frame is ever cut."""
    position = 0
    while position < len(data):
        size = 9 + int.from_bytes(data[position : position + 3], "big")
        assert position + size <= len(data)
        yield data[position : position + size]
        position += size


@dataclass
class Half:
    """One direction of a stream: what went in at one end, and what came out at the other."""

    sent: int = 0
    ended: bool = False
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    got: bytearray = field(default_factory=bytearray)
    ends: int = 0
    got_trailers: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass
class Exchange:
    """A stream, as both sides see it.

    Attributes:
        down_whole: the body of the response is, and trailers may follow.
        silent: the response has no body on the wire, whatever was sent.
        given_up: one side has reset the stream, on purpose.
        codes: of the resets that the client was sent.
        lost: events of the engine that said that the stream has ended early.
    """

    number: int
    method: str
    up: Half = field(default_factory=Half)
    down: Half = field(default_factory=Half)
    early: int = 0
    got_early: int = 0
    requests: int = 0
    unread: int = 0
    begun: bool = False
    down_whole: bool = False
    promised: bool = False
    silent: bool = False
    given_up: bool = False
    codes: list[int] = field(default_factory=list)
    lost: list[StreamReset] = field(default_factory=list)
    refusal: bytes | None = None

    @property
    def client_may_send(self) -> bool:
        return not (self.up.ended or self.given_up or self.codes)

    @property
    def server_may_send(self) -> bool:
        return bool(self.requests) and not (self.down.ended or self.given_up)


class Dialogue:
    """Both ends, what is on the way between them, and what must come of it."""

    def __init__(self, engine: Any, **limits: int) -> None:
        self.limits = HTTP2Limits(max_resets=10**6, max_idle_frames=10**6, **limits)
        self.machine = engine(self.limits, DEFAULTS)
        self.machine.begin()
        self.client = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self.client.initiate_connection()
        self.streams: dict[int, Exchange] = {}
        self.closed: list[int] = []
        self.stopped: set[int] = set()  # streams that the engine has reset
        self.farewells: list[int] = []
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        self.greeted = False  # the engine has acknowledged the first settings
        self.credits = 0  # how often the client got credit of the connection

    # --- the client ---

    def open(self, method: str, end: bool, priority: int) -> None:
        number = self.client.get_next_available_stream_id()
        exchange = self.streams[number] = Exchange(number, method)
        exchange.silent = method == "HEAD"
        exchange.up.ended = end
        fields = [(":method", method), *FIELDS]
        if method == "CONNECT":
            fields.append((":protocol", "websocket"))
        if priority & 1:
            fields.append(("priority", f"u={priority % 8}" + ", i" * (priority & 2)))
        if priority & 4:
            self.raw(priority_update(number, b"u=%d, i" % (priority % 8)))
        weights: dict[str, Any] = {"priority_weight": 7} if priority & 8 else {}
        self.client.send_headers(number, fields, end_stream=end, **weights)

    def upload(self, exchange: Exchange, size: int, padding: int, end: bool) -> None:
        """Send as much of ``size`` bytes as there is credit for, in frames as large as may be."""
        while True:
            window = self.client.local_flow_control_window(exchange.number)
            most = max(min(window, self.client.max_outbound_frame_size), 0)
            more = padding + 1 if padding and most > padding else 0
            part = min(size, most - more)
            last = end and part == size
            if not part and not last and not more:
                return
            data = content(exchange.number, exchange.up.sent, part)
            pad = padding if more else None
            self.client.send_data(exchange.number, data, end_stream=last, pad_length=pad)
            exchange.up.sent += part
            exchange.up.ended = last
            size -= part
            if not size:
                return

    def upload_trailers(self, exchange: Exchange) -> None:
        exchange.up.trailers = [(b"x-up", b"%d" % exchange.number)]
        self.client.send_headers(exchange.number, exchange.up.trailers, end_stream=True)
        exchange.up.ended = True

    def cancel(self, exchange: Exchange) -> None:
        exchange.given_up = True
        self.client.reset_stream(exchange.number, 8)

    def give_credit(self, exchange: Exchange | None, size: int) -> None:
        number = None if exchange is None else exchange.number
        self.client.increment_flow_control_window(size, number)

    def change_settings(self, window: int, frame: int, table: int) -> None:
        """Change what the engine must heed.

        The library takes the first acknowledgement for one of a change, if there was one before.
        """
        if not self.greeted:
            return
        self.client.update_settings(
            {
                SettingCodes.INITIAL_WINDOW_SIZE: window,
                SettingCodes.MAX_FRAME_SIZE: frame,
                SettingCodes.HEADER_TABLE_SIZE: table,
            }
        )

    def ask_for_echo(self) -> None:
        self.pings.append(len(self.pings).to_bytes(8, "big"))
        self.client.ping(self.pings[-1])

    def raw(self, frame: bytes) -> None:
        """Send what the library does not make, behind what it has made."""
        self._outbox = self.outbox() + frame

    _outbox = b""

    def outbox(self) -> bytes:
        data, self._outbox = self._outbox, b""
        return data + self.client.data_to_send()

    # --- the server ---

    def inform(self, exchange: Exchange) -> None:
        self.machine.send_informational(exchange.number, 103, [(b"link", b"</a>")])
        exchange.early += 1

    def begin(self, exchange: Exchange, size: int | None, promised: bool) -> None:
        exchange.begun = True
        exchange.promised = promised
        if exchange.method == "CONNECT":
            exchange.promised = False
            self.machine.switch(exchange.number, [])
        else:
            self.machine.send_head(exchange.number, 200, [], size, promised)

    def download(self, exchange: Exchange, size: int, end: bool) -> None:
        data = content(exchange.number, exchange.down.sent, size)
        exchange.down.sent += size
        exchange.down_whole = end
        exchange.down.ended = end and not exchange.promised
        self.machine.send_body(exchange.number, data, end)

    def download_trailers(self, exchange: Exchange) -> None:
        fields = [(b"x-down", b"%d" % exchange.number)]
        self.machine.send_trailers(exchange.number, fields)
        exchange.down.trailers = [] if exchange.silent else fields
        exchange.down.ended = True

    def respond(self, exchange: Exchange, size: int) -> None:
        """Answer with head, body and end in one call."""
        exchange.begun = exchange.down.ended = True
        exchange.down.sent = size
        self.machine.send_response(exchange.number, 200, [], content(exchange.number, 0, size))

    def refuse(self, exchange: Exchange) -> None:
        number = exchange.number
        self.take(self.machine.refuse(number, 408, "too slow", "client_timeout", None))
        if exchange.begun:
            exchange.given_up = True
        else:
            exchange.refusal = b"" if exchange.silent else b"408 Request Timeout\n"
            exchange.begun = exchange.down.ended = True

    def abort(self, exchange: Exchange) -> None:
        exchange.given_up = True
        self.machine.reset(exchange.number, "app_abort")

    def consume(self, exchange: Exchange, size: int) -> None:
        exchange.unread -= size
        self.machine.consumed(exchange.number, size)

    # --- the way between them ---

    def carry_up(self, step: int) -> None:
        """Let the engine have what the client has sent, in pieces of ``step`` bytes."""
        data = self.outbox()
        for start in range(0, len(data), step):
            self.take(self.machine.receive_data(data[start : start + step], 1.0))

    def carry_down(self, limit: int | None) -> None:
        """Let the client have what the engine has to send, frame by frame.

        Not more than a frame at once: the library looks at a change of its settings between calls.
        GOAWAY is kept from it, which takes any for the end of the connection.
        """
        pulled = b"".join(self.machine.data_to_send(limit))
        if len(pulled) < (LAST_POSSIBLE if limit is None else limit):
            assert not self.machine.data_to_send(limit), "a driver would not pull again"
        closed, self.machine.closed = self.machine.closed, []
        self.closed += closed
        for frame in whole_frames(pulled):
            number = int.from_bytes(frame[5:9], "big")
            assert number not in self.stopped, "something follows RST_STREAM"
            if frame[3] == _RST_STREAM:
                self.stopped.add(number)
            if frame[3] == _GOAWAY:
                assert frame[13:] == bytes(4), "the engine found a fault"
                self.farewells.append(int.from_bytes(frame[9:13], "big"))
                continue
            for event in self.client.receive_data(frame):
                self.hear(event)

    def take(self, events: list[Any]) -> None:
        """Note what the engine says of the client."""
        for event in events:
            exchange = self.streams[event.stream_id]
            up = exchange.up
            assert exchange.requests == (0 if isinstance(event, RequestReceived) else 1)
            assert not up.ends or isinstance(event, StreamReset)
            if isinstance(event, RequestReceived):
                assert event.method == exchange.method
                exchange.requests += 1
                up.ends += event.end
            elif isinstance(event, (BodyReceived, BytesReceived)):
                assert not exchange.lost
                up.got += event.data
                exchange.unread += len(event.data)
            elif isinstance(event, MessageComplete):
                up.ends += 1
                up.got_trailers = event.trailers
            else:
                assert isinstance(event, StreamReset), event
                exchange.lost.append(event)

    def hear(self, event: Any) -> None:
        """Note what the client says of the engine."""
        if isinstance(event, theirs.PingAckReceived):
            self.pongs.append(event.ping_data)
        if isinstance(event, theirs.SettingsAcknowledged):
            self.greeted = True
        number = getattr(event, "stream_id", None)
        if isinstance(event, theirs.WindowUpdated):
            self.credits += not number
            return
        if not number:
            return
        exchange = self.streams[number]
        down = exchange.down
        if isinstance(event, theirs.StreamReset):
            if event.remote_reset:
                exchange.codes.append(event.error_code)
            return
        assert not exchange.codes or exchange.given_up
        if isinstance(event, theirs.InformationalResponseReceived):
            exchange.got_early += 1
        elif isinstance(event, theirs.DataReceived):
            assert not down.ends
            down.got += event.data
        elif isinstance(event, theirs.TrailersReceived):
            down.got_trailers = event.headers
        elif isinstance(event, theirs.StreamEnded):
            down.ends += 1
