"""Flow control of what we send (RFC 9113 §5.2, §6.9)."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.protocol.events import ConnectionFailed, StreamReset
from tests.unit.protocol.http2.driving import (
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    Part,
    answer,
    ask,
    body,
    credit,
    settings,
    shapes,
    turns,
)
from tests.unit.protocol.http2.test_machine import POST, Pair, frame, frames

pytestmark = pytest.mark.usefixtures("engine")

LARGEST = 2**31 - 1
DEFAULT = 65_535

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = range(4)
STREAM_CLOSED, FRAME_SIZE_ERROR, CANCEL, ENHANCE_YOUR_CALM = 5, 6, 8, 11


def with_window(size: int, connection: int = DEFAULT, **limits: Any) -> Pair:
    """Return a client that gives each stream ``size`` bytes, and all together ``connection``."""
    pair = Pair(**limits)
    pair.receive(settings((INITIAL_WINDOW_SIZE, size)))
    if connection > DEFAULT:
        pair.receive(credit(0, connection - DEFAULT))
    pair.sent()
    return pair


def wide(**limits: Any) -> Pair:
    """Return a client that gives all the credit that there is."""
    return with_window(LARGEST, LARGEST, **limits)


def upload(pair: Pair, stream: int) -> None:
    """Let a request with a body begin."""
    pair.receive(pair.headers(stream, POST, end=False))


def data(stream: int, size: int, end: bool = False) -> bytes:
    """Make DATA frames of the client."""
    sizes = [16_384] * (size // 16_384) + [size % 16_384]
    last = len(sizes) - 1
    return b"".join(
        frame("DATA", stream, int(end and number == last), bytes(each))
        for number, each in enumerate(sizes)
    )


def resets(parts: list[Part]) -> list[tuple[int, int]]:
    """Return streams that were reset, and the codes."""
    return [
        (stream, int.from_bytes(payload, "big"))
        for kind, stream, _, payload in parts
        if kind == "RST_STREAM"
    ]


def given(parts: list[Part]) -> dict[int, int]:
    """Return how much credit the client gets, by streams."""
    found: dict[int, int] = {}
    for kind, stream, _, payload in parts:
        if kind == "WINDOW_UPDATE":
            found[stream] = found.get(stream, 0) + int.from_bytes(payload, "big")
    return found


def last_words(pair: Pair) -> tuple[int, int]:
    """Return the last stream and the code of the GOAWAY that ends the connection."""
    kind, stream, _, payload = pair.sent()[-1]
    assert (kind, stream) == ("GOAWAY", 0)
    assert pair.machine.finished
    return int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big")


# --- credit that the client gives ---


def test_the_connection_has_one_window_for_all() -> None:
    """RFC 9113 §6.9.1: a sender keeps to the window of the stream and to the connection's."""
    pair = with_window(LARGEST)
    for stream in (1, 3, 5):
        ask(pair, stream)
        answer(pair, stream, 40_000)
    parts = pair.sent()
    sizes = [len(body(parts, stream)) for stream in (1, 3, 5)]
    assert sum(sizes) == DEFAULT
    assert max(sizes) - min(sizes) <= 16_384
    pair.receive(credit(0, 10))
    assert sum(len(part[3]) for part in pair.sent()) == 10
    pair.receive(credit(0, LARGEST - 10))
    parts = pair.sent()
    assert sum(len(part[3]) for part in parts) == 3 * 40_000 - DEFAULT - 10
    assert sorted(part[1] for part in parts if part[2]) == [1, 3, 5]


def test_a_stream_without_credit_does_not_hold_up_others() -> None:
    pair = with_window(20_000)
    for stream in (1, 3):
        ask(pair, stream, "u=3")
        answer(pair, stream, 30_000)
    assert turns(pair.sent()) == [1, 1, 3, 3]
    pair.receive(credit(3, 1))
    assert shapes(pair.sent()) == [("DATA", 3, 0, 1)]
    pair.receive(credit(1, 10_000), credit(3, 9_999))
    assert shapes(pair.sent()) == [("DATA", 1, 1, 10_000), ("DATA", 3, 1, 9_999)]


def test_the_most_urgent_gets_the_credit_of_the_connection() -> None:
    """RFC 9218 §10: what is scarce goes to the most urgent."""
    pair = with_window(LARGEST)
    for stream, urgency in ((1, 5), (3, 4), (5, 0)):
        ask(pair, stream, f"u={urgency}")
        answer(pair, stream, 60_000)
    parts = pair.sent()
    assert [len(body(parts, stream)) for stream in (5, 3, 1)] == [60_000, DEFAULT - 60_000, 0]


@pytest.mark.parametrize("spent", [1, 100, DEFAULT])
def test_a_window_below_zero(spent: int) -> None:
    """RFC 9113 §6.9.2: a sender MUST track the negative window, and wait until it is positive."""
    pair = Pair()
    ask(pair, 1)
    pair.machine.send_head(1, 200, [])
    pair.machine.send_body(1, bytes(spent))
    pair.sent()
    pair.receive(settings((INITIAL_WINDOW_SIZE, 0)), credit(0, LARGEST - DEFAULT))
    pair.machine.send_body(1, b"12345", end=True)
    for size in (spent - 1, 1):
        assert turns(pair.sent()) == []
        if size:
            pair.receive(credit(1, size))
    assert turns(pair.sent()) == []
    pair.receive(credit(1, 2))
    assert pair.sent() == [("DATA", 1, 0, b"12")]
    pair.receive(settings((INITIAL_WINDOW_SIZE, 3)))
    assert pair.sent()[1:] == [("DATA", 1, 1, b"345")]


def test_a_window_that_falls_below_zero_while_the_stream_has_its_turn() -> None:
    """RFC 9113 §6.9.2. The stream waits for credit of the connection when its own is taken."""
    pair = with_window(100_000)
    ask(pair, 1)
    answer(pair, 1, DEFAULT + 5)
    assert sum(len(part[3]) for part in pair.sent() if part[0] == "DATA") == DEFAULT
    pair.receive(settings((INITIAL_WINDOW_SIZE, 10)), credit(0, 100_000))
    assert shapes(pair.sent()) == [("SETTINGS", 0, 1, 0)]
    assert pair.machine.buffered(1) == 5
    pair.receive(credit(1, DEFAULT - 10 + 5))
    assert shapes(pair.sent()) == [("DATA", 1, 1, 5)]


@pytest.mark.parametrize("end", ["of the body", "by trailers", "by a reset"])
def test_an_end_while_the_window_is_below_zero(end: str) -> None:
    """RFC 9113 §6.9.2. Ends need no credit, and frames without a payload take none."""
    pair = Pair()
    ask(pair, 1)
    pair.machine.send_head(1, 200, [], trailers=end == "by trailers")
    pair.machine.send_body(1, b"some")
    pair.sent()
    if end == "by a reset":
        pair.machine.send_body(1, b"more")
    pair.receive(settings((INITIAL_WINDOW_SIZE, 0)))
    if end == "of the body":
        pair.machine.send_body(1, b"", end=True)
    elif end == "by trailers":
        pair.machine.send_trailers(1, [(b"x-sum", b"1")])
    else:
        pair.machine.reset(1, "app_abort")
    _, last = pair.sent()
    kinds = {"of the body": "DATA", "by trailers": "HEADERS", "by a reset": "RST_STREAM"}
    assert last[:2] == (kinds[end], 1)
    assert pair.machine.idle


def test_settings_open_the_windows_of_streams_that_wait() -> None:
    """RFC 9113 §6.9.2: the difference goes to all streams that are there."""
    pair = with_window(0)
    for stream in (1, 3):
        ask(pair, stream)
        answer(pair, stream, 5)
    assert turns(pair.sent()) == []
    pair.receive(settings((INITIAL_WINDOW_SIZE, 4)))
    assert shapes(pair.sent()) == [
        ("SETTINGS", 0, 1, 0),
        ("DATA", 1, 0, 4),
        ("DATA", 3, 0, 4),
    ]
    pair.receive(settings((INITIAL_WINDOW_SIZE, 5)))
    assert turns(pair.sent()) == [1, 3]


def test_the_end_of_a_body_needs_no_credit() -> None:
    """RFC 9113 §6.9.1: an empty frame with END_STREAM may be sent without any."""
    pair = with_window(3)
    ask(pair, 1)
    pair.machine.send_head(1, 200, [])
    pair.machine.send_body(1, b"123")
    pair.sent()
    pair.machine.send_body(1, b"", end=True)
    assert pair.sent() == [("DATA", 1, 1, b"")]


def test_the_end_of_a_body_needs_no_credit_of_the_connection() -> None:
    pair = with_window(LARGEST)
    for stream in (1, 3):
        ask(pair, stream)
        pair.machine.send_head(stream, 200, [])
    pair.machine.send_body(1, bytes(DEFAULT + 1), end=True)
    assert pair.sent()[-1][3] == bytes(DEFAULT - 3 * 16_384)
    pair.machine.send_body(3, b"", end=True)
    assert pair.sent() == [("DATA", 3, 1, b"")]
    assert pair.machine.buffered(1) == 1


@pytest.mark.parametrize("size", [2**14, 2**14 + 1, 2**16, 2**24 - 1])
def test_frames_are_as_large_as_the_client_takes(size: int) -> None:
    """RFC 9113 §4.2: no frame is larger than SETTINGS_MAX_FRAME_SIZE of the receiver."""
    pair = wide()
    pair.receive(settings((MAX_FRAME_SIZE, size)))
    ask(pair, 1)
    answer(pair, 1, 100_000)
    parts = pair.sent()
    assert body(parts, 1) == bytes(100_000)
    # How much of it is used is for us to say.
    assert 2**14 <= max(len(part[3]) for part in parts) <= size


def test_large_frames_do_not_make_others_wait() -> None:
    """What is pulled at a time is bounded, whatever the client takes in a frame."""
    pair = wide()
    pair.receive(settings((MAX_FRAME_SIZE, 2**24 - 1)))
    for stream in (1, 3):
        ask(pair, stream)
        answer(pair, stream, 2**22)
    pulled = b"".join(pair.machine.data_to_send(65_536))
    assert len(pulled) <= 2**18


def test_what_is_pulled_goes_on_where_it_stopped() -> None:
    pair = wide()
    ask(pair, 1)
    pair.machine.send_head(1, 200, [])
    pieces = [bytes((number,)) * (7919 * number) for number in range(12)]
    for piece in pieces:
        pair.machine.send_body(1, piece, end=piece is pieces[-1])
    pulled = []
    while pair.machine.buffered(1):
        pulled += frames(b"".join(pair.machine.data_to_send(20_000)))
    assert body(pulled, 1) == b"".join(pieces)
    assert [part[2] for part in pulled if part[0] == "DATA"][-2:] == [0, 1]


# --- credit beyond all bounds ---


def test_a_window_of_a_stream_beyond_all_bounds() -> None:
    """RFC 9113 §6.9.1: the stream is reset with FLOW_CONTROL_ERROR, others go on."""
    pair = Pair()
    for stream in (1, 3):
        ask(pair, stream)
    assert pair.receive(credit(1, LARGEST - DEFAULT)) == []
    (event,) = pair.receive(credit(1, 1))
    assert isinstance(event, StreamReset)
    assert (event.stream_id, event.reason, event.status) == (1, "protocol_error", 0)
    pair.machine.send_response(1, 200, [], b"nobody hears")
    pair.machine.send_response(3, 200, [], b"body")
    parts = pair.sent()
    assert resets(parts) == [(1, FLOW_CONTROL_ERROR)]
    assert (body(parts, 1), body(parts, 3)) == (b"", b"body")


def test_a_window_of_the_connection_beyond_all_bounds() -> None:
    """RFC 9113 §6.9.1: GOAWAY with FLOW_CONTROL_ERROR."""
    pair = Pair()
    ask(pair, 1)
    assert pair.receive(credit(0, LARGEST - DEFAULT)) == []
    (event,) = pair.receive(credit(0, 1))
    assert isinstance(event, ConnectionFailed)
    assert last_words(pair) == (1, FLOW_CONTROL_ERROR)


def test_settings_that_bring_a_window_beyond_all_bounds() -> None:
    """RFC 9113 §6.9.2: an error of the connection, though only one stream is concerned."""
    pair = Pair()
    ask(pair, 1)
    pair.receive(credit(1, LARGEST - DEFAULT))
    (event,) = pair.receive(settings((INITIAL_WINDOW_SIZE, DEFAULT + 1)))
    assert isinstance(event, ConnectionFailed)
    assert last_words(pair) == (1, FLOW_CONTROL_ERROR)


def test_credit_of_nothing() -> None:
    """RFC 9113 §6.9: PROTOCOL_ERROR, of the stream or of the connection."""
    pair = Pair()
    ask(pair, 1)
    (event,) = pair.receive(credit(1, 0))
    assert isinstance(event, StreamReset)
    assert resets(pair.sent()) == [(1, PROTOCOL_ERROR)]
    pair.receive(credit(0, 0))
    assert last_words(pair) == (1, PROTOCOL_ERROR)


def test_credit_for_a_stream_that_has_ended() -> None:
    """RFC 9113 §5.1: a client may send it before it knows of the end."""
    pair = Pair()
    ask(pair, 1)
    pair.machine.send_response(1, 200, [], b"")
    pair.sent()
    assert pair.receive(credit(1, LARGEST), credit(1, 0)) == []
    assert pair.sent() == []


@pytest.mark.parametrize("stream", [2, 3])
def test_credit_for_a_stream_that_has_not_begun(stream: int) -> None:
    """RFC 9113 §5.1: in the idle state it is an error of the connection."""
    pair = Pair()
    ask(pair, 1)
    pair.receive(credit(stream, 1))
    assert last_words(pair) == (1, PROTOCOL_ERROR)
