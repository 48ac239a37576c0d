"""What is left when a stream ends in an unusual way: nothing that is held, nothing unsaid."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest

from pagi.protocol.events import ConnectionFailed, StreamReset
from tests.unit.protocol.http2.driving import INITIAL_WINDOW_SIZE, credit, settings, shapes
from tests.unit.protocol.http2.test_machine import GET, POST, Pair, frame

CONNECT = [(":method", "CONNECT"), (":protocol", "websocket"), *GET[1:]]

pytestmark = pytest.mark.usefixtures("engine")


def tunnel(**limits: Any) -> Pair:
    """Open a WebSocket's stream."""
    pair = Pair(**limits)
    pair.receive(pair.headers(1, CONNECT, end=False))
    pair.machine.switch(1, [])
    pair.sent()
    return pair


def test_a_tunnel_whose_peer_closes_its_side_is_closed() -> None:
    pair = tunnel(max_concurrent_streams=1)
    (event,) = pair.receive(frame("DATA", 1, 1))
    assert isinstance(event, StreamReset)
    assert event.reason == "client_closed"
    pair.machine.send_body(1, b"bye")  # as the answer to a close frame that came with the end
    assert shapes(pair.sent()) == [("DATA", 1, 0, 3)]
    pair.machine.leave(1)
    assert shapes(pair.sent()) == [("DATA", 1, 1, 0)]
    assert not pair.machine.is_open(1)
    assert pair.receive(pair.headers(3))[0].stream_id == 3


def test_what_nobody_reads_does_not_keep_such_a_tunnel() -> None:
    pair = tunnel()
    pair.machine.send_body(1, bytes(70_000))
    pair.sent()
    pair.receive(frame("DATA", 1, 1))
    pair.machine.leave(1)
    assert [part[:2] for part in pair.sent()] == [("RST_STREAM", 1)]
    assert not pair.machine.is_open(1)
    assert pair.machine.buffered(1) == 0


def test_fields_in_a_tunnel_are_a_fault() -> None:
    """RFC 9113 §8.5: only DATA and frames of management."""
    pair = tunnel()
    (event,) = pair.receive(frame("HEADERS", 1, 5, pair.encoder.encode([("x", "y")])))
    assert isinstance(event, StreamReset)
    assert event.reason == "protocol_error"
    assert [part[:2] for part in pair.sent()] == [("RST_STREAM", 1)]


def test_credit_of_a_stream_that_ends_unread_leaves_with_the_same_pull() -> None:
    pair = Pair(connection_window_size=65_535, window_size=65_535)
    pair.receive(
        pair.headers(1, POST, end=False), *[frame("DATA", 1, 0, bytes(16_000)) for _ in range(4)]
    )
    pair.machine.send_response(1, 200, [], b"early")
    kinds = [part[:2] for part in pair.sent()]
    assert ("WINDOW_UPDATE", 0) in kinds
    assert pair.sent() == []


def test_no_credit_for_a_stream_that_was_reset() -> None:
    pair = Pair(window_size=300)
    pair.receive(pair.headers(1, POST, end=False), frame("DATA", 1, 0, bytes(200)))
    pair.sent()
    pair.machine.reset(1, "app_abort")
    pair.machine.consumed(1, 200)
    assert [part[:2] for part in pair.sent()] == [("RST_STREAM", 1)]


def test_streams_that_are_reset_while_they_wait_are_forgotten() -> None:
    """Behind a long download they do not get a turn in which that could happen."""
    pair = Pair(max_resets=10**6)
    pair.receive(settings((INITIAL_WINDOW_SIZE, 2**31 - 1)), credit(0, 2**30))
    pair.receive(pair.headers(1))
    pair.machine.send_head(1, 200, [])
    pair.machine.send_body(1, bytes(10_000_000))

    def resets(begin: int) -> None:
        for stream in range(begin, begin + 2000, 2):
            pair.receive(pair.headers(stream))
            pair.machine.send_head(stream, 200, [])
            pair.machine.send_body(stream, bytes(100))
            pair.receive(frame("RST_STREAM", stream, 0, bytes(4)))
            pair.machine.data_to_send(1000)

    resets(3)
    gc.collect()
    tracemalloc.start()
    try:
        resets(2003)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


def test_data_of_a_stream_that_only_we_could_open() -> None:
    pair = Pair()
    pair.receive(pair.headers(3))
    (event,) = pair.receive(frame("DATA", 2, 0, b"x"))
    assert isinstance(event, ConnectionFailed)
