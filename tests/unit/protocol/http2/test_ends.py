"""How streams and connections end before their time, and in time (RFC 9113 §6.4, §6.8, §8.1)."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.protocol.events import ConnectionFailed, StreamReset
from tests.unit.protocol.http2.driving import (
    INITIAL_WINDOW_SIZE,
    Part,
    answer,
    ask,
    body,
    credit,
    settings,
    shapes,
    turns,
)
from tests.unit.protocol.http2.test_machine import GET, POST, Pair, frame, frames
from tests.unit.protocol.http2.test_output import kinds
from tests.unit.protocol.http2.test_windows import (
    ENHANCE_YOUR_CALM,
    INTERNAL_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    data,
    resets,
    upload,
    wide,
    with_window,
)

pytestmark = pytest.mark.usefixtures("engine")

LAST = 2**31 - 1


# --- resets ---


@pytest.mark.parametrize("who", ["we", "the client", "a fault of the client"])
@pytest.mark.parametrize("credit_left", [0, 2**20])
def test_a_reset_drops_what_waits(who: str, credit_left: int) -> None:
    pair = with_window(credit_left, 2**20)
    for stream in (1, 3):
        ask(pair, stream)
        pair.machine.send_head(stream, 200, [], trailers=True)
        pair.machine.send_body(stream, bytes(100_000), end=True)
        pair.machine.send_trailers(stream, [(b"x-sum", b"0")])
    assert pair.machine.buffered(1) == 100_000
    if who == "we":
        pair.machine.reset(1, "server_error")
    elif who == "the client":
        pair.receive(frame("RST_STREAM", 1, 0, b"\0\0\0\x08"))
    else:
        pair.receive(credit(1, 0))
    assert (pair.machine.buffered(1), pair.machine.buffered(3)) == (0, 100_000)
    parts = pair.sent()
    codes = {"we": [(1, INTERNAL_ERROR)], "the client": []}
    assert resets(parts) == codes.get(who, [(1, PROTOCOL_ERROR)])
    assert body(parts, 1) == b""
    pair.receive(settings((INITIAL_WINDOW_SIZE, 2**20)))
    assert len(body([*parts, *pair.sent()], 3)) == 100_000
    assert pair.machine.idle


def test_a_reset_in_the_middle_of_a_response() -> None:
    pair = wide()
    ask(pair, 1)
    answer(pair, 1, 100_000)
    assert len(pair.machine.data_to_send(40_000)) == 1
    assert 0 < pair.machine.buffered(1) < 100_000
    pair.receive(frame("RST_STREAM", 1, 0, b"\0\0\0\x08"))
    assert pair.machine.buffered(1) == 0
    pair.machine.send_body(1, b"more")  # the application has not heard of it yet
    assert pair.sent() == []
    assert pair.machine.idle


def test_what_is_sent_to_streams_that_have_ended_goes_nowhere() -> None:
    pair = Pair()
    ask(pair, 1)
    pair.machine.reset(1, "app_abort")
    for _ in range(2):
        pair.machine.send_informational(1, 103, [])
        pair.machine.send_head(1, 200, [])
        pair.machine.send_body(1, b"body")
        pair.machine.expect_body(1, 5)
        pair.machine.send_response(1, 200, [], b"body")
        pair.machine.send_trailers(1, [(b"x-sum", b"1")])
        pair.machine.switch(1, [])
        pair.machine.reset(1, "app_abort")
        pair.machine.consumed(1, 5)
        assert [part[0] for part in pair.sent()] in ([], ["RST_STREAM"])


# --- answers that are complete before their requests ---


def test_an_upload_is_stopped_when_the_answer_has_left() -> None:
    """RFC 9113 §8.1: RST_STREAM(NO_ERROR) "after sending a complete response"."""
    pair = with_window(3)
    upload(pair, 1)
    pair.machine.send_response(1, 200, [], b"12345")
    assert resets(pair.sent()) == []
    assert pair.receive(data(1, 10_000)) == []
    pair.receive(credit(1, 2))
    assert [part[:3] for part in pair.sent()] == [("DATA", 1, 1), ("RST_STREAM", 1, 0)]
    assert pair.machine.closed == [1]
    assert pair.receive(data(1, 10_000, end=True)) == []
    assert pair.sent() == []


def test_an_upload_that_ends_in_time_is_not_stopped() -> None:
    pair = with_window(3)
    upload(pair, 1)
    pair.machine.send_response(1, 200, [], b"12345")
    pair.sent()
    pair.receive(data(1, 10, end=True), credit(1, 2))
    assert pair.sent() == [("DATA", 1, 1, b"45")]
    assert pair.machine.closed == [1]


def test_an_upload_is_stopped_when_the_trailers_have_left() -> None:
    pair = with_window(3)
    upload(pair, 1)
    pair.machine.send_head(1, 200, [], trailers=True)
    pair.machine.send_body(1, b"12345")
    pair.machine.send_trailers(1, [(b"x-sum", b"1")])
    assert resets(pair.sent()) == []
    pair.receive(credit(1, 100))
    assert [part[:3] for part in pair.sent()] == [
        *(("DATA", 1, 0), ("HEADERS", 1, 5), ("RST_STREAM", 1, 0)),
    ]


def test_an_upload_is_not_stopped_before_the_end_of_the_answer_has_left() -> None:
    """RFC 9113 §8.1: the client would take the answer for incomplete."""
    pair = wide()
    upload(pair, 1)
    pair.machine.send_head(1, 200, [])
    pair.machine.send_body(1, b"body")
    parts = pair.sent()
    ask(pair, 3)
    answer(pair, 3, 100_000)
    pair.machine.send_body(1, b"", end=True)
    for _ in range(20):
        parts += frames(b"".join(pair.machine.data_to_send(16_384)))
    ours = [part for part in parts if part[1] == 1]
    assert kinds(ours)[1:] == [("DATA", 0), ("DATA", 1), ("RST_STREAM", 0)]


# --- what a client asks for and does not read ---


@pytest.mark.parametrize("what", ["PING", "SETTINGS", "refused streams"])
@pytest.mark.parametrize("at_once", [False, True])
def test_replies_that_nobody_reads(what: str, at_once: bool) -> None:
    """RFC 9113 §10.5: "an endpoint that does not monitor use of these features exposes itself"."""
    pair = Pair(max_idle_frames=10**6, max_resets=10**6, max_concurrent_streams=1)
    ask(pair, 1)
    numbers = range(3, 2 * 1500, 2)
    if what == "PING":
        pieces = [frame("PING", 0, 0, bytes(8)) for _ in numbers]
    elif what == "SETTINGS":
        pieces = [settings((INITIAL_WINDOW_SIZE, number)) for number in numbers]
    else:
        pieces = [pair.headers(stream) for stream in numbers]
    events = []
    for piece in [b"".join(pieces)] if at_once else pieces:
        events += pair.receive(piece)
    (event,) = events
    assert isinstance(event, ConnectionFailed)
    parts = pair.sent()
    assert 990 < len(parts) < 1010
    assert parts[-1][0] == "GOAWAY"
    assert parts[-1][3][4:8] == bytes((0, 0, 0, ENHANCE_YOUR_CALM))
    assert pair.machine.finished


def test_replies_that_are_read_do_not_count() -> None:
    pair = Pair(max_idle_frames=10**6)
    for _ in range(10):
        assert pair.receive(frame("PING", 0, 0, b"01234567") * 500) == []
        assert pair.sent() == [("PING", 0, 1, b"01234567")] * 500


# --- the end of a connection ---


def goaways(parts: list[Part]) -> list[tuple[int, int]]:
    """Return the last streams and codes that are named."""
    return [
        (int.from_bytes(part[3][:4], "big"), int.from_bytes(part[3][4:8], "big"))
        for part in parts
        if part[0] == "GOAWAY"
    ]


def test_the_end_is_announced_before_it_comes() -> None:
    """RFC 9113 §6.8: 2^31-1 first; requests that were on their way are served."""
    pair = with_window(3)
    ask(pair, 1)
    answer(pair, 1, 5)
    pair.machine.close()
    parts = pair.sent()
    assert goaways(parts) == [(LAST, NO_ERROR)]
    assert parts[2][0] == "PING"
    ask(pair, 3)
    assert pair.receive(frame("PING", 0, 1, b"anything")) == []
    assert pair.sent() == []
    pair.receive(frame("PING", 0, 1, parts[2][3]))
    assert goaways(pair.sent()) == [(3, NO_ERROR)]
    pair.machine.close()
    # RFC 9113 §6.8: frames on streams above the last are ignored, credit is counted.
    late = pair.headers(5, POST, end=False)
    assert pair.receive(late, data(5, 100), credit(5, 1), frame("RST_STREAM", 5, 0, bytes(4))) == []
    assert pair.sent() == []
    pair.machine.send_response(3, 200, [], b"ok")
    assert shapes(pair.sent())[-1] == ("DATA", 3, 1, 2)
    assert not pair.machine.finished
    pair.receive(credit(1, 2))
    assert turns(pair.sent()) == [1]
    assert pair.machine.finished
    assert pair.machine.receive_data(b"", 1.0) == []


def test_the_end_comes_without_an_answer_when_it_is_asked_for_again() -> None:
    pair = Pair()
    ask(pair, 1)
    pair.machine.close()
    pair.sent()
    pair.machine.close()
    assert goaways(pair.sent()) == [(1, NO_ERROR)]
    pair.machine.send_response(1, 200, [], b"")
    pair.sent()
    assert pair.machine.finished


def test_what_waits_keeps_header_compression_right_behind_the_end() -> None:
    """RFC 9113 §6.8: sections of ignored streams change the table of HPACK all the same."""
    pair = Pair()
    pair.machine.close()
    pair.machine.close()
    ask_late = pair.headers(1, [*GET, ("x-new", "value")])
    assert pair.receive(ask_late) == []
    assert pair.receive(pair.headers(3, [*GET, ("x-new", "value")])) == []
    assert goaways(pair.sent())[-1] == (0, NO_ERROR)


@pytest.mark.parametrize(("code", "failed"), [(NO_ERROR, False), (INTERNAL_ERROR, True)])
def test_the_client_leaves(code: int, failed: bool) -> None:
    """RFC 9113 §6.8: what it has asked for is answered."""
    pair = Pair()
    ask(pair, 1)
    assert pair.receive(frame("GOAWAY", 0, 0, bytes(7) + bytes((code,)))) == []
    assert pair.sent() == []
    assert not pair.machine.finished
    pair.machine.send_response(1, 200, [], b"body")
    assert turns(pair.sent()) == [1]
    assert pair.machine.finished
    assert pair.machine.pending == failed
    events: list[Any] = pair.machine.receive_data(b"", 1.0)
    assert [type(event) for event in events] == [ConnectionFailed] * failed


def test_a_fault_ends_what_waits() -> None:
    """RFC 9113 §5.4.1: frames that were made leave before GOAWAY, bodies that wait do not."""
    pair = wide()
    ask(pair, 1)
    answer(pair, 1, 100_000)
    (event,) = pair.receive(frame("PING", 0, 0, bytes(7)))
    assert isinstance(event, ConnectionFailed)
    assert pair.machine.buffered(1) == 0
    assert [part[0] for part in pair.sent()] == ["HEADERS", "GOAWAY"]
    pair.machine.send_body(1, b"more")
    pair.machine.ping()
    pair.machine.close()
    assert pair.sent() == []


def test_violations_of_a_stream_are_told_once() -> None:
    pair = Pair()
    ask(pair, 1)
    events = pair.receive(credit(1, 0), credit(1, 0), data(1, 5), pair.headers(1))
    assert [type(event) for event in events] == [StreamReset]
    assert resets(pair.sent()) == [(1, PROTOCOL_ERROR)]
