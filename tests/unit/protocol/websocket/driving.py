"""Driving a machine by hand: what the tests of the machine, the oracles and the fuzzers share."""

from __future__ import annotations

import importlib
import importlib.util
import os
import random
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from pagi.protocol.websocket.deflate import DeflateParameters
from pagi.protocol.websocket.limits import WebSocketLimits

MASK = b"\x12\xc3\x84\xa5"
_PACKAGE = "pagi.protocol.websocket"
_MODULES = ("masking", "payload", "frames", "connection")


def compiled_is_built() -> bool:
    """Tell whether the compiled machine can be tested."""
    pure = os.environ.get("PAGI_PURE_PYTHON", "") not in ("", "0")
    return not pure and importlib.util.find_spec(f"{_PACKAGE}._connection_c") is not None


def implementations() -> list[str]:
    """Return the names of the implementations that are there."""
    return ["py", "c"] if compiled_is_built() else ["py"]


class Implementation:
    """One of the twins: what its modules define, as attributes."""

    def __init__(self, name: str) -> None:
        self.name = name
        for module in _MODULES:
            loaded = importlib.import_module(f"{_PACKAGE}._{module}_{name}")
            for public in loaded.__all__:
                setattr(self, public, getattr(loaded, public))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def new(self, deflate: DeflateParameters | None = None, **limits: Any) -> Any:
        """Make a machine with ``limits``."""
        return self.WebSocketConnection(WebSocketLimits(**limits), deflate)


class Frame(NamedTuple):
    """A frame of ours as it was on the wire."""

    first: int
    payload: bytes


class Outcome(NamedTuple):
    """What a machine made of bytes."""

    events: list[Any]
    sent: bytes
    state: dict[str, Any]


def masked(first: int, payload: bytes = b"", mask: bytes = MASK) -> bytes:
    """Return a frame as a client sends it: ``first`` is FIN, reserved bits and opcode."""
    return head(first, len(payload)) + mask + xor(payload, mask)


def head(first: int, size: int) -> bytes:
    """Return the head of a client's frame as far as its mask."""
    if size < 126:
        return bytes((first, 0x80 | size))
    if size < 65_536:
        return bytes((first, 0xFE)) + size.to_bytes(2, "big")
    return bytes((first, 0xFF)) + size.to_bytes(8, "big")


def xor(payload: bytes, mask: bytes) -> bytes:
    """Mask or unmask in the way of RFC 6455 §5.3."""
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def zeros(size: int) -> bytes:
    """Return so many zeros, deflated so that the result may be repeated within one stream."""
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(bytes(size)) + stream.flush(zlib.Z_FULL_FLUSH)


def frames(wire: bytes) -> list[Frame]:
    """Parse what a server sent; it must be whole frames, unmasked, in the shortest form."""
    found = []
    while wire:
        first, size = wire[0], wire[1]
        assert size < 128, "a server does not mask"
        start = 2
        if size == 126:
            size, start = int.from_bytes(wire[2:4], "big"), 4
            assert size > 125
        elif size == 127:
            size, start = int.from_bytes(wire[2:10], "big"), 10
            assert size > 65_535
        assert len(wire) >= start + size, "a frame is cut"
        found.append(Frame(first, wire[start : start + size]))
        wire = wire[start + size :]
    return found


def output(machine: Any) -> bytes:
    """Pull all that is queued."""
    pieces = machine.data_to_send()
    assert machine.buffered() == 0
    return b"".join(pieces)


def state(machine: Any) -> dict[str, Any]:
    """Return what a machine shows of itself."""
    names = ("close_sent", "close_received", "close_code", "close_reason", "closed")
    return {name: getattr(machine, name) for name in names}


def serve(machine: Any, pieces: Iterable[bytes], now: float = 0.0) -> Outcome:
    """Feed the pieces and return all that happened."""
    events: list[Any] = []
    sent = []
    for piece in pieces:
        events += machine.receive_data(piece, now)
        sent.append(output(machine))
    return Outcome(events, b"".join(sent), state(machine))


def is_up_to_zlib(outcomes: Iterable[Outcome]) -> bool:
    """Tell whether the outcomes of one stream, cut in several ways, may differ.

    They may where a deflated message is damaged or too long: how far zlib looks ahead depends on
    the pieces, and so does whether it can see what lies before a window that the peer exceeds.
    """
    details = [getattr(event, "detail", "") for outcome in outcomes for event in outcome.events]
    return any("inflated" in detail or "damaged" in detail for detail in details)


def single_bytes(wire: bytes) -> list[bytes]:
    """Cut into bytes."""
    return [wire[at : at + 1] for at in range(len(wire))]


def cut(wire: bytes, source: random.Random) -> list[bytes]:
    """Cut at a few random places."""
    cuts = sorted(source.randrange(len(wire) + 1) for _ in range(source.randrange(1, 8)))
    return [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]


def receive(
    implementation: Implementation,
    wire: bytes,
    deflate: DeflateParameters | None = None,
    **limits: Any,
) -> Outcome:
    """Feed ``wire`` whole, byte by byte and cut at random: it must make no difference."""
    whole = serve(implementation.new(deflate, **limits), [wire])
    assert serve(implementation.new(deflate, **limits), single_bytes(wire)) == whole
    source = random.Random(wire)
    for _ in range(3):
        assert serve(implementation.new(deflate, **limits), cut(wire, source)) == whole
    return whole
