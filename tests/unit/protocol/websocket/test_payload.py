"""Messages on their way in: joined, and checked for UTF-8 at every byte (RFC 3629)."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.unit.protocol.websocket.driving import MASK, Implementation, xor

_EDGES = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC]
_EDGES += [0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]
GOOD = ["", "a", "\x7f", "\x80", "߿", "ࠀ", "퟿", "", "￿", "𐀀", "\U0010ffff", "κόσμε"]
GOOD += ["x" * 100, "é" * 100, "x" * 7 + "é", "x" * 8 + "€", "\0" * 9, "￾", "\ufeff"]


def _collected(implementation: Implementation, data: bytes, text: bool, step: int) -> Any:
    """Return the message, or where it was found to be none."""
    payload = implementation.Payload(text)
    for at in range(0, len(data), step):
        if not payload.add(data[at : at + step]):
            return at
    assert payload.size == len(data)
    return payload.finish()


def _is_prefix_of_utf8(data: bytes) -> bool:
    """Tell whether some text begins with these bytes, by asking Python for one."""
    for more in (b"", b"\x80", b"\xbf", b"\x80\x80", b"\xbf\xbf", b"\x80\x80\x80", b"\xbf\xbf\xbf"):
        try:
            (data + more).decode()
        except UnicodeDecodeError:
            continue
        return True
    return False


@pytest.mark.parametrize("text", GOOD)
@pytest.mark.parametrize("step", [1, 2, 3, 8, 1000])
def test_texts(implementation: Implementation, text: str, step: int) -> None:
    assert _collected(implementation, text.encode(), True, step) == text


@pytest.mark.parametrize("step", [1, 2, 3, 8, 1000])
def test_bytes(implementation: Implementation, step: int) -> None:
    data = bytes(range(256)) * 3
    found = _collected(implementation, data, False, step)

    assert found == data
    assert type(found) is bytes


def test_nothing(implementation: Implementation) -> None:
    assert implementation.Payload(True).finish() == ""
    assert implementation.Payload(False).finish() == b""
    payload = implementation.Payload(True)
    assert payload.add(b"")
    assert payload.finish() == ""


def test_every_pair_of_bytes(implementation: Implementation) -> None:
    for first in range(256):
        for second in range(256):
            data = bytes((first, second))
            payload = implementation.Payload(True)
            expected = [_is_prefix_of_utf8(data[:1]), _is_prefix_of_utf8(data)]
            good = payload.add(data[:1])
            assert good == expected[0], data
            if good:
                assert payload.add(data[1:]) == expected[1], data
            assert implementation.Payload(True).add(data) == expected[1], data


def test_sequences_of_bytes_at_the_edges(implementation: Implementation) -> None:
    source = random.Random(1)
    for _ in range(20_000):
        data = bytes(source.choices(_EDGES, k=source.randrange(3, 6)))
        bad = next((at for at in range(len(data)) if not _is_prefix_of_utf8(data[: at + 1])), None)
        payload = implementation.Payload(True)
        found = next((at for at in range(len(data)) if not payload.add(data[at : at + 1])), None)
        assert found == bad, data
        whole = implementation.Payload(True)
        assert whole.add(data) == (bad is None), data
        if bad is None:
            try:
                text: str | None = data.decode()
            except UnicodeDecodeError:
                text = None
            assert whole.finish() == payload.finish() == text


@pytest.mark.parametrize("text", ["é", "€", "\U0001f600"])
def test_a_text_that_ends_within_a_character(implementation: Implementation, text: str) -> None:
    data = b"x" + text.encode()
    for end in range(2, len(data)):
        assert _collected(implementation, data[:end], True, 1) is None
        assert _collected(implementation, data[:end], True, 10) is None


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("expected", [0, 700])
def test_masked_pieces(implementation: Implementation, text: bool, expected: int) -> None:
    data = ("é" * 50).encode() * 7
    wire = xor(data, MASK)
    source = random.Random(expected)
    for _ in range(20):
        payload = implementation.Payload(text)
        at = 0
        while at < len(data):
            end = min(len(data), at + source.choice((0, 1, 2, 5, 64, 300)))
            assert payload.add_masked(b"??" + wire, at + 2, end + 2, MASK, at & 3, expected)
            at = end
        assert payload.size == 700
        assert payload.finish() == (data.decode() if text else data)


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0", b"\xed\xa0", b"\xf4\x90"])
def test_masked_pieces_are_checked(implementation: Implementation, bad: bytes) -> None:
    for before in (b"", b"x" * 20, b"\xe2\x82\xac"):
        payload = implementation.Payload(True)
        data = before + bad
        for at in range(len(data) - 1):
            assert payload.add_masked(xor(data, MASK), at, at + 1, MASK, at & 3, 0)
        at = len(data) - 1
        assert not payload.add_masked(xor(data, MASK), at, at + 1, MASK, at & 3, 0)
        assert not implementation.Payload(True).add_masked(
            xor(data, MASK), 0, len(data), MASK, 0, 0
        )


def test_texts_that_stand_whole(implementation: Implementation) -> None:
    for text in GOOD:
        data = text.encode()
        wire = b"..." + MASK + xor(data, MASK) + b"..."
        found = implementation.read_text(wire, 7, 7 + len(data))
        assert found == text
        assert type(found) is str
    for bad in (b"\xff", b"\xe2\x82", b"\xed\xa0\x80", b"x" * 30 + b"\x80", b"\xc0\x80"):
        wire = MASK + xor(bad, MASK)
        assert implementation.read_text(wire, 4, 4 + len(bad)) is None


def test_a_text_is_an_ordinary_str(implementation: Implementation) -> None:
    # it is made in place: what Python keeps beside the characters must be right
    text = implementation.read_text(MASK + xor(b"key-of-a-dict", MASK), 4, 17)

    assert {text: 1}["key-of-a-dict"] == 1
    assert text + "é" == "key-of-a-dicté"
    assert text.isascii()
    assert text.encode("utf-16-le").decode("utf-16-le") == text
