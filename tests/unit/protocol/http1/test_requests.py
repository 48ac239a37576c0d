"""Receiving: what the corpus cannot show, because it depends on time, limits or our side."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.protocol.events import (
    BodyReceived,
    ConnectionEnded,
    ConnectionFailed,
    MessageComplete,
    RequestReceived,
    StreamReset,
)
from pagi.protocol.http1.states import ReadState, WriteState
from tests.unit.protocol.http1.driving import DATED, answer, new, output

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_new_connection_is_idle(implementation: Any) -> None:
    connection = new(implementation)
    assert connection.idle
    assert connection.read_state == ReadState.HEAD
    assert connection.write_state == WriteState.IDLE
    assert connection.data_to_send() == []
    assert not connection.finished
    assert not connection.pending


def test_one_byte_ends_idleness(implementation: Any) -> None:
    connection = new(implementation)
    assert connection.receive_data(b"G", 0.0) == []
    assert not connection.idle


def test_an_empty_line_does_not(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(b"\r\n", 0.0)
    assert connection.idle
    connection.receive_data(b"\r", 0.0)
    assert not connection.idle
    connection.receive_data(b"\n", 0.0)
    assert connection.idle
    failure = connection.receive_data(b"\r\n", 0.0)[0]
    assert failure.status == 400


def test_the_error_answer_is_whole_and_constant(implementation: Any) -> None:
    connection = new(implementation)
    events = connection.receive_data(b"GET /<script> HTTP/1.1\r\nHost: <b>\r\n\r\n", 0.0)
    assert events == [ConnectionFailed(1, "protocol_error", 400, "the host field is malformed")]
    assert output(connection) == (
        b"HTTP/1.1 400 Bad Request\r\n" + DATED + b"content-type: text/plain; charset=utf-8\r\n"
        b"content-length: 16\r\nconnection: close\r\n\r\n400 Bad Request\n"
    )
    assert connection.finished
    assert connection.peer_may_send


def test_nothing_is_read_after_a_failure(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(b"\x00", 0.0)
    assert connection.receive_data(GET, 0.0) == []
    assert connection.receive_eof(0.0) == []
    assert not connection.peer_may_send


def test_a_rejected_body_is_never_a_request(implementation: Any) -> None:
    connection = new(implementation, max_body_size=4)
    events = connection.receive_data(POST, 0.0)
    assert events == [ConnectionFailed(1, "body_too_large", 413, "the body is too large")]
    assert connection.receive_data(GET, 0.0) == []
    assert output(connection).count(b"HTTP/1.1") == 1


def test_bodies_without_limit(implementation: Any) -> None:
    connection = new(implementation, max_body_size=None)
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n"
    event = connection.receive_data(head, 0.0)[0]
    assert event.content_length == 2**63 - 1
    connection = new(implementation, max_body_size=None)
    events = connection.receive_data(CHUNKED + b"7fffffffffffffff\r\nx", 0.0)
    assert events[1:] == [BodyReceived(1, b"x")]
    connection = new(implementation, max_body_size=None)
    events = connection.receive_data(CHUNKED + b"8000000000000000\r\nx", 0.0)
    assert events[1].status == 413


def test_body_limit_counts_all_chunks(implementation: Any) -> None:
    connection = new(implementation, max_body_size=6)
    events = connection.receive_data(CHUNKED + b"5\r\nhello\r\n1\r\nx\r\n1\r\ny\r\n", 0.0)
    assert events[1:] == [
        BodyReceived(1, b"hellox"),
        ConnectionFailed(1, "body_too_large", 413, "the body is too large"),
    ]


def test_no_second_answer_once_a_response_began(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(CHUNKED, 0.0)
    connection.send_head(1, 200, [])
    output(connection)
    events = connection.receive_data(b"x\r\n", 0.0)
    assert events == [ConnectionFailed(1, "protocol_error", 0, "a chunk size line is malformed")]
    assert output(connection) == b""
    assert connection.finished


def test_error_answer_to_head_has_no_body(implementation: Any) -> None:
    connection = new(implementation)
    head = b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"
    connection.receive_data(head, 0.0)
    sent = output(connection)
    assert sent.startswith(b"HTTP/1.1 400")
    assert sent.endswith(b"\r\n\r\n")
    assert b"content-length: 16\r\n" in sent


def test_chunks_of_one_call_become_one_event(implementation: Any) -> None:
    connection = new(implementation)
    events = connection.receive_data(CHUNKED + b"1\r\na\r\n" * 100, 0.0)
    assert events[1:] == [BodyReceived(1, b"a" * 100)]


def test_body_bytes_are_handed_on_as_they_are(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 0.0)
    data = bytes(50_000)
    event = connection.receive_data(data, 0.0)[0]
    assert event.data is data
    assert type(event.data) is bytes


# --- the end of the peer's bytes ---


def test_eof_when_idle(implementation: Any) -> None:
    connection = new(implementation)
    assert connection.receive_eof(0.0) == [ConnectionEnded(0)]
    assert connection.finished
    assert not connection.peer_may_send
    assert connection.receive_eof(0.0) == []


def test_eof_in_a_head(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(b"GET / HT", 0.0)
    assert connection.receive_eof(0.0) == [ConnectionEnded(0)]
    assert connection.finished
    assert output(connection) == b""


@pytest.mark.parametrize("data", [POST + b"he", CHUNKED + b"5\r\nhello\r\n0\r\n"])
def test_eof_in_a_body(data: bytes, implementation: Any) -> None:
    connection = new(implementation)
    events = connection.receive_data(data, 0.0)
    assert not any(isinstance(event, MessageComplete) for event in events)
    detail = "the peer closed before the end of the request body"
    assert connection.receive_eof(0.0) == [StreamReset(1, "client_closed", detail)]
    assert connection.finished


def test_eof_after_a_request_leaves_time_for_the_response(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(GET, 0.0)
    assert connection.receive_eof(0.0) == [ConnectionEnded(1)]
    assert not connection.finished
    connection.send_head(1, 200, [], size=2)
    connection.send_body(1, b"ok", end=True)
    assert b"\r\nconnection: close\r\n" in output(connection)
    assert connection.finished


def test_eof_behind_pipelined_requests(implementation: Any) -> None:
    connection = new(implementation)
    events = connection.receive_data(GET + GET + POST + b"hello", 0.0)
    connection.receive_eof(0.0)
    for stream_id in (1, 2, 3):
        assert events[0].stream_id == stream_id
        assert answer(connection, events)
        assert (b"connection: close" in output(connection)) == (stream_id == 3)
        events = connection.receive_data(b"", 0.0)
    assert connection.finished


def test_eof_between_response_and_next_request(implementation: Any) -> None:
    connection = new(implementation)
    answer(connection, connection.receive_data(GET + GET, 0.0))
    assert connection.pending
    assert connection.receive_eof(0.0) == [ConnectionEnded(1)]
    assert answer(connection, connection.receive_data(b"", 0.0))
    assert connection.write_state == WriteState.CLOSED


@pytest.mark.parametrize("rest", [b"GET /", POST + b"he"])
def test_eof_behind_a_request_and_a_half(rest: bytes, implementation: Any) -> None:
    connection = new(implementation)
    events = connection.receive_data(GET + rest, 0.0)
    connection.receive_eof(0.0)
    answer(connection, events)
    events = connection.receive_data(b"", 0.0)
    assert any(isinstance(event, StreamReset) for event in events) == rest.startswith(b"POST")
    output(connection)
    assert connection.finished


# --- pipelining ---


def test_requests_wait_for_the_response(implementation: Any) -> None:
    connection = new(implementation)
    events = connection.receive_data(GET * 3, 0.0)
    assert [event.stream_id for event in events] == [1]
    assert connection.receive_data(GET, 0.0) == []
    assert not connection.pending
    assert answer(connection, events)
    assert connection.pending
    assert not connection.idle
    for stream_id in (2, 3, 4):
        events = connection.receive_data(b"", 0.0)
        assert [event.stream_id for event in events] == [stream_id]
        assert not connection.pending
        assert answer(connection, events)
    assert connection.idle
    assert not connection.pending


def test_reading_pauses_behind_a_request(implementation: Any) -> None:
    connection = new(implementation, max_pipelined_size=100)
    connection.receive_data(GET, 0.0)
    assert not connection.reading_paused
    connection.receive_data(GET * 3, 0.0)
    assert not connection.reading_paused
    connection.receive_data(GET, 0.0)
    assert connection.reading_paused
    connection.send_head(1, 204, [])
    connection.send_body(1, b"", end=True)
    assert not connection.reading_paused
    assert connection.receive_data(b"", 0.0)[0].stream_id == 2


def test_nothing_is_answered_behind_close(implementation: Any) -> None:
    connection = new(implementation)
    events = connection.receive_data(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET, 0.0
    )
    answer(connection, events)
    assert connection.receive_data(b"", 0.0) == []
    assert output(connection).count(b"HTTP/1.1") == 1
    assert connection.finished
    assert connection.peer_may_send  # there was more


def test_a_closed_connection_needs_no_lingering(implementation: Any) -> None:
    connection = new(implementation)
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer(connection, connection.receive_data(head, 0.0))
    output(connection)
    assert connection.finished
    assert not connection.peer_may_send


# --- bodies that nobody reads ---


def _answer_early(connection: Any, status: int = 400) -> bytes:
    connection.send_head(1, status, [], size=0)
    connection.send_body(1, b"", end=True)
    return output(connection)


def test_a_short_rest_is_discarded(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(POST + b"he", 0.0)
    assert b"close" not in _answer_early(connection)
    assert not connection.finished
    assert connection.reading_body
    events = connection.receive_data(b"llo" + GET, 0.0)
    assert [event.stream_id for event in events] == [2]


def test_a_short_chunked_rest_is_discarded(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(CHUNKED + b"5\r\nhello", 0.0)
    _answer_early(connection)
    assert connection.receive_data(b"\r\n5\r\nhello\r\n", 0.0) == []
    events = connection.receive_data(b"0\r\na: b\r\n\r\n" + GET, 0.0)
    assert [event.stream_id for event in events] == [2]


def test_a_long_rest_ends_the_connection(implementation: Any) -> None:
    connection = new(implementation, max_discarded_body=4)
    connection.receive_data(POST, 0.0)
    _answer_early(connection)
    assert connection.finished
    assert connection.peer_may_send
    assert connection.receive_data(b"hello" + GET, 0.0) == []


def test_a_long_chunked_rest_ends_the_connection(implementation: Any) -> None:
    connection = new(implementation, max_discarded_body=20)
    connection.receive_data(CHUNKED, 0.0)
    _answer_early(connection)
    assert connection.receive_data(b"5\r\nhello\r\n", 0.0) == []
    assert not connection.finished
    assert connection.receive_data(b"5\r\nhello\r\n5\r\nhello\r\n", 0.0) == []
    assert connection.finished


def test_a_faulty_rest_ends_the_connection(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(CHUNKED, 0.0)
    _answer_early(connection)
    events = connection.receive_data(b"x\r\n", 0.0)
    assert [event.status for event in events] == [0]
    assert output(connection) == b""
    assert connection.finished


def test_eof_in_a_discarded_body(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(POST, 0.0)
    _answer_early(connection)
    assert connection.receive_eof(0.0) == [ConnectionEnded(1)]
    assert connection.finished


# --- 100 (Continue) ---

EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"


def test_continue(implementation: Any) -> None:
    connection = new(implementation)
    event = connection.receive_data(EXPECT, 0.0)[0]
    assert isinstance(event, RequestReceived)
    assert event.expect_continue
    assert connection.continue_expected
    connection.send_informational(1, 100, [])
    assert output(connection) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not connection.continue_expected
    connection.send_informational(1, 100, [])
    assert output(connection) == b""


def test_no_continue_once_the_body_comes(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(EXPECT + b"h", 0.0)
    assert not connection.continue_expected
    connection.send_informational(1, 100, [])
    assert output(connection) == b""


def test_a_withheld_continue_ends_the_connection(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(EXPECT, 0.0)
    assert b"connection: close\r\n" in _answer_early(connection, 417)
    assert not connection.continue_expected
    assert connection.finished
    assert connection.receive_data(GET, 0.0) == []


# --- refuse, close, reset ---


def test_refuse_with_fields(implementation: Any) -> None:
    connection = new(implementation)
    events = connection.refuse(503, "too many", "server_error", [(b"retry-after", b"5")])
    assert events == [ConnectionFailed(1, "server_error", 503, "too many")]
    sent = output(connection)
    assert sent.startswith(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n" + DATED)
    assert connection.finished
    assert connection.refuse(503, "too many", "server_error") == []


def test_refuse_in_a_request(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(POST, 0.0)
    assert connection.refuse(408, "slow", "client_timeout") == [
        ConnectionFailed(1, "client_timeout", 408, "slow")
    ]
    assert connection.peer_may_send


def test_close_when_idle(implementation: Any) -> None:
    connection = new(implementation)
    connection.close()
    assert connection.finished
    assert not connection.peer_may_send


def test_close_while_a_head_arrives(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(GET[:10], 0.0)
    connection.close()
    assert not connection.finished
    assert answer(connection, connection.receive_data(GET[10:], 0.0))
    assert b"connection: close\r\n" in output(connection)
    assert connection.finished


def test_close_before_the_head(implementation: Any) -> None:
    connection = new(implementation)
    events = connection.receive_data(GET + GET, 0.0)
    connection.close()
    answer(connection, events)
    assert b"connection: close\r\n" in output(connection)
    assert connection.finished


def test_close_in_the_body(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(GET, 0.0)
    connection.send_head(1, 200, [])
    connection.close()
    assert not connection.finished
    connection.send_body(1, b"x", end=True)
    output(connection)
    assert connection.finished


def test_close_while_discarding(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(POST, 0.0)
    _answer_early(connection)
    connection.close()
    assert connection.finished


def test_reset_leaves_the_response_incomplete(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(GET, 0.0)
    connection.send_head(1, 200, [])
    connection.send_body(1, b"x")
    connection.reset(1, "app_abort")
    assert not connection.finished
    assert output(connection).endswith(b"\r\n1\r\nx\r\n")
    assert connection.finished


def test_reset_of_another_stream_does_nothing(implementation: Any) -> None:
    connection = new(implementation)
    connection.reset(0, "app_abort")
    connection.receive_data(GET, 0.0)
    connection.reset(7, "app_abort")
    assert connection.write_state == WriteState.HEAD


# --- tunnels ---

UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


def test_switch(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(UPGRADE + b"early", 0.0)
    connection.switch(1, [(b"x", b"y")])
    assert output(connection) == (
        b"HTTP/1.1 101 Switching Protocols\r\nx: y\r\nupgrade: echo\r\nconnection: upgrade\r\n"
        + DATED
        + b"\r\n"
    )
    assert connection.pending
    assert [event.data for event in connection.receive_data(b"", 0.0)] == [b"early"]
    assert [event.data for event in connection.receive_data(b"late", 0.0)] == [b"late"]
    connection.send_body(1, b"out")
    connection.send_body(1, b"")
    assert output(connection) == b"out"
    connection.close()
    assert not connection.finished
    connection.send_body(1, b"bye", end=True)
    assert output(connection) == b"bye"
    assert connection.finished
    assert connection.peer_may_send


def test_switch_keeps_an_upgrade_of_the_application(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(UPGRADE, 0.0)
    connection.switch(1, [(b"Upgrade", b"echo/2"), (b"Connection", b"close")])
    assert output(connection) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo/2\r\nconnection: upgrade\r\n"
        + DATED
        + b"\r\n"
    )


def test_switch_after_eof(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(UPGRADE + b"x", 0.0)
    connection.receive_eof(0.0)
    connection.switch(1, [])
    assert connection.receive_data(b"", 0.0)[0].data == b"x"
    assert connection.read_state == ReadState.CLOSED
    assert connection.write_state == WriteState.TUNNEL
    connection = new(implementation)
    connection.receive_data(UPGRADE, 0.0)
    connection.receive_eof(0.0)
    connection.switch(1, [])
    assert connection.read_state == ReadState.CLOSED


def test_eof_in_a_tunnel(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(UPGRADE, 0.0)
    connection.switch(1, [])
    assert connection.receive_eof(0.0) == [ConnectionEnded(1)]
    connection.send_body(1, b"x", end=True)
    output(connection)
    assert connection.finished


def test_connect(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 0.0)
    connection.switch(1, [])
    assert output(connection) == b"HTTP/1.1 200 OK\r\n" + DATED + b"\r\n"
    assert [event.data for event in connection.receive_data(b"x", 0.0)] == [b"x"]


def test_long_lines_and_names_are_parsed_like_others(implementation: Any) -> None:
    connection = new(implementation)
    agent, name = b"a" * 300, b"X-" + b"n" * 70
    head = b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: %b\r\n%b: y\r\n\r\n" % (agent, name)
    for stream_id in (1, 2, 3):
        events = connection.receive_data(head, 0.0)
        assert events[0].stream_id == stream_id
        assert events[0].fields[1:] == [(b"user-agent", agent), (name.lower(), b"y")]
        assert answer(connection, events)
