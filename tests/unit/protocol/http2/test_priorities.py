"""Whose turn it is: urgency, and turns of equals (RFC 9218)."""

from __future__ import annotations

import pytest

from pagi.protocol.events import ConnectionFailed
from tests.unit.protocol.http2.driving import (
    INITIAL_WINDOW_SIZE,
    answer,
    ask,
    body,
    credit,
    priority_update,
    settings,
    turns,
)
from tests.unit.protocol.http2.test_machine import GET, POST, Pair, frame, frames
from tests.unit.protocol.http2.test_windows import (
    ENHANCE_YOUR_CALM,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    last_words,
    resets,
    wide,
    with_window,
)

pytestmark = pytest.mark.usefixtures("engine")

#: A body of three frames.
LONG = 40_000
#: Streams of which each is known to have one of the urgencies, and two to compare with them.
KNOWN = {stream: (stream - 1) // 2 for stream in range(1, 17, 2)}
TWO = (17, 19)

#: Values of the field, the urgency, and whether a response is incremental.
VALUES = [
    *((f"u={urgency}", urgency, False) for urgency in range(8)),
    *((f"u={urgency}, i", urgency, True) for urgency in (0, 3, 7)),
    *(("i", 3, True), ("i=?1", 3, True), ("i=?0", 3, False), ("i,u=1", 1, True)),
    *(
        ("u=5,i=?0", 5, False),
        ("u=5\t ,\t i", 5, True),
        ("u=x, u=5", 5, False),
        ("a=1, u=2, b", 2, False),
    ),
    *(("u=2;x=1, i;y", 2, True), ('a="b", u=6', 6, False), ("a=(i j), u=6", 6, False)),
    # RFC 9218 §4: a value that is not as it should be is passed over, the others count.
    *(("u=8", 3, False), ("u=-1", 3, False), ("u=1.0, i", 3, True), ("u=?1", 3, False)),
    *(("u=10", 3, False), ("u", 3, False), ("u=", 3, False), ("u=a", 3, False)),
    *(("u=1, i=1", 1, False), ("u=1, i=a", 1, False), ("u=1, i=?2", 1, False)),
    *(("uu=1", 3, False), ("U=1", 3, False), ("I", 3, False), ("xi", 3, False)),
    *(("u 1", 3, False), ("=", 3, False), (",,,", 3, False), ("\xff\xfe", 3, False)),
]


def rank(pair: Pair, field: str | None = None, update: bytes | None = None) -> tuple[int, bool]:
    """Tell how urgent two responses are, and whether they take turns, by what is sent.

    Args:
        pair: nothing has been asked yet.
        field: of the requests.
        update: in frames behind the requests.
    """
    for stream, urgency in KNOWN.items():
        ask(pair, stream, f"u={urgency}")
    for stream in TWO:
        ask(pair, stream, field or "")
    for stream in (*KNOWN, *TWO):
        answer(pair, stream, LONG)
    if update is not None:
        assert pair.receive(*(priority_update(stream, update) for stream in TWO)) == []
    order = turns(pair.sent())
    ours = [stream for stream in order if stream in TWO]
    assert ours in ([17, 17, 17, 19, 19, 19], [17, 19] * 3)
    # Of equal urgency those come first that were asked for first, so all of the same and before.
    before = order[: order.index(17)]
    assert before == [stream for stream in KNOWN for _ in range(3)][: len(before)]
    return len(before) // 3 - 1, ours[1] == 19


# --- turns ---


def test_incremental_ones_take_turns() -> None:
    """RFC 9218 §10: those of equal urgency that are incremental share what there is."""
    pair = wide()
    for stream in (1, 3, 5):
        ask(pair, stream, "i")
    for stream in (3, 1, 5):
        answer(pair, stream, LONG)
    assert turns(pair.sent()) == [3, 1, 5] * 3


def test_turns_go_on_with_the_next_pull() -> None:
    pair = wide()
    for stream in (1, 3, 5):
        ask(pair, stream, "i")
        answer(pair, stream, LONG)
    pulled = []
    for _ in range(20):
        pulled += turns(frames(b"".join(pair.machine.data_to_send(1))))
    assert pulled == [1, 3, 5] * 3


def test_who_comes_later_takes_part_in_the_turns() -> None:
    pair = wide()
    for stream in (1, 3, 5):
        ask(pair, stream, "i")
    answer(pair, 1, 2 * LONG)
    assert turns(frames(b"".join(pair.machine.data_to_send(20_000)))) == [1, 1]
    answer(pair, 3, LONG)
    answer(pair, 5, LONG)
    assert turns(pair.sent()) == [1, 3, 5] * 3


def test_others_come_one_after_the_other() -> None:
    """RFC 9218 §10: in the order of their streams, or as they are ready: the same here."""
    pair = wide()
    for stream in (1, 3, 5):
        ask(pair, stream, "u=3")
        answer(pair, stream, LONG)
    pulled = []
    for _ in range(20):
        pulled += turns(frames(b"".join(pair.machine.data_to_send(1))))
    assert pulled == [1, 1, 1, 3, 3, 3, 5, 5, 5]


def test_the_urgent_come_first() -> None:
    """RFC 9218 §4.1: 0 is the most urgent, 7 the least."""
    pair = wide()
    streams = list(range(1, 17, 2))
    for number, stream in enumerate(streams):
        ask(pair, stream, f"u={7 - number}" + ", i" * (number % 2))
        answer(pair, stream, LONG)
    assert turns(pair.sent()) == [stream for stream in reversed(streams) for _ in range(3)]


def test_what_is_urgent_overtakes() -> None:
    pair = wide()
    ask(pair, 1, "u=4, i")
    answer(pair, 1, LONG)
    assert turns(frames(b"".join(pair.machine.data_to_send(100)))) == [1]
    ask(pair, 3, "u=2")
    answer(pair, 3, LONG)
    assert turns(pair.sent()) == [3, 3, 3, 1, 1]


def test_who_has_nothing_to_send_misses_its_turn() -> None:
    pair = wide()
    for stream in (1, 3):
        ask(pair, stream, f"u={stream}")
    pair.machine.send_head(1, 200, [])
    pair.machine.send_body(1, bytes(10))
    answer(pair, 3, LONG)
    assert turns(pair.sent()) == [1, 3, 3, 3]
    pair.machine.send_body(1, bytes(10), end=True)
    assert turns(pair.sent()) == [1]


def test_who_has_no_credit_misses_its_turn() -> None:
    pair = with_window(0, 10**6)
    for stream in (1, 3):
        ask(pair, stream, "i")
        answer(pair, stream, LONG)
    pair.receive(credit(3, 20_000))
    assert turns(pair.sent()) == [3, 3]
    pair.receive(settings((INITIAL_WINDOW_SIZE, 20_000)))
    assert turns(pair.sent()) == [1, 3, 1, 3]


# --- what the client says ---


@pytest.mark.parametrize(("value", "urgency", "incremental"), VALUES)
def test_the_field(value: str, urgency: int, incremental: bool) -> None:
    """RFC 9218 §4 and §5; what cannot be understood counts as if it were not there."""
    assert rank(wide(), value) == (urgency, incremental)


@pytest.mark.parametrize(("value", "urgency", "incremental"), VALUES)
def test_the_frame_before_its_stream(value: str, urgency: int, incremental: bool) -> None:
    """RFC 9218 §7.1: it is kept until the stream is opened."""
    pair = wide()
    for stream in TWO:
        assert pair.receive(priority_update(stream, b"u=6")) == []
        assert pair.receive(priority_update(stream, value.encode("latin-1"))) == []
    assert rank(pair) == (urgency, incremental)


@pytest.mark.parametrize(("value", "urgency", "incremental"), VALUES)
def test_the_frame_behind_its_stream(value: str, urgency: int, incremental: bool) -> None:
    """RFC 9218 §7.1, of responses that wait for their turn."""
    assert rank(wide(), update=value.encode("latin-1")) == (urgency, incremental)


def test_the_frame_counts_more_than_the_field() -> None:
    """RFC 9218 §7.1: one that came before its stream is applied when it is opened."""
    pair = wide()
    for stream in TWO:
        pair.receive(priority_update(stream, b"u=6, i"))
    assert rank(pair, "u=1") == (6, True)


@pytest.mark.parametrize("value", [b"i", b""])
def test_what_the_frame_leaves_out(value: bytes) -> None:
    """RFC 9218 §7: a complete set; "omitting a priority parameter is a signal to use its default"""
    assert rank(wide(), "u=6, i", value) == (3, value == b"i")


def test_an_empty_frame_before_its_stream() -> None:
    """RFC 9218 §7: it asks for the defaults, whatever the field says."""
    pair = wide()
    for stream in TWO:
        pair.receive(priority_update(stream, b""))
    assert rank(pair, "u=6, i") == (3, False)


@pytest.mark.parametrize("value", ["u=1, u=5", "i, u=5, i=?0"])
def test_of_members_of_one_name_the_last_counts(value: str) -> None:
    """RFC 9651 §3.2: "all but the last instance are ignored"."""
    assert rank(wide(), value) == (5, False)


def test_the_frame_while_the_response_is_under_way() -> None:
    pair = wide()
    for stream in (1, 3):
        ask(pair, stream, "u=3")
        answer(pair, stream, LONG)
    assert turns(frames(b"".join(pair.machine.data_to_send(100)))) == [1]
    pair.receive(priority_update(1, b"u=5"))
    assert turns(frames(b"".join(pair.machine.data_to_send(100)))) == [3]
    pair.receive(priority_update(3, b"u=5, i"), priority_update(1, b"u=5, i"))
    assert turns(pair.sent()) == [1, 3, 1, 3]


def test_the_frame_before_there_is_anything_to_send() -> None:
    pair = wide()
    for stream in (1, 3):
        ask(pair, stream)
        pair.receive(priority_update(stream, b"u=%d" % (7 - stream)))
    for stream in (1, 3):
        answer(pair, stream, LONG)
    assert turns(pair.sent()) == [3, 3, 3, 1, 1, 1]


def test_the_frame_of_a_stream_that_has_ended() -> None:
    """RFC 9218 §7.1: it may be discarded."""
    pair = Pair()
    ask(pair, 1)
    pair.machine.send_response(1, 200, [], b"body")
    pair.sent()
    ask(pair, 3)
    pair.receive(frame("RST_STREAM", 3, 0, bytes(4)))
    assert pair.receive(priority_update(1, b"u=0"), priority_update(3, b"u=0")) == []
    assert pair.sent() == []
    assert pair.machine.idle


@pytest.mark.parametrize(
    ("update", "code"),
    [
        (priority_update(0, b"u=1"), PROTOCOL_ERROR),
        (priority_update(1, b"u=1")[:8] + b"\1" + priority_update(1, b"u=1")[9:], PROTOCOL_ERROR),
        (b"\0\0\3\x10\0\0\0\0\0\0\0\1", FRAME_SIZE_ERROR),
        (b"\0\0\0\x10\0\0\0\0\0", FRAME_SIZE_ERROR),
    ],
)
def test_frames_that_are_wrong(update: bytes, code: int) -> None:
    """RFC 9218 §7.1: on stream 0, about one that is not 0; RFC 9113 §4.2: of a size that fits."""
    pair = Pair()
    ask(pair, 1)
    (event,) = pair.receive(update)
    assert isinstance(event, ConnectionFailed)
    assert last_words(pair) == (1, code)


def test_frames_about_streams_that_never_come() -> None:
    """As many are kept as there may be streams (RFC 9218 §7.1): the last ones count."""
    pair = wide(max_concurrent_streams=10, max_idle_frames=10**6)
    for stream in range(100_001, 110_001, 2):
        pair.receive(priority_update(stream, b"u=0" + b" " * 10_000))
        pair.receive(priority_update(stream + 1, b"u=0"))
    pair.receive(priority_update(3, b"u=1"))
    for stream in (1, 3):
        ask(pair, stream)
        answer(pair, stream, LONG)
    assert turns(pair.sent()) == [3, 3, 3, 1, 1, 1]


def test_frames_about_priorities_ask_for_nothing() -> None:
    """RFC 9113 §10.5: a peer that sends many of them without an end is stopped."""
    pair = Pair(max_idle_frames=50)
    assert pair.receive(priority_update(1, b"u=1") * 49) == []
    (event,) = pair.receive(priority_update(1, b"u=1") * 2)
    assert isinstance(event, ConnectionFailed)
    assert last_words(pair) == (0, ENHANCE_YOUR_CALM)


def test_priorities_of_the_past_are_passed_over() -> None:
    """RFC 9113 §5.3.2: those of RFC 7540 are received, and mean nothing."""
    pair = wide()
    for stream in (1, 3):
        section = b"\0\0\0\0\xff" + pair.encoder.encode([*GET, ("priority", "u=3")])
        (event,) = pair.receive(frame("HEADERS", stream, 0x25, section))
        assert event.stream_id == stream
        pair.receive(frame("PRIORITY", 3, 0, b"\x80\0\0\1\0"))
        answer(pair, stream, LONG)
    assert turns(pair.sent()) == [1, 1, 1, 3, 3, 3]


# --- what the client does not say ---


@pytest.mark.parametrize("how", ["of unknown size", "whole and large", "of known size"])
def test_long_responses_take_turns_unless_the_client_says_otherwise(how: str) -> None:
    """RFC 9218 §10 leaves it open; one download would hold up all that is asked for later."""
    for priority, order in (("", [1, 3] * 3), ("u=3", [1, 1, 1, 3, 3, 3])):
        pair = wide()
        for stream in (1, 3):
            ask(pair, stream, priority)
            if how == "of unknown size":
                answer(pair, stream, LONG)
            elif how == "whole and large":
                pair.machine.send_response(stream, 200, [], bytes(LONG))
            else:
                pair.machine.send_head(stream, 200, [], LONG)
                pair.machine.send_body(stream, bytes(LONG), end=True)
        assert turns(pair.sent()) == order


def test_small_answers_do_not_wait_for_long_ones() -> None:
    pair = wide()
    ask(pair, 1, "u=0")
    answer(pair, 1, LONG)
    ask(pair, 3, "u=7")
    pair.machine.send_response(3, 200, [], bytes(16_384))
    parts = pair.sent()
    assert turns(parts) == [3, 1, 1, 1]
    assert [part[2] for part in parts if part[1] == 3] == [4, 1]


def test_tunnels_take_turns() -> None:
    pair = wide()
    connect = [(":method", "CONNECT"), (":protocol", "websocket"), *GET[1:]]
    for stream in (1, 3):
        pair.receive(pair.headers(stream, connect, end=False))
        pair.machine.switch(stream, [])
        pair.machine.send_body(stream, bytes(LONG))
    assert turns(pair.sent()) == [1, 3] * 3


def test_who_is_reset_leaves_the_turns() -> None:
    pair = wide()
    for stream in (1, 3, 5, 7):
        ask(pair, stream, "u=2, i")
        answer(pair, stream, LONG)
    assert turns(frames(b"".join(pair.machine.data_to_send(1000)))) == [1]
    pair.machine.reset(3, "app_abort")
    pair.receive(frame("RST_STREAM", 7, 0, b"\0\0\0\x08"), priority_update(7, b"u=1"))
    parts = pair.sent()
    assert turns(parts) == [5, 1, 5, 1, 5]
    assert [stream for stream, _ in resets(parts)] == [3]
    assert body(parts, 3) == b""
    assert pair.machine.idle


def test_answers_before_the_end_of_requests_take_turns() -> None:
    """RFC 9113 §8.1: each upload is stopped when its answer has left, not before."""
    pair = wide()
    for stream in (1, 3):
        pair.receive(pair.headers(stream, POST, end=False))
        answer(pair, stream, LONG)
    parts = []
    for _ in range(20):
        parts += frames(b"".join(pair.machine.data_to_send(1)))
    assert turns(parts) == [1, 3] * 3
    for stream in (1, 3):
        last = [part for part in parts if part[1] == stream][-2:]
        assert [(part[0], part[2]) for part in last] == [("DATA", 1), ("RST_STREAM", 0)]
