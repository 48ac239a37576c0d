"""The closing handshake (RFC 6455 §7), from either side and from both at once."""

from __future__ import annotations

from typing import Any

import pytest

from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.websocket.events import CloseReceived, Failed, MessageReceived, PingReceived
from tests.unit.protocol.websocket.driving import Frame, Implementation, frames, masked, output

CLOSE = masked(0x88, b"\x03\xe8bye")


def test_the_peer_closes(implementation: Implementation) -> None:
    machine = implementation.new()
    assert (machine.close_code, machine.close_reason) == (None, "")
    assert machine.receive_data(CLOSE, 0.0) == [CloseReceived(1000, "bye")]
    assert frames(output(machine)) == [Frame(0x88, b"\x03\xe8")]
    assert machine.close_sent
    assert machine.close_received
    assert machine.closed
    assert (machine.close_code, machine.close_reason) == (1000, "bye")


def test_the_server_closes(implementation: Implementation) -> None:
    machine = implementation.new()
    machine.send_close(1012, "restart")
    assert machine.close_sent
    assert not machine.close_received
    assert not machine.closed
    assert frames(output(machine)) == [Frame(0x88, b"\x03\xf4restart")]
    assert machine.receive_data(masked(0x88, b"\x03\xf4"), 0.0) == [CloseReceived(1012, "")]
    assert machine.closed
    assert output(machine) == b""


def test_both_close_at_once(implementation: Implementation) -> None:
    machine = implementation.new()
    machine.send_close(1001)
    assert machine.receive_data(CLOSE, 0.0) == [CloseReceived(1000, "bye")]
    assert machine.closed
    assert frames(output(machine)) == [Frame(0x88, b"\x03\xe9")]


def test_what_was_on_its_way_when_we_closed(implementation: Implementation) -> None:
    machine = implementation.new()
    machine.send_close()
    # a ping is answered until a close has come (§5.5.2)
    assert machine.receive_data(masked(0x81, b"late") + masked(0x89, b"p"), 0.0) == [
        MessageReceived("late", 4),
        PingReceived(b"p"),
    ]
    assert frames(output(machine)) == [Frame(0x88, b"\x03\xe8"), Frame(0x8A, b"p")]
    assert machine.receive_data(CLOSE + masked(0x89, b"q"), 0.0) == [CloseReceived(1000, "bye")]
    assert output(machine) == b""


def test_a_violation_after_our_close(implementation: Implementation) -> None:
    machine = implementation.new()
    machine.send_close()
    (failure,) = machine.receive_data(b"\x81\x00", 0.0)
    assert failure == Failed(1002, "a frame is not masked")
    assert machine.closed
    assert not machine.close_received
    assert frames(output(machine)) == [Frame(0x88, b"\x03\xe8")]


@pytest.mark.parametrize("wire", [CLOSE, b"\x83\x80\0\0\0\0", masked(0x88, b"\x03")])
def test_afterwards_bytes_are_thrown_away(implementation: Implementation, wire: bytes) -> None:
    for rest in (CLOSE, masked(0x89, b"x"), b"\xff" * 1000, b""):
        machine = implementation.new()
        assert len(machine.receive_data(wire + rest, 0.0)) == 1
        sent = output(machine)
        assert [frame.first for frame in frames(sent)] == [0x88]
        assert machine.receive_data(rest, 0.0) == []
        assert output(machine) == b""
        machine.receive_eof()
        assert machine.closed


@pytest.mark.parametrize("before", [b"", b"\x81", masked(0x01, b"x"), masked(0x82, b"xy")[:-1]])
def test_the_end_of_the_bytes(implementation: Implementation, before: bytes) -> None:
    machine = implementation.new()
    assert machine.receive_data(before, 0.0) == []
    assert machine.receive_eof() is None
    assert machine.closed
    assert not machine.close_received
    assert not machine.close_sent
    assert machine.close_code is None
    assert machine.receive_data(CLOSE, 0.0) == []
    assert output(machine) == b""


def _attempts(machine: Any) -> list[Any]:
    return [
        lambda: machine.send_text("x"),
        lambda: machine.send_text("x" * 20_000),
        lambda: machine.send_bytes(b"x"),
        lambda: machine.send_ping(),
        lambda: machine.send_close(),
        lambda: machine.send_close(1006),
    ]


@pytest.mark.parametrize("how", ["ours", "theirs", "fail", "violation"])
def test_nothing_is_sent_after_a_close(implementation: Implementation, how: str) -> None:
    machine = implementation.new()
    if how == "ours":
        machine.send_close()
    elif how == "fail":
        machine.fail(1008, "enough")
    else:
        machine.receive_data(CLOSE if how == "theirs" else b"\x81\x00", 0.0)
    assert len(frames(output(machine))) == 1
    for attempt in _attempts(machine):
        with pytest.raises(LocalProtocolError, match="the WebSocket is closed"):
            attempt()
    machine.fail(1011, "again")
    assert machine.buffered() == 0


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (1000, "", b"\x03\xe8"),
        (1005, "", b""),
        (4999, "café", b"\x13\x87caf\xc3\xa9"),
        (1000, "x" * 123, b"\x03\xe8" + b"x" * 123),
    ],
)
def test_closes(implementation: Implementation, code: int, reason: str, payload: bytes) -> None:
    machine = implementation.new()
    machine.send_close(code, reason)
    assert frames(output(machine)) == [Frame(0x88, payload)]


@pytest.mark.parametrize(
    ("code", "reason"), [(1006, ""), (1005, "x"), (999, ""), (5000, ""), (1000, "x" * 124)]
)
def test_closes_that_cannot_be(implementation: Implementation, code: int, reason: str) -> None:
    machine = implementation.new()
    with pytest.raises(LocalProtocolError):
        machine.send_close(code, reason)
    assert not machine.close_sent
    assert machine.buffered() == 0
    machine.send_text("still open")
    assert frames(output(machine)) == [Frame(0x81, b"still open")]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("the queue is full", b"the queue is full"),
        ("x" * 200, b"x" * 123),
        ("é" * 100, ("é" * 61).encode()),
        ("€" * 100, ("€" * 41).encode()),
        ("lone \ud800", b"lone ?"),
    ],
)
def test_giving_up(implementation: Implementation, reason: str, words: bytes) -> None:
    machine = implementation.new()
    machine.fail(1013, reason)
    assert frames(output(machine)) == [Frame(0x88, b"\x03\xf5" + words)]
    assert machine.close_sent
    assert not machine.closed
    assert machine.receive_data(masked(0x88), 0.0) == [CloseReceived(1005, "")]
    assert machine.closed
    assert machine.close_code == 1005


def test_giving_up_needs_a_code(implementation: Implementation) -> None:
    machine = implementation.new()
    with pytest.raises(LocalProtocolError):
        machine.fail(1006, "")
    assert not machine.close_sent
