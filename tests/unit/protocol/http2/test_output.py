"""What is sent on streams, in which frames and when (RFC 9113 §8)."""

from __future__ import annotations

import pytest

from pagi.protocol.errors import LocalProtocolError, ShortBodyError
from tests.unit.protocol.http2.driving import (
    MAX_FRAME_SIZE,
    Part,
    answer,
    ask,
    body,
    credit,
    settings,
    shapes,
)
from tests.unit.protocol.http2.test_machine import GET, Pair
from tests.unit.protocol.http2.test_windows import (
    DEFAULT,
    INTERNAL_ERROR,
    data,
    resets,
    upload,
    wide,
    with_window,
)

pytestmark = pytest.mark.usefixtures("engine")

#: A field that makes a header section of more than two frames.
LONG_FIELD = (b"x-long", b"~" * 40_000)


def kinds(parts: list[Part]) -> list[tuple[str, int]]:
    """Return sorts and flags of frames."""
    return [(part[0], part[2]) for part in parts]


def statuses(pair: Pair, parts: list[Part]) -> list[str]:
    """Return the statuses of heads, in their order."""
    return [pair.fields(part[3])[0][1] for part in parts if part[0] == "HEADERS"]


def ask_with(pair: Pair, stream: int, method: str) -> None:
    """Let a request with a method come."""
    (event,) = pair.receive(pair.headers(stream, [(":method", method), *GET[1:]]))
    assert event.method == method


# --- ends ---


def test_a_whole_answer_ends_with_its_last_frame() -> None:
    pair = wide()
    for stream, size in enumerate((0, 1, 16_384, 16_385, 32_768)):
        ask(pair, 2 * stream + 1)
        pair.machine.send_response(2 * stream + 1, 200, [], bytes(size))
        parts = pair.sent()
        assert [part[2] & 1 for part in parts] == [0] * (len(parts) - 1) + [1]
        assert all(part[3] for part in parts)
        assert len(body(parts, 2 * stream + 1)) == size
    assert pair.machine.idle


@pytest.mark.parametrize("size", [None, 5])
def test_a_body_ends_with_its_last_frame(size: int | None) -> None:
    pair = Pair()
    ask(pair, 1)
    pair.machine.send_head(1, 200, [], size)
    pair.machine.send_body(1, b"12")
    pair.machine.send_body(1, b"345")
    pair.machine.send_body(1, b"", end=True)
    assert shapes(pair.sent())[1:] == [("DATA", 1, 1, 5)]


def test_an_end_that_was_not_known_takes_an_empty_frame() -> None:
    pair = Pair()
    ask(pair, 1)
    pair.machine.send_head(1, 200, [])
    pair.machine.send_body(1, b"12345")
    assert shapes(pair.sent())[1:] == [("DATA", 1, 0, 5)]
    pair.machine.send_body(1, b"")
    assert pair.sent() == []
    pair.machine.send_body(1, b"", end=True)
    assert shapes(pair.sent()) == [("DATA", 1, 1, 0)]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_answers_without_a_body(method: str, status: int) -> None:
    """RFC 9110 §9.3.2, §15.3.5, §15.4.5: whatever the application sends."""
    pair = Pair()
    for stream in (1, 3):
        ask_with(pair, stream, method)
    pair.machine.send_response(1, status, [], b"body")
    pair.machine.send_head(3, status, [], 4)
    pair.machine.send_body(3, b"bo")
    pair.machine.send_body(3, b"dy", end=True)
    parts = pair.sent()
    assert kinds([part for part in parts if part[1] == 1]) == [("HEADERS", 5)]
    # The head had to leave before its end was known.
    assert shapes([part for part in parts if part[1] == 3])[1:] == [("DATA", 3, 1, 0)]
    lengths = [dict(pair.fields(part[3])).get("content-length") for part in parts if part[3]]
    assert lengths == ["4" if method == "HEAD" else None] * 2
    assert pair.machine.idle


def test_informational_answers_come_before_the_head() -> None:
    """RFC 9113 §8.1: any number of them, and none ends the stream."""
    pair = Pair()
    upload(pair, 1)
    pair.machine.send_informational(1, 100, [])
    pair.machine.send_informational(1, 103, [(b"Link", b"</a>"), (b"content-length", b"1")])
    pair.machine.send_informational(1, 103, [(b"connection", b"close")])
    pair.receive(data(1, 3, end=True))
    pair.machine.send_response(1, 200, [], b"body")
    parts = pair.sent()
    assert kinds(parts) == [("HEADERS", 4)] * 4 + [("DATA", 1)]
    assert [pair.fields(part[3]) for part in parts[:3]] == [
        [(":status", "100")],
        [(":status", "103"), ("link", "</a>")],
        [(":status", "103")],
    ]
    assert statuses(pair, parts[3:4]) == ["200"]


def test_informational_answers_that_are_none() -> None:
    """RFC 9113 §8.6: there is no 101; none comes behind the head."""
    pair = Pair()
    ask(pair, 1)
    for status in (99, 101, 200):
        with pytest.raises(LocalProtocolError, match="not an informational status"):
            pair.machine.send_informational(1, status, [])
    pair.machine.send_head(1, 200, [])
    with pytest.raises(LocalProtocolError, match="no response head is due"):
        pair.machine.send_informational(1, 103, [])


# --- answers that wait for credit ---


def test_small_answers_wait_when_there_is_no_credit() -> None:
    pair = with_window(3)
    for stream in (1, 3):
        ask(pair, stream)
        pair.machine.send_response(stream, 200, [], b"1234")
        assert pair.machine.buffered(stream) == 4
    parts = pair.sent()
    assert [part[:3] for part in parts] == [
        *(("HEADERS", 1, 4), ("HEADERS", 3, 4)),
        *(("DATA", 1, 0), ("DATA", 3, 0)),
    ]
    assert [pair.machine.buffered(stream) for stream in (1, 3)] == [1, 1]
    pair.receive(credit(3, 1))
    assert pair.sent() == [("DATA", 3, 1, b"4")]
    assert pair.machine.closed == [3]
    pair.receive(credit(1, 100))
    assert pair.sent() == [("DATA", 1, 1, b"4")]
    assert pair.machine.idle


def test_small_answers_wait_when_the_connection_has_no_credit() -> None:
    pair = with_window(2**20)
    ask(pair, 1)
    answer(pair, 1, DEFAULT - 2)
    assert pair.machine.buffered(1) == DEFAULT - 2
    pair.sent()
    ask(pair, 3)
    pair.machine.send_response(3, 200, [], b"1234")
    assert pair.sent()[-1] == ("DATA", 3, 0, b"12")
    pair.receive(credit(0, 2))
    assert pair.sent() == [("DATA", 3, 1, b"34")]


def test_small_answers_count_until_they_are_pulled() -> None:
    """A client that does not read gets no more streams than it may have."""
    pair = Pair(max_concurrent_streams=3)
    for stream in (1, 3, 5):
        ask(pair, stream)
        pair.machine.send_response(stream, 200, [], b"body")
        assert pair.machine.buffered(stream) == 4
        assert pair.machine.is_open(stream)
    assert pair.receive(pair.headers(7)) == []
    assert resets(pair.sent()) == [(7, 7)]  # REFUSED_STREAM
    assert pair.machine.closed == [1, 3, 5]
    ask(pair, 9)


# --- header sections that are larger than a frame ---


@pytest.mark.parametrize("size", [16_384, 20_000, 65_536])
def test_long_heads(size: int) -> None:
    """RFC 9113 §4.3: nothing comes between the frames of a section, not even of other streams."""
    pair = wide()
    pair.receive(settings((MAX_FRAME_SIZE, size)))
    pair.sent()
    for stream in (1, 3, 5):
        ask(pair, stream)
    answer(pair, 1, 100_000)
    pair.sent()
    answer(pair, 5, 100_000)
    pair.machine.send_response(3, 200, [LONG_FIELD], b"body")
    parts = pair.sent()
    first = next(index for index, part in enumerate(parts) if part[:2] == ("HEADERS", 3))
    section = [parts[first]]
    while not section[-1][2] & 4:
        section.append(parts[first + len(section)])
    assert {part[1] for part in section} == {3}
    assert [part[0] for part in section] == ["HEADERS"] + ["CONTINUATION"] * (len(section) - 1)
    assert len(section) == -(-sum(len(part[3]) for part in section) // size)
    assert all(len(part[3]) == size for part in section[:-1])
    block = b"".join(part[3] for part in section)
    pair.decoder.decode(parts[0][3])  # of stream 5, which came before
    assert ("x-long", "~" * 40_000) in pair.fields(block)


def test_a_long_head_without_a_body_ends_the_stream() -> None:
    """RFC 9113 §6.2: END_STREAM is of HEADERS, CONTINUATION has no such flag."""
    pair = Pair()
    ask(pair, 1)
    pair.machine.send_response(1, 200, [LONG_FIELD], b"")
    assert kinds(pair.sent()) == [("HEADERS", 1), ("CONTINUATION", 0), ("CONTINUATION", 4)]
    assert pair.machine.idle


@pytest.mark.parametrize("over", [0, 1])
def test_a_section_of_exactly_one_frame(over: int) -> None:
    pair = Pair()
    ask(pair, 1)
    pair.machine.send_informational(1, 103, [(b"x-long", bytes(b"~" * 15_000))])
    more = 16_384 - len(pair.sent()[0][3]) + over
    pair.machine.send_informational(1, 103, [(b"x-long", b"~" * (15_000 + more))])
    parts = pair.sent()
    assert [len(part[3]) for part in parts] == [16_384] + [1] * over
    assert kinds(parts)[-1] == ("CONTINUATION" if over else "HEADERS", 4)


# --- trailers ---


def test_trailers_wait_behind_the_body() -> None:
    """RFC 9113 §8.1: the body, then one section that ends the stream."""
    pair = with_window(3)
    ask(pair, 1)
    pair.machine.send_head(1, 200, [], trailers=True)
    pair.machine.send_body(1, b"12345", end=True)
    pair.machine.send_trailers(1, [(b"X-Sum", b"15"), LONG_FIELD])
    head, first = pair.sent()
    assert (head[2], first) == (4, ("DATA", 1, 0, b"123"))
    # What is encoded in between must not change what the trailers mean.
    ask(pair, 3)
    pair.machine.send_response(3, 204, [(b"x-sum", b"1")], b"")
    parts = pair.sent()
    assert kinds(parts) == [("HEADERS", 5)]
    pair.fields(head[3])
    pair.fields(parts[0][3])
    pair.receive(credit(1, 1))
    assert pair.sent() == [("DATA", 1, 0, b"4")]
    pair.receive(credit(1, 1))
    parts = pair.sent()
    assert kinds(parts) == [("DATA", 0), ("HEADERS", 1), ("CONTINUATION", 0), ("CONTINUATION", 4)]
    found = pair.fields(b"".join(part[3] for part in parts[1:]))
    assert found == [("x-sum", "15"), ("x-long", "~" * 40_000)]
    assert pair.machine.idle


def test_trailers_need_no_credit() -> None:
    pair = with_window(3)
    ask(pair, 1)
    pair.machine.send_head(1, 200, [], trailers=True)
    pair.machine.send_body(1, b"123")
    pair.sent()
    pair.machine.send_trailers(1, [(b"x-sum", b"6")])
    assert kinds(pair.sent()) == [("HEADERS", 5)]


@pytest.mark.parametrize("pulled", [False, True])
def test_trailers_that_are_empty(pulled: bool) -> None:
    """RFC 9113 §8.1: a section is not needed; the body ends the stream."""
    pair = Pair()
    ask(pair, 1)
    pair.machine.send_head(1, 200, [], trailers=True)
    pair.machine.send_body(1, b"123", end=True)
    before = pair.sent() if pulled else []
    pair.machine.send_trailers(1, [])
    sizes = [(1, 3)] if not pulled else [(0, 3), (1, 0)]
    parts = [*before, *pair.sent()]
    assert [(part[2], len(part[3])) for part in parts[1:]] == sizes
    assert pair.machine.idle


def test_trailers_that_are_not_due() -> None:
    pair = Pair()
    for stream in (1, 3):
        ask(pair, stream)
        pair.machine.send_head(stream, 200, [], trailers=stream == 3)
    with pytest.raises(LocalProtocolError, match="no trailers are due"):
        pair.machine.send_trailers(1, [(b"x-sum", b"1")])
    for field in ((b"content-length", b"1"), (b":status", b"200"), (b"a", b"\r\n")):
        with pytest.raises(LocalProtocolError):
            pair.machine.send_trailers(3, [field])
    pair.machine.send_trailers(3, [(b"x-sum", b"1")])
    assert kinds(pair.sent())[-1] == ("HEADERS", 5)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_trailers_of_answers_without_a_body(method: str, status: int) -> None:
    """They are left out with the body; the application need not know."""
    pair = Pair()
    ask_with(pair, 1, method)
    pair.machine.send_head(1, status, [], trailers=True)
    pair.machine.send_body(1, b"123", end=True)
    pair.machine.send_trailers(1, [(b"x-sum", b"6")])
    assert shapes(pair.sent())[1:] == [("DATA", 1, 1, 0)]


def test_trailers_that_are_empty_behind_a_body_that_is_too_short() -> None:
    """RFC 9113 §8.1.1: such a response is malformed."""
    pair = Pair()
    ask(pair, 1)
    pair.machine.send_head(1, 200, [(b"content-length", b"4")], trailers=True)
    pair.machine.send_body(1, b"123")
    with pytest.raises(ShortBodyError):
        pair.machine.send_trailers(1, [])


# --- bodies of another length than declared ---


@pytest.mark.parametrize("declared", ["as a field", "as the size"])
def test_a_body_that_is_too_long_or_too_short(declared: str) -> None:
    """RFC 9113 §8.1.1: the client must not take it for whole; other streams do not suffer."""
    pair = Pair()
    for stream in (1, 3, 5):
        ask(pair, stream)
        if declared == "as a field":
            pair.machine.send_head(stream, 200, [(b"content-length", b"4")])
        else:
            pair.machine.send_head(stream, 200, [], 4)
        pair.machine.send_body(stream, b"12")
    with pytest.raises(LocalProtocolError, match="1 bytes longer"):
        pair.machine.send_body(1, b"345", end=True)
    with pytest.raises(LocalProtocolError, match="3 bytes longer"):
        pair.machine.expect_body(1, 5)
    with pytest.raises(ShortBodyError, match="1 bytes shorter"):
        pair.machine.send_body(3, b"3", end=True)
    for stream in (1, 3):
        pair.machine.reset(stream, "server_error")
    pair.machine.send_body(5, b"34", end=True)
    parts = pair.sent()
    assert resets(parts) == [(1, INTERNAL_ERROR), (3, INTERNAL_ERROR)]
    assert (body(parts, 1), body(parts, 3), body(parts, 5)) == (b"", b"", b"1234")
    assert [part[1] for part in parts if part[2] & 1] == [5]
    assert sorted(pair.machine.closed) == [1, 3, 5]


def test_a_whole_answer_of_another_length_is_not_begun() -> None:
    pair = Pair()
    ask(pair, 1)
    with pytest.raises(LocalProtocolError, match="content-length is 4, the body has 3 bytes"):
        pair.machine.send_response(1, 200, [(b"content-length", b"4")], b"123")
    with pytest.raises(LocalProtocolError, match="1 bytes longer"):
        pair.machine.send_head(1, 200, [(b"content-length", b"4")], None, False, 5)
    pair.machine.send_response(1, 500, [], b"oh")
    assert statuses(pair, pair.sent()) == ["500"]
