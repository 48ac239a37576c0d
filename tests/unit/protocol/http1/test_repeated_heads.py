"""Heads whose fields are those of the head before: recognised, and never taken for one another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagi.protocol.errors import RemoteProtocolError
from pagi.protocol.events import ConnectionFailed, RequestReceived
from pagi.protocol.http1._head_py import parse_head
from pagi.protocol.http1._reading_py import MAX_KEPT
from pagi.protocol.http1._reading_py import HeadReader as Reader
from pagi.protocol.http1.limits import HTTP1Limits
from tests.unit.protocol.http1.driving import implementations, machine_class, new

FIELDS = b"Host: a\r\nCookie: c=1\r\nAccept: */*\r\n\r\n"
LINES = [
    b"GET / HTTP/1.1\r\n",
    b"GET /a?b=c HTTP/1.1\r\n",
    b"HEAD / HTTP/1.1\r\n",
    b"POST /x HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"CONNECT / HTTP/1.1\r\n",
    b"GET http://b/ HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
    b"GET / HTTP/1.2\r\n",
    b"GET / HTTP/2.0\r\n",
    b"PURGE / HTTP/1.1\r\n",
    b"GET  / HTTP/1.1\r\n",
    b"GET /\xff HTTP/1.1\r\n",
    b"GET / HTTP/1.1\n",
    b"GET /" + b"x" * 200 + b" HTTP/1.1\r\n",
    b"\r\n",
    b"",
]
BLOCKS = [
    FIELDS,
    FIELDS.replace(b"c=1", b"c=2"),
    FIELDS.replace(b"Host", b"Hosx"),
    FIELDS.replace(b"*/*", b"*\n*"),
    FIELDS.replace(b"Accept", b"Cookie"),
    b"Host: a\r\nContent-Length: 3\r\n\r\n",
    b"Host: a\r\nContent-Length: 4\r\n\r\n",
    b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"Host: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
]


def shown(event: RequestReceived) -> dict[str, Any]:
    """Return the members of an event."""
    return {name: getattr(event, name) for name in ["stream_id", *RequestReceived.__slots__]}


def outcome(read: Any) -> Any:
    """Return what reading a head gives, so that it can be compared."""
    try:
        parsed = read()
    except RemoteProtocolError as error:
        return error.status, str(error)
    if parsed is None:
        return None
    event, end, notes = parsed
    return shown(event), end, notes


@given(
    st.lists(
        st.tuples(
            st.sampled_from(LINES), st.sampled_from(BLOCKS), st.sampled_from([b"", b"abc", FIELDS])
        ),
        max_size=8,
    )
)
def test_reading_is_parsing(heads: list[tuple[bytes, bytes, bytes]]) -> None:
    """Whatever was read before, a head means what it means by itself."""
    limits = HTTP1Limits(max_target_size=100)
    reader = Reader(limits)
    for line, block, rest in heads:
        data = line + block + rest
        for _ in range(3):
            alone = outcome(
                lambda data=data: parse_head(
                    data, 0, 7, limits.max_head_size, 100, limits.max_header_count
                )
            )
            assert outcome(lambda data=data: reader.read(data, 0, 7)) == alone


def test_the_fields_of_a_request_are_its_own() -> None:
    reader = Reader(HTTP1Limits())
    for _ in range(5):
        parsed = reader.read(LINES[0] + FIELDS, 0, 1)
        assert parsed is not None
        fields = parsed[0].fields
        assert fields == [(b"host", b"a"), (b"cookie", b"c=1"), (b"accept", b"*/*")]
        fields.clear()


def test_a_known_block_behind_a_long_line_is_within_the_limit_of_the_head() -> None:
    reader = Reader(HTTP1Limits(max_head_size=200))
    for _ in range(3):
        assert reader.read(LINES[0] + FIELDS, 0, 1) is not None
    with pytest.raises(RemoteProtocolError) as caught:
        reader.read(b"GET /" + b"x" * 200 + b" HTTP/1.1\r\n" + FIELDS, 0, 1)
    assert caught.value.status == 431


def kept(reader: Any) -> bytes:
    return bytes(reader._kept)


def test_what_is_kept() -> None:
    reader = Reader(HTTP1Limits())
    data = LINES[0] + FIELDS
    reader.read(data, 0, 1)
    assert kept(reader) == b""  # it may be the only one
    reader.read(data, 0, 1)
    assert kept(reader) == FIELDS
    reader.forget()
    assert (kept(reader), reader._fields, reader._notes) == (b"", [], None)
    for _ in range(3):
        reader.read(data, 0, 1)
    other = LINES[0] + FIELDS.replace(b"c=1", b"c=12")
    reader.read(other, 0, 1)
    assert kept(reader) == b""
    large = b"Host: a\r\nX: " + b"x" * MAX_KEPT + b"\r\n\r\n"
    for _ in range(3):
        reader.read(LINES[0] + large, 0, 1)
    assert kept(reader) == b""


@pytest.mark.parametrize("twin", implementations())
@pytest.mark.parametrize("bytewise", [False, True])
def test_many_requests_on_a_connection(twin: str, bytewise: bool) -> None:
    """Bodies, cookies in two fields and a change of fields in the middle."""
    connection = new(machine_class(twin))
    expected = []
    for number in range(12):
        length = 3 if number % 4 else 2
        data = (
            b"POST /%d HTTP/1.1\r\nHost: a\r\nCookie: a=%d\r\n" % (number, number // 5)
            + b"Content-Length: %d\r\nCookie: b=2\r\n\r\n" % length
            + b"abc"[:length]
        )
        pieces = [data[i : i + 1] for i in range(len(data))] if bytewise else [data]
        events = [event for piece in pieces for event in connection.receive_data(piece, 0.0)]
        head = events[0]
        assert isinstance(head, RequestReceived)
        expected = [
            (b"host", b"a"),
            (b"cookie", b"a=%d; b=2" % (number // 5)),
            (b"content-length", b"%d" % length),
        ]
        assert (head.raw_path, head.fields) == (b"/%d" % number, expected)
        assert b"".join(event.data for event in events if hasattr(event, "data")) == b"abc"[:length]
        connection.send_response(head.stream_id, 200, [], b"")
        connection.data_to_send()
        if number == 8:
            connection.rest()


@pytest.mark.parametrize("twin", implementations())
def test_a_fault_behind_known_fields(twin: str) -> None:
    connection = new(machine_class(twin))
    for _ in range(4):
        (head,) = connection.receive_data(LINES[0] + FIELDS, 0.0)
        connection.send_response(head.stream_id, 200, [], b"")
        connection.data_to_send()
    (event,) = connection.receive_data(b"GET / HTTP/1.1\rX\n" + FIELDS, 0.0)
    assert isinstance(event, ConnectionFailed)
    assert event.status == 400
