"""Taking no more than is wanted: bounds of one reading, pongs and closes that wait."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from pagi.protocol.websocket.events import (
    CloseReceived,
    Failed,
    MessageReceived,
    PingReceived,
    PongReceived,
)
from tests.unit.protocol.websocket.driving import (
    Frame,
    Implementation,
    cut,
    frames,
    masked,
    output,
)

TEN = b"".join(masked(0x81, b"%d" % number) for number in range(10))


def _data(events: list[Any]) -> list[Any]:
    return [event.data for event in events]


def test_so_many_messages(implementation: Implementation) -> None:
    machine = implementation.new()
    assert _data(machine.receive_data(TEN, 0.0, 3)) == ["0", "1", "2"]
    assert machine.stopped
    assert _data(machine.receive_data(b"", 0.0, 1)) == ["3"]
    assert machine.stopped
    assert _data(machine.receive_data(masked(0x81, b"10"), 0.0, 5)) == ["4", "5", "6", "7", "8"]
    assert machine.stopped
    assert _data(machine.receive_data(b"", 0.0, 5)) == ["9", "10"]
    assert not machine.stopped
    assert machine.receive_data(b"", 0.0) == []


def test_so_many_bytes(implementation: Implementation) -> None:
    machine = implementation.new()
    wire = masked(0x82, b"x" * 60) * 4
    assert len(machine.receive_data(wire, 0.0, 100, 100)) == 2
    assert machine.stopped
    assert len(machine.receive_data(b"", 0.0, 100, 61)) == 2
    assert machine.stopped
    assert machine.receive_data(b"", 0.0, 100, 1) == []
    assert not machine.stopped


def test_a_bound_that_is_just_reached(implementation: Implementation) -> None:
    machine = implementation.new()
    assert len(machine.receive_data(TEN, 0.0, 10)) == 10
    assert machine.stopped
    assert machine.receive_data(b"", 0.0, 10) == []
    assert not machine.stopped


@pytest.mark.parametrize("wanted", [1, 2, 7])
def test_everything_comes_whatever_is_wanted(implementation: Implementation, wanted: int) -> None:
    source = random.Random(wanted)
    expected = [b"x" * source.choice((0, 1, 200, 70_000)) for _ in range(20)]
    wire = b""
    for data in expected:
        half = len(data) // 2
        wire += masked(0x02, data[:half]) + masked(0x89, b"p") + masked(0x80, data[half:])
        wire += masked(0x82, b"between")
    for _ in range(3):
        machine = implementation.new()
        events = []
        for piece in cut(wire, source):
            events += machine.receive_data(piece, 0.0, wanted)
            assert sum(isinstance(event, MessageReceived) for event in events) <= 40
            if source.random() < 0.5:
                while machine.stopped:
                    events += machine.receive_data(b"", 0.0, wanted)
        while machine.stopped:
            events += machine.receive_data(b"", 0.0, wanted)
        messages = [event.data for event in events if isinstance(event, MessageReceived)]
        assert messages[::2] == expected
        assert messages[1::2] == [b"between"] * 20
        assert frames(output(machine)) == [Frame(0x8A, b"p")] * 20


def test_what_is_not_wanted_yet_is_not_read(implementation: Implementation) -> None:
    # neither a close nor a fault is seen before its turn
    for end, event in (
        (masked(0x88, b"\x03\xe8"), CloseReceived(1000, "")),
        (b"\x81\x00", Failed(1002, "a frame is not masked")),
    ):
        machine = implementation.new()
        assert _data(machine.receive_data(masked(0x81, b"a") + end, 0.0, 1)) == ["a"]
        assert output(machine) == b""
        assert not machine.closed
        assert machine.receive_data(b"", 0.0, 1) == [event]
        assert machine.closed
        assert not machine.stopped
        assert len(frames(output(machine))) == 1
        assert machine.receive_data(b"", 0.0, 1) == []


def test_the_end_of_the_bytes_drops_what_waits(implementation: Implementation) -> None:
    machine = implementation.new()
    machine.receive_data(TEN, 0.0, 1)
    machine.receive_eof()
    assert machine.receive_data(b"", 0.0) == []
    assert not machine.stopped


def test_small_steps_take_linear_time(implementation: Implementation) -> None:
    def seconds(count: int) -> float:
        machine = implementation.new()
        wire = masked(0x81) * count
        start = time.process_time()
        found = len(machine.receive_data(wire, 0.0, 1))
        while machine.stopped:
            found += len(machine.receive_data(b"", 0.0, 1))
        assert found == count
        return time.process_time() - start

    assert any(seconds(40_000) < 20 * seconds(5_000) for _ in range(3))


# --- pongs ---


def test_pongs_that_wait(implementation: Implementation) -> None:
    machine = implementation.new()
    assert machine.answers_pings
    machine.answers_pings = False
    events = machine.receive_data(masked(0x89, b"1") + masked(0x89, b"2"), 0.0)
    assert events == [PingReceived(b"1"), PingReceived(b"2")]
    assert machine.buffered() == 0
    machine.send_pong(b"2")
    machine.answers_pings = True
    machine.receive_data(masked(0x89, b"3") + masked(0x8A, b"4"), 0.0)
    assert frames(output(machine)) == [Frame(0x8A, b"2"), Frame(0x8A, b"3")]


def test_a_pong_behind_our_close(implementation: Implementation) -> None:
    machine = implementation.new()
    machine.send_close()
    machine.send_pong(b"x")
    assert frames(output(machine)) == [Frame(0x88, b"\x03\xe8"), Frame(0x8A, b"x")]


# --- a close that waits ---

FAULT = b"\x83\x80"
FAULT_FRAME = Frame(0x88, b"\x03\xeaan opcode is reserved")


def test_answers_go_before_the_close(implementation: Implementation) -> None:
    machine = implementation.new()
    machine.receive_data(masked(0x89, b"p") + masked(0x81, b"question") + FAULT, 0.0)
    assert machine.close_sent
    machine.hold_close()
    assert not machine.close_sent
    assert machine.closed
    assert machine.buffered() == 3
    machine.send_text("answer")
    machine.release_close()
    assert machine.close_sent
    sent = output(machine)
    assert frames(sent) == [Frame(0x8A, b"p"), Frame(0x81, b"answer"), FAULT_FRAME]
    machine.release_close()
    assert machine.buffered() == 0
    assert machine.receive_data(masked(0x81, b"x"), 0.0) == []


def test_a_close_of_our_own_replaces_it(implementation: Implementation) -> None:
    machine = implementation.new()
    machine.receive_data(FAULT, 0.0)
    machine.hold_close()
    machine.send_close(1000, "done")
    machine.release_close()
    assert frames(output(machine)) == [Frame(0x88, b"\x03\xe8done")]


@pytest.mark.parametrize("pulled", [True, False])
@pytest.mark.parametrize("pong", [b"", masked(0x89, b"p")])
def test_a_close_that_was_sent_before_stays(
    implementation: Implementation, pulled: bool, pong: bytes
) -> None:
    machine = implementation.new()
    machine.send_close(1001)
    before = output(machine) if pulled else b""
    machine.receive_data(pong + masked(0x8A) + FAULT, 0.0)
    machine.hold_close()
    assert machine.close_sent
    machine.release_close()
    expected = [Frame(0x88, b"\x03\xe9")] + [Frame(0x8A, b"p")] * bool(pong)
    assert frames(before + output(machine)) == expected


def test_there_is_nothing_to_hold(implementation: Implementation) -> None:
    machine = implementation.new()
    machine.send_text("x")
    machine.hold_close()
    machine.release_close()
    assert not machine.close_sent
    assert frames(output(machine)) == [Frame(0x81, b"x")]


def test_pongs_of_the_peer_are_events(implementation: Implementation) -> None:
    machine = implementation.new()
    assert machine.receive_data(masked(0x8A, b"x"), 0.0, 1, 1) == [PongReceived(b"x")]
    assert not machine.stopped
