"""What the server sends: frames, their pieces, and what cannot be sent."""

from __future__ import annotations

import pytest

from pagi.protocol.errors import LocalProtocolError
from tests.unit.protocol.websocket.driving import Frame, Implementation, frames, output

SIZES = [0, 1, 125, 126, 16_383, 16_384, 65_535, 65_536, 100_000]


@pytest.mark.parametrize("size", SIZES)
def test_sizes(implementation: Implementation, size: int) -> None:
    machine = implementation.new()
    machine.send_bytes(b"x" * size)
    machine.send_text("y" * size)
    machine.send_text("€" * (size // 3))
    assert machine.buffered() >= 2 * size
    assert frames(output(machine)) == [
        Frame(0x82, b"x" * size),
        Frame(0x81, b"y" * size),
        Frame(0x81, ("€" * (size // 3)).encode()),
    ]


@pytest.mark.parametrize("text", ["", "x", "é", "€" * 50, "\U0001f600", "\0", "x\ud7ff", "\ufffe"])
def test_texts(implementation: Implementation, text: str) -> None:
    machine = implementation.new()
    machine.send_text(text)
    assert frames(output(machine)) == [Frame(0x81, text.encode())]


@pytest.mark.parametrize("text", ["\ud800", "abc\udfff", "x" * 20_000 + "\udc80"])
def test_a_lone_surrogate_is_no_text(implementation: Implementation, text: str) -> None:
    machine = implementation.new()
    with pytest.raises(LocalProtocolError, match="lone surrogate"):
        machine.send_text(text)
    assert machine.data_to_send() == []


def test_small_frames_are_joined(implementation: Implementation) -> None:
    machine = implementation.new()
    for number in range(16):
        machine.send_text(f"message {number}")
    (piece,) = machine.data_to_send()
    assert frames(piece) == [Frame(0x81, b"message %d" % number) for number in range(16)]
    assert machine.data_to_send() == []


def test_a_large_payload_is_not_copied(implementation: Implementation) -> None:
    machine = implementation.new()
    large = b"x" * 16_384
    machine.send_text("before")
    machine.send_bytes(large)
    machine.send_text("after")
    machine.send_ping(b"!")
    machine.send_bytes(large)
    pieces = machine.data_to_send()
    assert [len(piece) for piece in pieces] == [8 + 4, 16_384, 7 + 3 + 4, 16_384]
    assert pieces[1] is large
    assert pieces[3] is large
    assert [frame.first for frame in frames(b"".join(pieces))] == [0x81, 0x82, 0x81, 0x89, 0x82]


def test_many_small_frames_become_one_piece(implementation: Implementation) -> None:
    machine = implementation.new()
    for _ in range(10):
        machine.send_bytes(b"x" * 10_000)
    (piece,) = machine.data_to_send()
    assert frames(piece) == [Frame(0x82, b"x" * 10_000)] * 10


def test_what_is_queued_is_counted(implementation: Implementation) -> None:
    machine = implementation.new()
    assert machine.buffered() == 0
    machine.send_text("abc")
    assert machine.buffered() == 5
    machine.send_bytes(b"x" * 20_000)
    assert machine.buffered() == 5 + 20_004
    assert sum(map(len, machine.data_to_send())) == 20_009
    assert machine.buffered() == 0


def test_pings(implementation: Implementation) -> None:
    machine = implementation.new()
    machine.send_ping()
    machine.send_ping(b"x" * 125)
    with pytest.raises(LocalProtocolError, match="at most 125 bytes"):
        machine.send_ping(b"x" * 126)
    assert frames(output(machine)) == [Frame(0x89, b""), Frame(0x89, b"x" * 125)]


def test_without_deflate_nothing_is_compressed(implementation: Implementation) -> None:
    machine = implementation.new()
    assert not machine.compress_default
    machine.compress_default = True
    machine.send_text("x" * 5000)
    machine.send_text("x" * 5000, compress=True)
    machine.send_bytes(b"x" * 5000, compress=True)
    assert {frame.first for frame in frames(output(machine))} == {0x81, 0x82}
