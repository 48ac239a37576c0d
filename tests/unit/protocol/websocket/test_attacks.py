"""What hostile peers send: messages without end, bombs, floods (rows 33, 34 and 37)."""

from __future__ import annotations

import tracemalloc

import pytest

from pagi.protocol.websocket.deflate import DeflateParameters
from pagi.protocol.websocket.events import Failed, MessageReceived, PingReceived
from tests.unit.protocol.websocket.driving import (
    Frame,
    Implementation,
    frames,
    head,
    masked,
    output,
    receive,
    single_bytes,
    zeros,
)

AGREED = DeflateParameters()


@pytest.mark.parametrize("first", [0x81, 0x82, 0x01, 0x02])
def test_row_33_a_declared_gigabyte(implementation: Implementation, first: int) -> None:
    machine = implementation.new()
    tracemalloc.start()
    try:
        (failure,) = machine.receive_data(head(first, 2**30), 0.0)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert failure.code == 1009
    (frame,) = frames(output(machine))
    assert frame.payload[:2] == b"\x03\xf1"


def test_row_33_fragments_add_up(implementation: Implementation) -> None:
    wire = masked(0x02, b"x" * 1000) + masked(0x00, b"x" * 1000) * 20
    events = receive(implementation, wire, max_message_size=10_000).events

    assert [event.code for event in events] == [1009]


def test_row_33_many_fragments(implementation: Implementation) -> None:
    wire = masked(0x02) + masked(0x00, b"x") * 20
    events = receive(implementation, wire, max_fragments=10, max_control_frames=1).events

    assert events == [Failed(1009, "a message has too many fragments")]


def test_row_33_what_is_not_whole_is_bounded(implementation: Implementation) -> None:
    # the size of a message counts its bytes, not the packets or frames they came in
    machine = implementation.new(max_message_size=50_000)
    tracemalloc.start()
    try:
        machine.receive_data(masked(0x02, b"x"), 0.0)
        for _ in range(40_000):
            assert not machine.receive_data(b"\x00\x81\0\0\0\0x", 0.0)
        assert tracemalloc.get_traced_memory()[1] < 4 * 50_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("fragments", [1, 50])
def test_row_34_a_megabyte_that_inflates_to_a_gigabyte(
    implementation: Implementation, fragments: int
) -> None:
    bomb = zeros(2**20) * 1024
    size = len(bomb) // fragments + 1
    parts = [bomb[at : at + size] for at in range(0, len(bomb), size)]
    wire = masked(0xC2 if fragments == 1 else 0x42, parts[0], b"\0\0\0\0")
    wire += b"".join(masked(0x00, part, b"\0\0\0\0") for part in parts[1:])
    machine = implementation.new(AGREED, max_message_size=2**20)
    tracemalloc.start()
    try:
        (failure,) = machine.receive_data(wire, 0.0)
        assert tracemalloc.get_traced_memory()[1] < 2**20 * 3 + 2 * len(bomb)
    finally:
        tracemalloc.stop()
    assert failure == Failed(1009, "a message is longer than the limit when it is inflated")


def test_row_34_nothing_endless_in_what_inflates_to_nothing(implementation: Implementation) -> None:
    # empty blocks inflate to no byte: their own bytes count
    blocks = b"\x00\x00\x00\xff\xff" * 500
    (failure,) = receive(implementation, masked(0xC2, blocks), AGREED, max_message_size=1000).events
    assert failure.code == 1009
    wire = masked(0x42, blocks[:1000]) + masked(0x00, blocks[:1000]) * 5
    (failure,) = receive(implementation, wire, AGREED, max_message_size=1000).events
    assert failure.code == 1009
    (message,) = receive(
        implementation, masked(0xC2, blocks[:2000]), AGREED, max_message_size=1000
    ).events
    assert message == MessageReceived(b"", 0)


@pytest.mark.parametrize("first", [0xC1, 0xC2, 0x41, 0x42, 0xC0, 0xC9, 0xF1])
def test_row_34_rsv1_without_negotiation(implementation: Implementation, first: int) -> None:
    (failure,) = receive(implementation, masked(first, b"\xf2\x48\x00")).events
    assert failure.code == 1002


@pytest.mark.parametrize("first", [0x89, 0x8A])
def test_row_37_a_flood_of_control_frames(implementation: Implementation, first: int) -> None:
    machine = implementation.new(max_control_frames=10)
    assert len(machine.receive_data(masked(first, b"x") * 100, 50.0)) == 100
    output(machine)
    events = machine.receive_data(masked(first, b"x") * 100, 50.0)
    assert events == [Failed(1008, "too many control frames")]
    assert frames(output(machine)) == [Frame(0x88, b"\x03\xf0too many control frames")]


def test_row_37_an_honest_rate_lasts(implementation: Implementation) -> None:
    machine = implementation.new(max_control_frames=10)
    for tenth in range(3000):
        assert machine.receive_data(masked(0x89, b"x"), 1000 + tenth / 10) == [PingReceived(b"x")]
        assert frames(output(machine)) == [Frame(0x8A, b"x")]


def test_row_37_the_burst_comes_back(implementation: Implementation) -> None:
    machine = implementation.new(max_control_frames=10)
    for start in (0.0, 10.0, 1000.0):
        assert len(machine.receive_data(masked(0x89) * 100, start)) == 100
    assert len(machine.receive_data(masked(0x89) * 50, 1005.0)) == 50
    assert machine.receive_data(masked(0x89) * 2, 1005.05)[-1] == Failed(
        1008, "too many control frames"
    )


def test_row_37_messages_are_no_control_frames(implementation: Implementation) -> None:
    machine = implementation.new(max_control_frames=1)
    whole = masked(0x81) + masked(0x01, b"a") + masked(0x80)
    assert len(machine.receive_data(whole * 1000, 0.0)) == 2000


@pytest.mark.parametrize("wire", [b"\x81\x00", b"\x82\x05hello", b"\x89\x01x", b"\x88\x00"])
def test_row_37_frames_without_a_mask(implementation: Implementation, wire: bytes) -> None:
    assert receive(implementation, wire).events == [Failed(1002, "a frame is not masked")]


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_row_37_reserved_opcodes(implementation: Implementation, opcode: int) -> None:
    for first in (opcode, 0x80 | opcode):
        assert receive(implementation, masked(first, b"x")).events == [
            Failed(1002, "an opcode is reserved")
        ]


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90", b"\xe2\x28"])
def test_row_37_bad_utf8_fails_at_once(implementation: Implementation, bad: bytes) -> None:
    machine = implementation.new()
    assert machine.receive_data(head(0x81, 10_000) + b"\0\0\0\0" + b"good " * 100, 0.0) == []
    events = [event for byte in single_bytes(bad) for event in machine.receive_data(byte, 0.0)]
    assert events == [Failed(1007, "a text is not UTF-8")]
