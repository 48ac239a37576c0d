"""The HTTP/2 machine in bytes, whole and byte by byte."""

from __future__ import annotations

from typing import Any

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagi.protocol.connection import DefaultFields
from pagi.protocol.errors import LocalProtocolError, ShortBodyError
from pagi.protocol.events import (
    BodyReceived,
    BytesReceived,
    ConnectionEnded,
    ConnectionFailed,
    MessageComplete,
    RequestReceived,
    StreamReset,
)
from pagi.protocol.http2.connection import HTTP2Connection
from pagi.protocol.http2.limits import HTTP2Limits

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
KINDS = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH", "PING", "GOAWAY"]
KINDS += ["WINDOW_UPDATE", "CONTINUATION"]
GET = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/a?b")]
POST = [(":method", "POST"), *GET[1:]]


def frame(kind: str, stream: int = 0, flags: int = 0, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((KINDS.index(kind), flags))
    return head + stream.to_bytes(4, "big") + payload


def frames(data: bytes) -> list[tuple[str, int, int, bytes]]:
    """Take output apart: kind, stream, flags, payload."""
    found = []
    while data:
        size = int.from_bytes(data[:3], "big")
        found.append(
            (KINDS[data[3]], int.from_bytes(data[5:9], "big"), data[4], data[9 : 9 + size])
        )
        data = data[9 + size :]
    return found


class Pair:
    """A machine and the hand-made client it talks to."""

    def __init__(self, **limits: Any) -> None:
        defaults = DefaultFields(b"Sun, 06 Nov 1994 08:49:37 GMT", b"pagi")
        self.machine = HTTP2Connection(HTTP2Limits(**limits), defaults)
        self.machine.begin()
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        assert self.receive(PREFACE, frame("SETTINGS")) == []
        self.sent()

    def receive(self, *pieces: bytes) -> list[Any]:
        return self.machine.receive_data(b"".join(pieces), 1.0)

    def byte_by_byte(self, data: bytes) -> list[Any]:
        events: list[Any] = []
        for index in range(len(data)):
            events += self.machine.receive_data(data[index : index + 1], 1.0)
        return events

    def headers(self, stream: int, fields: Any = GET, end: bool = True) -> bytes:
        return frame("HEADERS", stream, 4 | end, self.encoder.encode(list(fields)))

    def sent(self) -> list[tuple[str, int, int, bytes]]:
        return frames(b"".join(self.machine.data_to_send()))

    def fields(self, payload: bytes) -> list[tuple[str, str]]:
        return [(str(n), str(v)) for n, v in self.decoder.decode(payload)]


def joined(events: list[Any]) -> list[Any]:
    """Put body pieces together: they are handed over as they come."""
    found: list[Any] = []
    for event in events:
        last = found[-1] if found else None
        if (
            isinstance(event, BodyReceived)
            and isinstance(last, BodyReceived)
            and event.stream_id == last.stream_id
        ):
            found[-1] = BodyReceived(event.stream_id, last.data + event.data)
        else:
            found.append(event)
    return found


def test_a_request_whole_and_byte_by_byte() -> None:
    def data(pair: Pair) -> bytes:
        return (
            pair.headers(1, [*POST, ("cookie", "a=1"), ("cookie", "b=2")], end=False)
            + frame("DATA", 1, 0, b"some")
            + frame("HEADERS", 1, 5, pair.encoder.encode([("x-sum", "4")]))
            + pair.headers(3)
        )

    whole, slow = Pair(), Pair()
    events = whole.receive(data(whole))
    assert events == joined(slow.byte_by_byte(data(slow)))
    request, body, end, second = events
    assert isinstance(request, RequestReceived)
    assert (request.method, request.raw_path, request.query_string) == ("POST", b"/a", b"b")
    assert request.fields == [(b"host", b"h"), (b"cookie", b"a=1; b=2")]
    assert (request.http_version, request.scheme, request.end) == ("2", "http", False)
    assert body == BodyReceived(1, b"some")
    assert end == MessageComplete(1, [(b"x-sum", b"4")])
    assert (second.stream_id, second.end) == (3, True)


def test_a_response() -> None:
    pair = Pair()
    pair.receive(pair.headers(1))
    fields = [(b"X-Mixed", b" v "), (b"content-length", b"4"), (b"connection", b"close")]
    pair.machine.send_response(1, 200, fields, b"body")
    head, body = pair.sent()
    assert pair.fields(head[3]) == [
        (":status", "200"),
        ("x-mixed", "v"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("server", "pagi"),
        ("content-length", "4"),
    ]
    assert body == ("DATA", 1, 1, b"body")
    assert pair.machine.closed == [1]
    assert pair.machine.idle


def test_an_answer_before_the_end_of_the_request_stops_it() -> None:
    pair = Pair()
    pair.receive(pair.headers(1, POST, end=False))
    pair.machine.send_response(1, 200, [], b"early")
    kinds = [(kind, payload) for kind, _, _, payload in pair.sent()]
    assert [kind for kind, _ in kinds] == ["HEADERS", "DATA", "RST_STREAM"]
    assert kinds[-1] == ("RST_STREAM", bytes(4))
    assert pair.receive(frame("DATA", 1, 0, b"late")) == []


def test_a_body_waits_for_the_window() -> None:
    pair = Pair()
    pair.receive(frame("SETTINGS", 0, 0, b"\0\4\0\0\0\3"), pair.headers(1))
    pair.sent()
    pair.machine.send_head(1, 200, [])
    pair.machine.send_body(1, b"123456", end=True)
    assert pair.machine.buffered(1) == 6
    assert pair.sent()[-1] == ("DATA", 1, 0, b"123")
    assert pair.machine.buffered(1) == 3
    pair.receive(frame("WINDOW_UPDATE", 1, 0, b"\0\0\0\x64"))
    assert pair.sent() == [("DATA", 1, 1, b"456")]


def test_credit_follows_what_is_taken() -> None:
    pair = Pair(window_size=100_000, connection_window_size=100_000)
    pair.receive(pair.headers(1, POST, end=False))
    pair.receive(*(frame("DATA", 1, 0, bytes(10_000)) for _ in range(6)))
    assert pair.sent() == []
    assert pair.machine.awaits_body(1)
    pair.machine.consumed(1, 60_000)
    assert {kind for kind, *_ in pair.sent()} == {"WINDOW_UPDATE"}


@pytest.mark.parametrize(
    ("length", "pieces", "error"),
    [(4, [b"12345"], LocalProtocolError), (4, [b"123"], ShortBodyError)],
)
def test_bodies_of_another_length(length: int, pieces: list[bytes], error: Any) -> None:
    pair = Pair()
    pair.receive(pair.headers(1))
    pair.machine.send_head(1, 200, [(b"content-length", b"%d" % length)])
    with pytest.raises(error):
        pair.machine.send_body(1, pieces[0], end=True)
    pair.machine.reset(1, "server_error")
    assert pair.sent()[-1] == ("RST_STREAM", 1, 0, b"\0\0\0\2")


@pytest.mark.parametrize("field", [(b"a b", b""), (b"a", b"\r\n"), (b"", b"x"), ("a", "b")])
def test_fields_that_are_not_fit_for_the_wire(field: Any) -> None:
    pair = Pair()
    pair.receive(pair.headers(1))
    for send in (pair.machine.send_response, pair.machine.send_informational):
        with pytest.raises(LocalProtocolError):
            arguments = [[field], b""] if send == pair.machine.send_response else [[field]]
            send(1, 200 if len(arguments) == 2 else 103, *arguments)
    pair.machine.send_response(1, 200, [], b"")
    assert pair.sent()[0][:3] == ("HEADERS", 1, 5)


def test_a_tunnel() -> None:
    pair = Pair()
    connect = [(":method", "CONNECT"), (":protocol", "websocket"), *GET[1:]]
    (request,) = pair.receive(pair.headers(1, connect, end=False))
    assert (request.method, request.upgrade, request.raw_path) == ("CONNECT", b"websocket", b"/a")
    pair.machine.switch(1, [])
    pair.machine.send_body(1, b"out")
    assert [kind for kind, *_ in pair.sent()] == ["HEADERS", "DATA"]
    assert pair.receive(frame("DATA", 1, 0, b"in")) == [BytesReceived(1, b"in")]
    (end,) = pair.receive(frame("DATA", 1, 1, b""))
    assert end == StreamReset(1, "client_closed")


def test_a_stream_that_the_peer_resets() -> None:
    pair = Pair()
    pair.receive(pair.headers(1))
    (reset,) = pair.receive(frame("RST_STREAM", 1, 0, b"\0\0\0\x08"))
    assert (reset.reason, reset.stream_id) == ("client_closed", 1)
    assert "CANCEL" in reset.detail
    pair.machine.send_response(1, 200, [], b"nobody hears")
    assert pair.sent() == []


def test_too_large_is_answered() -> None:
    pair = Pair(max_body_size=10, max_target_size=20)
    (event,) = pair.receive(pair.headers(1, [*GET[:3], (":path", "/" + "x" * 50)]))
    assert (event.status, event.reason) == (414, "protocol_error")
    length = [*POST, ("content-length", "11")]
    (event,) = pair.receive(pair.headers(3, length, end=False))
    assert (event.status, event.reason) == (413, "body_too_large")
    events = pair.receive(pair.headers(5, POST, end=False), frame("DATA", 5, 0, bytes(11)))
    assert (events[-1].status, events[-1].reason) == (413, "body_too_large")
    statuses = [pair.fields(part[3])[0][1] for part in pair.sent() if part[0] == "HEADERS"]
    assert statuses == ["414", "413", "413"]


def test_the_end_in_two_steps() -> None:
    pair = Pair()
    pair.receive(pair.headers(1))
    pair.machine.close()
    notice, ping = pair.sent()
    assert notice[0] == "GOAWAY"
    assert notice[3][:4] == b"\x7f\xff\xff\xff"
    pair.receive(pair.headers(3), frame("PING", 0, 1, ping[3]))  # it had not heard of it yet
    (last,) = pair.sent()
    assert last[3][:4] == b"\0\0\0\3"
    pair.machine.send_response(1, 200, [], b"")
    pair.machine.send_response(3, 200, [], b"")
    assert [part[:2] for part in pair.sent()] == [("HEADERS", 1), ("HEADERS", 3)]
    assert pair.machine.finished


def test_the_end_of_the_peer() -> None:
    pair = Pair()
    pair.receive(pair.headers(1))
    assert pair.machine.receive_eof(1.0) == [ConnectionEnded(0)]
    assert pair.machine.finished
    pair.machine.send_response(1, 200, [], b"nobody hears")
    assert pair.machine.data_to_send() == []


def test_a_violation_ends_the_connection_with_a_word() -> None:
    pair = Pair()
    events = pair.receive(pair.headers(1), frame("PING", 1, 0, bytes(8)), pair.headers(3))
    events += pair.machine.receive_data(b"", 1.0)
    goaway = pair.sent()[-1]
    events += pair.machine.receive_data(b"", 1.0)
    assert goaway[0] == "GOAWAY"
    assert isinstance(events[-1], ConnectionFailed)
    assert pair.machine.finished
    assert pair.receive(pair.headers(5)) == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_noise_behind_the_preface(noise: bytes) -> None:
    pair = Pair()
    pair.receive(noise)
    pair.machine.data_to_send()
    pair.receive(pair.headers(1))
    pair.machine.data_to_send()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.builds(
            frame,
            st.sampled_from(KINDS),
            st.sampled_from([0, 1, 2, 3, 5, 2**31 - 1]),
            st.integers(0, 255),
            st.binary(max_size=40),
        ),
        max_size=12,
    ),
    st.integers(1, 30),
)
def test_frames_of_every_sort_mean_the_same_in_any_pieces(parts: list[bytes], size: int) -> None:
    whole, sliced = Pair(), Pair()
    data = b"".join([whole.headers(1, POST, end=False), *parts])
    sliced.headers(1, POST, end=False)
    first = whole.receive(data) + whole.machine.receive_data(b"", 1.0)
    second: list[Any] = []
    for start in range(0, len(data), size):
        second += sliced.receive(data[start : start + size])
    second += sliced.machine.receive_data(b"", 1.0)
    assert [type(event) for event in joined(first)] == [type(event) for event in joined(second)]
    # Of two faults in one frame, which is named may depend on how it came.
    assert [part[:3] for part in whole.sent()] == [part[:3] for part in sliced.sent()]
