"""Flow control of what the client sends (RFC 9113 §5.2, §6.9)."""

from __future__ import annotations

import pytest

from pagi.protocol.events import BodyReceived, ConnectionFailed, StreamReset
from tests.unit.protocol.http2.test_machine import Pair, frame
from tests.unit.protocol.http2.test_windows import (
    CANCEL,
    DEFAULT,
    FLOW_CONTROL_ERROR,
    NO_ERROR,
    data,
    given,
    last_words,
    resets,
    upload,
)

pytestmark = pytest.mark.usefixtures("engine")


def test_credit_returns_as_the_application_reads() -> None:
    pair = Pair(window_size=100_000, connection_window_size=200_000)
    pair.receive(frame("SETTINGS", 0, 1))
    upload(pair, 1)
    total: dict[int, int] = {}
    for _ in range(100):
        pair.receive(data(1, 10_000))
        pair.machine.consumed(1, 10_000)
        for stream, size in given(pair.sent()).items():
            total[stream] = total.get(stream, 0) + size
    # What is given late is less than half of a window.
    assert 950_000 < total[1] <= 1_000_000
    assert 900_000 < total[0] <= 1_000_000


def test_a_stream_whose_application_does_not_read_gets_no_credit() -> None:
    pair = Pair(window_size=100_000, connection_window_size=1_000_000)
    pair.receive(frame("SETTINGS", 0, 1))
    for stream in (1, 3):
        upload(pair, stream)
    assert len(pair.receive(data(1, 100_000))) == 7
    assert not pair.machine.awaits_body(1)
    pair.receive(data(3, 60_000))
    pair.machine.consumed(3, 60_000)
    assert given(pair.sent()) == {3: 60_000}
    (event,) = pair.receive(data(1, 1))
    assert isinstance(event, StreamReset)
    assert resets(pair.sent()) == [(1, FLOW_CONTROL_ERROR)]
    assert pair.machine.is_open(3)


def test_more_than_the_connection_has_credit_for() -> None:
    """RFC 9113 §6.9.1: FLOW_CONTROL_ERROR of the connection; nothing of it is handed over."""
    pair = Pair(window_size=100_000, connection_window_size=100_000)
    for stream in (1, 3):
        upload(pair, stream)
    pair.receive(data(1, 60_000))
    *events, failed = pair.receive(data(3, 60_000))
    assert sum(len(event.data) for event in events if isinstance(event, BodyReceived)) <= 40_000
    assert isinstance(failed, ConnectionFailed)
    assert last_words(pair) == (3, FLOW_CONTROL_ERROR)


def test_padding_counts_and_is_read_at_once() -> None:
    """RFC 9113 §6.9.1: the whole payload counts, with padding and its length."""
    pair = Pair(window_size=1000, connection_window_size=DEFAULT)
    pair.receive(frame("SETTINGS", 0, 1))
    upload(pair, 1)
    padded = frame("DATA", 1, 8, b"\xff" + b"x" + bytes(255))
    events = pair.receive(padded * 3)
    assert events == [BodyReceived(1, b"x")] * 3
    assert given(pair.sent()) == {1: 2 * 256}
    assert pair.machine.awaits_body(1)


def test_padding_may_end_a_body() -> None:
    pair = Pair()
    upload(pair, 1)
    _, end = pair.receive(data(1, 3), frame("DATA", 1, 9, b"\x05" + bytes(5)))
    assert (end.stream_id, end.trailers) == (1, [])


@pytest.mark.parametrize("how", ["reset by us", "reset by the client", "answered"])
def test_what_nobody_reads_is_given_back_to_the_connection(how: str) -> None:
    """RFC 9113 §6.9: credit that is not returned would be lost for all other streams."""
    pair = Pair(window_size=300_000, connection_window_size=100_000)
    pair.receive(frame("SETTINGS", 0, 1))
    upload(pair, 1)
    pair.receive(data(1, 60_000))
    assert given(pair.sent()) == {}
    if how == "reset by us":
        pair.machine.reset(1, "app_abort")
    elif how == "reset by the client":
        pair.receive(frame("RST_STREAM", 1, 0, CANCEL.to_bytes(4, "big")))
    else:
        pair.machine.send_response(1, 200, [], b"early")
    parts = pair.sent() + pair.sent()
    assert given(parts) == {0: 60_000}
    assert pair.machine.idle


def test_what_comes_for_a_stream_that_was_reset_is_given_back() -> None:
    """RFC 9113 §5.1: it counts for the window of the connection, and is thrown away."""
    pair = Pair(window_size=100_000, connection_window_size=100_000)
    pair.receive(frame("SETTINGS", 0, 1))
    upload(pair, 1)
    pair.machine.send_response(1, 200, [], b"early")
    assert resets(pair.sent()) == [(1, NO_ERROR)]
    total = 0
    for _ in range(20):
        assert pair.receive(data(1, 30_000)) == []
        parts = pair.sent()
        assert {part[0] for part in parts} <= {"WINDOW_UPDATE"}
        total += given(parts).get(0, 0)
        assert 1 not in given(parts)
    assert total >= 20 * 30_000 - 50_000


def test_credit_is_not_given_twice() -> None:
    """What the application takes after the end of its stream was given back with that."""
    pair = Pair(window_size=100_000, connection_window_size=100_000)
    upload(pair, 1)
    pair.receive(data(1, 60_000))
    pair.receive(frame("RST_STREAM", 1, 0, CANCEL.to_bytes(4, "big")))
    pair.machine.consumed(1, 60_000)
    upload(pair, 3)
    pair.receive(data(3, 10_000))
    pair.machine.consumed(3, 10_000)
    assert given(pair.sent()) == {0: 60_000}


def test_a_body_that_is_complete_gets_no_credit() -> None:
    pair = Pair(window_size=100_000, connection_window_size=100_000)
    pair.receive(frame("SETTINGS", 0, 1))
    upload(pair, 1)
    pair.receive(data(1, 60_000, end=True))
    pair.machine.consumed(1, 60_000)
    assert given(pair.sent()) == {0: 60_000}


def test_our_window_holds_from_the_acknowledgement_on() -> None:
    """RFC 9113 §6.5.3: until then the client may not have heard of a smaller one."""
    pair = Pair(window_size=1000)
    upload(pair, 1)
    assert [len(event.data) for event in pair.receive(data(1, 2000))] == [2000]
    pair.receive(frame("SETTINGS", 0, 1))
    upload(pair, 3)
    (event,) = pair.receive(data(3, 2000))
    assert isinstance(event, StreamReset)
    assert resets(pair.sent()) == [(3, FLOW_CONTROL_ERROR)]
