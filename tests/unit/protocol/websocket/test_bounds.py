"""Time in proportion to the bytes, memory within the limits, nothing left behind."""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from pagi.protocol.websocket.deflate import DeflateParameters
from tests.unit.protocol.websocket.driving import Implementation, head, masked, output

AGREED = DeflateParameters()
ZEROS = b"\0\0\0\0"


def _is_linear(run: Callable[[int], None], size: int) -> bool:
    """Tell whether eight times the size takes less than twenty times the time.

    Quadratic work takes sixty-four times; the rest is room for a busy machine, and three tries.
    """
    for _ in range(3):
        times = []
        for factor in (1, 8):
            start = time.process_time()
            run(size * factor)
            times.append(time.process_time() - start)
        if times[1] < 20 * times[0]:
            return True
    return False


def _peak(run: Callable[[], None]) -> int:
    """Return the bytes that were allocated at the worst moment."""
    gc.collect()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("first", [0x81, 0x82])
def test_byte_by_byte_takes_linear_time(implementation: Implementation, first: int) -> None:
    def run(size: int) -> None:
        machine = implementation.new()
        machine.receive_data(head(first, size) + ZEROS, 0.0)
        for _ in range(size - 1):
            assert not machine.receive_data(b"x", 0.0)
        (event,) = machine.receive_data(b"x", 0.0)
        assert event.size == size

    assert _is_linear(run, 4_000)


def test_tiny_fragments_take_linear_time(implementation: Implementation) -> None:
    def run(count: int) -> None:
        machine = implementation.new()
        machine.receive_data(masked(0x01, b"x"), 0.0)
        assert not machine.receive_data((b"\x00\x81" + ZEROS + b"x") * count, 0.0)
        (event,) = machine.receive_data(masked(0x80, b"x"), 0.0)
        assert event.data == "x" * (count + 2)

    assert _is_linear(run, 2_000)


def test_deflated_bytes_take_linear_time(implementation: Implementation) -> None:
    stream = zlib.compressobj(level=0, wbits=-15)

    def run(size: int) -> None:
        machine = implementation.new(DeflateParameters(client_no_context_takeover=True))
        payload = stream.compress(b"x" * size) + stream.flush(zlib.Z_SYNC_FLUSH)
        machine.receive_data(head(0xC2, len(payload) - 4) + ZEROS, 0.0)
        events = []
        for at in range(len(payload) - 4):
            events += machine.receive_data(payload[at : at + 1], 0.0)
        assert events[0].size == size

    assert _is_linear(run, 1_000)


def test_four_mebibytes_in_fragments_of_64_bytes(implementation: Implementation) -> None:
    # Autobahn's case 9.3.1, with the empty fragment that its client ends with
    machine = implementation.new()
    fragment = b"\xc0" + b"x" * 63
    wire = masked(0x02, fragment) + masked(0x00, fragment) * 65_535 + masked(0x80)
    events = []
    for at in range(0, len(wire), 65_536):
        events += machine.receive_data(wire[at : at + 65_536], 0.0)
    (event,) = events
    assert event.data == fragment * 65_536


def test_sixteen_mebibytes_are_allowed_and_not_a_byte_more(implementation: Implementation) -> None:
    machine = implementation.new()
    size = 16 * 2**20
    machine.receive_data(head(0x82, size) + ZEROS, 0.0)
    piece = bytes(2**20)
    for _ in range(15):
        assert not machine.receive_data(piece, 0.0)
    (event,) = machine.receive_data(piece, 0.0)
    assert event.size == size
    (failure,) = machine.receive_data(head(0x82, size + 1), 0.0)
    assert failure.code == 1009


def test_a_declared_length_costs_nothing(implementation: Implementation) -> None:
    machine = implementation.new()

    def run() -> None:
        machine.receive_data(head(0x82, 16 * 2**20) + ZEROS + b"x" * 100, 0.0)

    assert _peak(run) < 5_000


@pytest.mark.parametrize("deflate", [None, AGREED])
def test_an_idle_machine_is_small(
    implementation: Implementation, deflate: DeflateParameters | None
) -> None:
    machines = []

    def run() -> None:
        machines.extend(implementation.new(deflate) for _ in range(100))

    # with deflate agreed, zlib's objects are made when they are needed
    assert _peak(run) < 100 * 1_200


def test_small_packets_take_little_memory(implementation: Implementation) -> None:
    machine = implementation.new()
    size = 100_000

    def run() -> None:
        machine.receive_data(head(0x81, size) + ZEROS, 0.0)
        for _ in range(size // 2 - 1):
            machine.receive_data(b"\xc3\xa9", 0.0)

    assert _peak(run) < 3 * size


def test_small_fragments_take_little_memory(implementation: Implementation) -> None:
    machine = implementation.new()
    fragments = (b"\x00\x81" + ZEROS + b"x") * 1000

    def run() -> None:
        machine.receive_data(masked(0x02, b"x"), 0.0)
        for _ in range(50):
            machine.receive_data(fragments, 0.0)

    assert _peak(run) < 200_000


def test_a_message_is_not_kept(implementation: Implementation) -> None:
    machine = implementation.new(AGREED)
    payload = (zlib.compressobj(wbits=-15)).compress(b"")
    for wire in (
        masked(0x82, b"x" * 300_000),
        masked(0x01, b"x" * 300_000) + masked(0x80, payload),
    ):
        for pieces in ([wire], [wire[:1000], wire[1000:]]):
            for piece in pieces:
                events = machine.receive_data(piece, 0.0)
            (event,) = events
            machine.send_bytes(b"x" * 300_000, compress=False)
            machine.data_to_send()
            references = sys.getrefcount(event.data)
            assert references <= 3  # the event, the argument, and an interpreter that counts more
            assert not [
                found
                for found in gc.get_referents(machine)
                if isinstance(found, (bytes, bytearray, list)) and len(found) > 1000
            ]


def test_after_the_end_nothing_is_kept(implementation: Implementation) -> None:
    for end in (masked(0x88), b"\x83\x80", None):
        machine = implementation.new(AGREED)
        machine.receive_data(masked(0x02, b"x" * 300_000), 0.0)

        def run(machine: object = machine, end: bytes | None = end) -> int:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            if end is None:
                machine.receive_eof()  # type: ignore[attr-defined]  # a machine
            else:
                machine.receive_data(end, 0.0)  # type: ignore[attr-defined]  # a machine
            return before

        tracemalloc.start()
        try:
            machine.receive_data(masked(0x00, b"x" * 400_000), 0.0)
            before = run()
            assert tracemalloc.get_traced_memory()[0] < before - 300_000
        finally:
            tracemalloc.stop()


def test_nothing_leaks(implementation: Implementation) -> None:
    def run() -> None:
        for _ in range(50):
            machine = implementation.new(AGREED)
            wire = masked(0x81, b"abc") + masked(0x01, b"a\xc3") + masked(0x80, b"\xa9")
            for at in range(len(wire)):
                machine.receive_data(wire[at : at + 1], 0.0)
            machine.receive_data(wire + masked(0x82, bytes(range(256))), 0.0)
            machine.send_text("x" * 2000)
            machine.send_text("é")
            output(machine)
            machine.receive_data(masked(0x02, b"part") + masked(0x81, b"\xff"), 0.0)
            implementation.new().receive_data(masked(0x81, b"\xff"), 0.0)

    run()
    gc.collect()
    tracemalloc.start()
    try:
        run()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(4):
            run()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < before + 5_000
    finally:
        tracemalloc.stop()
