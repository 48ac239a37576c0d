"""Deflated messages through the machine (RFC 7692)."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest

from pagi.protocol.websocket.deflate import DeflateParameters
from pagi.protocol.websocket.events import MessageReceived
from tests.unit.protocol.websocket.driving import (
    Frame,
    Implementation,
    frames,
    masked,
    output,
    receive,
)

AGREED = DeflateParameters()
TAIL = b"\x00\x00\xff\xff"


def _inflated(stream: Any, frame: Frame) -> bytes:
    assert frame.first & 0x40
    data: bytes = stream.decompress(frame.payload + TAIL)
    return data


def test_long_messages_are_deflated(implementation: Implementation) -> None:
    machine = implementation.new(AGREED, deflate_min_size=100)
    assert machine.compress_default
    for size in (0, 99, 100, 5000, 100_000):
        machine.send_text("x" * size)
        machine.send_bytes(b"y" * size)
    client = zlib.decompressobj(-15)
    sent = frames(output(machine))
    assert [frame.first for frame in sent] == [0x81, 0x82] * 2 + [0xC1, 0xC2] * 3
    for frame, size in zip(sent[4:], (100, 100, 5000, 5000, 100_000, 100_000), strict=True):
        assert _inflated(client, frame) == (b"x" if frame.first == 0xC1 else b"y") * size


def test_size_is_counted_in_bytes(implementation: Implementation) -> None:
    machine = implementation.new(AGREED, deflate_min_size=100)
    machine.send_text("€" * 33)
    machine.send_text("€" * 34)
    assert [frame.first for frame in frames(output(machine))] == [0x81, 0xC1]


@pytest.mark.parametrize("size", [0, 1])
def test_an_empty_message_is_never_deflated(implementation: Implementation, size: int) -> None:
    machine = implementation.new(AGREED, deflate_min_size=0)
    machine.send_text("x" * size)
    machine.send_bytes(b"x" * size, compress=True)
    assert [frame.first & 0x40 for frame in frames(output(machine))] == [0x40 * size] * 2


def test_the_application_has_the_last_word(implementation: Implementation) -> None:
    machine = implementation.new(AGREED)
    machine.send_text("short", compress=True)
    machine.send_text("long" * 1000, compress=False)
    machine.send_bytes(b"long" * 10_000, compress=False)
    machine.compress_default = False
    machine.send_text("long" * 1000)
    machine.send_text("long" * 1000, compress=True)
    client = zlib.decompressobj(-15)
    sent = frames(output(machine))
    assert [frame.first for frame in sent] == [0xC1, 0x81, 0x82, 0x81, 0xC1]
    assert _inflated(client, sent[0]) == b"short"
    assert _inflated(client, sent[4]) == b"long" * 1000


@pytest.mark.parametrize("bits", [9, 12, 15])
@pytest.mark.parametrize("takeover", [True, False])
def test_context_of_ours(implementation: Implementation, bits: int, takeover: bool) -> None:
    agreed = DeflateParameters(server_no_context_takeover=not takeover, server_max_window_bits=bits)
    machine = implementation.new(agreed)
    source = random.Random(bits)
    text = "".join(source.choices("abcdefgh ", k=3000))
    for _ in range(3):
        machine.send_text(text)
    sent = frames(output(machine))
    client = zlib.decompressobj(-bits)
    for frame in sent:
        if not takeover:
            client = zlib.decompressobj(-bits)
        assert _inflated(client, frame).decode() == text
    assert (sent[0] == sent[1]) == (not takeover)


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("size", [1, 100, 5000, 70_000])
def test_messages_of_the_peer(implementation: Implementation, size: int, takeover: bool) -> None:
    agreed = DeflateParameters(client_no_context_takeover=not takeover)
    stream = zlib.compressobj(wbits=-15)
    source = random.Random(size)
    wire, expected = b"", []
    for number in range(4):
        if not takeover:
            stream = zlib.compressobj(wbits=-15)
        text = "".join(source.choices("añ€\U0001f600 ", k=size))
        payload = (stream.compress(text.encode()) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]
        if number % 2:
            wire += masked(0xC1, payload)
        else:
            middle = source.randrange(len(payload) + 1)
            wire += masked(0x41, payload[:middle]) + masked(0x80, payload[middle:])
        wire += masked(0x81, b"plain")
        expected += [MessageReceived(text, len(text.encode())), MessageReceived("plain", 5)]
    assert receive(implementation, wire, agreed).events == expected


def test_echo_of_everything(implementation: Implementation) -> None:
    """Two machines and two zlibs: what was said is heard."""
    machine = implementation.new(AGREED, deflate_min_size=1)
    ours, theirs = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
    source = random.Random(3)
    for _ in range(50):
        data = source.randbytes(source.randrange(1, 300)) * source.randrange(1, 9)
        payload = (ours.compress(data) + ours.flush(zlib.Z_SYNC_FLUSH))[:-4]
        (event,) = machine.receive_data(masked(0xC2, payload), 0.0)
        assert event == MessageReceived(data, len(data))
        machine.send_bytes(event.data)
        (frame,) = frames(output(machine))
        assert _inflated(theirs, frame) == data


def test_deflate_is_off_by_default(implementation: Implementation) -> None:
    (failure,) = receive(implementation, masked(0xC1, b"\xf2\x48\xcd\xc9\xc9\x07\x00")).events
    assert failure.code == 1002
