"""Messages and control frames as they come, in whatever pieces."""

from __future__ import annotations

import random

import pytest

from pagi.protocol.websocket.events import Failed, MessageReceived, PingReceived, PongReceived
from tests.unit.protocol.websocket.driving import (
    Frame,
    Implementation,
    cut,
    frames,
    head,
    masked,
    output,
    receive,
    serve,
    single_bytes,
    xor,
)

SIZES = [0, 1, 2, 3, 4, 7, 8, 9, 125, 126, 127, 128, 255, 256, 1000, 65_535, 65_536, 70_001]


@pytest.mark.parametrize("size", SIZES)
def test_sizes(implementation: Implementation, size: int) -> None:
    data = random.Random(size).randbytes(size)
    text = ("añ€\U0001f600" * (size // 10 + 1)).encode()[:size].decode(errors="ignore")
    wire = masked(0x82, data) + masked(0x81, text.encode())
    events = receive(implementation, wire).events

    assert events == [MessageReceived(data, size), MessageReceived(text, len(text.encode()))]


@pytest.mark.parametrize("size", [0, 3, 126, 65_536])
@pytest.mark.parametrize("packet", [1000, 4096, 65_536])
def test_packets_of_one_size(implementation: Implementation, size: int, packet: int) -> None:
    source = random.Random(size)
    messages = [source.randbytes(size + source.randrange(3)) for _ in range(9)]
    wire = b"".join(masked(0x82, data, source.randbytes(4)) for data in messages)
    pieces = [wire[at : at + packet] for at in range(0, len(wire), packet)]
    events = serve(implementation.new(), pieces).events

    assert [event.data for event in events] == messages


def test_fragments_of_every_kind(implementation: Implementation) -> None:
    source = random.Random(7)
    for _ in range(30):
        text = "añ€\U0001f600" * source.randrange(1, 60)
        data = text.encode()
        wire = b""
        rest = data
        while rest:
            size = min(len(rest), source.choice((0, 1, 2, 5, 130)))
            piece, rest = rest[:size], rest[size:]
            last = 0x80 if not rest and source.random() < 0.7 else 0
            opcode = 0x01 if not wire else 0x00
            wire += masked(last | opcode, piece, source.randbytes(4))
            if not rest and not last:
                wire += masked(0x80, b"", source.randbytes(4))
            if rest and source.random() < 0.2:
                wire += masked(0x8A, b"between")
        events = receive(implementation, wire).events
        assert [event for event in events if not isinstance(event, PongReceived)] == [
            MessageReceived(text, len(data))
        ]


def test_nothing_comes_of_nothing(implementation: Implementation) -> None:
    machine = implementation.new()
    assert machine.receive_data(b"", 0.0) == []
    wire = masked(0x82, b"abc")
    for piece in single_bytes(wire)[:-1]:
        assert machine.receive_data(piece, 0.0) == []
        assert machine.receive_data(b"", 0.0) == []
    assert machine.receive_data(wire[-1:], 0.0) == [MessageReceived(b"abc", 3)]
    assert output(machine) == b""


def test_an_event_comes_with_its_last_byte(implementation: Implementation) -> None:
    for wire in (masked(0x81, b"x" * 200), masked(0x01, b"x" * 70_000) + masked(0x80, b"y")):
        machine = implementation.new()
        assert machine.receive_data(wire[:-1], 0.0) == []
        (event,) = machine.receive_data(wire[-1:] + b"\x82", 0.0)
        assert event.size == len(event.data)


def test_types(implementation: Implementation) -> None:
    for pieces in ([masked(0x81, b"a") + masked(0x82, b"b")], single_bytes(masked(0x81, b"a"))):
        for event in serve(implementation.new(), pieces).events:
            assert type(event.data) is (str if event.data == "a" else bytes)


def test_messages_before_a_violation_are_delivered(implementation: Implementation) -> None:
    wire = masked(0x81, b"one") + masked(0x89, b"two") + b"\x83\x80" + bytes(4) + masked(0x81, b"x")
    events, sent, _ = receive(implementation, wire)

    assert events[:2] == [MessageReceived("one", 3), PingReceived(b"two")]
    assert isinstance(events[2], Failed)
    assert len(events) == 3
    assert [frame.first for frame in frames(sent)] == [0x8A, 0x88]


@pytest.mark.parametrize(
    ("wire", "code", "at"),
    [
        (b"\x83\x80", 1002, 2),  # a reserved opcode
        (b"\xc1\x80", 1002, 2),  # RSV1
        (b"\x81\x01", 1002, 2),  # no mask
        (b"\x09\x80", 1002, 2),  # a ping in fragments
        (b"\x89\xfe", 1002, 2),  # a long ping
        (b"\x80\x80", 1002, 2),  # nothing to continue
        (b"\x82\xfe\x00\x7d", 1002, 4),
        (b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff", 1002, 10),
        (b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00", 1002, 10),
        (b"\x82\xff\x00\x00\x00\x00\x40\x00\x00\x00", 1009, 10),
        (head(0x81, 100) + bytes(4) + b"abc\xff", 1007, 10),
        (head(0x81, 100) + bytes(4) + b"abc\xed\xa0", 1007, 11),
        (head(0x01, 2) + bytes(4) + b"\xe2\x82" + head(0x80, 50) + bytes(4) + b"x", 1007, 15),
    ],
)
def test_a_violation_is_noticed_at_its_byte(
    implementation: Implementation, wire: bytes, code: int, at: int
) -> None:
    machine = implementation.new()
    for number, byte in enumerate(single_bytes(wire), 1):
        events = machine.receive_data(byte, 0.0)
        assert bool(events) == (number == at)
    assert events[0].code == code
    assert at == len(wire)


def test_a_ping_between_packets_of_a_frame_is_payload(implementation: Implementation) -> None:
    ping = masked(0x89, b"ping")
    (event,) = receive(implementation, masked(0x82, ping + ping)).events

    assert event.data == ping + ping


@pytest.mark.parametrize("limit", [0, 1, 10, 125, 126, 65_536, 2**62, 2**70])
def test_limits_of_every_size(implementation: Implementation, limit: int) -> None:
    for size in (0, 1, 10, 11, 125, 126, 127, 2**16, 2**16 + 1, 2**31, 2**62, 2**62 + 1, 2**63 - 1):
        machine = implementation.new(max_message_size=limit)
        events = machine.receive_data(head(0x82, size), 0.0)
        assert bool(events) == (size > min(limit, 2**62))
        machine = implementation.new(max_message_size=limit)
        machine.receive_data(masked(0x02, b"x" * min(limit, 10)), 0.0)
        events = machine.receive_data(head(0x80, size), 0.0)
        assert bool(events) == (size > min(limit, 2**62) - min(limit, 10))


def test_masks_differ_between_frames(implementation: Implementation) -> None:
    wire = masked(0x01, b"ab", b"\1\2\3\4") + masked(0x00, b"cde", b"\5\6\7\x08")
    wire += masked(0x80, b"f" * 9, b"\xff\0\xff\0")

    assert receive(implementation, wire).events == [MessageReceived("abcde" + "f" * 9, 14)]


def test_many_machines_do_not_share(implementation: Implementation) -> None:
    first, second = implementation.new(), implementation.new()
    wire = masked(0x81, b"abcdef")
    first.receive_data(wire[:8], 0.0)
    second.receive_data(masked(0x82, b"x")[:3], 0.0)
    assert first.receive_data(wire[8:], 0.0) == [MessageReceived("abcdef", 6)]
    assert second.receive_data(masked(0x82, b"x")[3:], 0.0) == [MessageReceived(b"x", 1)]


def test_random_streams(implementation: Implementation) -> None:
    source = random.Random(42)
    for _ in range(40):
        wire, expected = b"", []
        for _ in range(source.randrange(1, 8)):
            data = source.randbytes(source.choice((0, 1, 30, 125, 126, 400)))
            kind = source.choice((0x82, 0x89, 0x8A, 0x82))
            data = data[:125] if kind & 8 else data
            wire += masked(kind, data, source.randbytes(4))
            made = {0x89: PingReceived, 0x8A: PongReceived}.get(kind)
            expected.append(made(data) if made else MessageReceived(data, len(data)))
        outcome = serve(implementation.new(), cut(wire, source))
        assert outcome.events == expected
        assert frames(outcome.sent) == [
            Frame(0x8A, event.payload) for event in expected if isinstance(event, PingReceived)
        ]


def test_xor_of_the_tests_is_that_of_the_rfc() -> None:
    # §5.7: the masked "Hello"
    assert xor(b"Hello", b"\x37\xfa\x21\x3d") == b"\x7f\x9f\x4d\x51\x58"
