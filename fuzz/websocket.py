"""Fuzzing the WebSocket machine: ``python -m fuzz.websocket [--seconds N] [--seed N] [CORPUS …]``.

With atheris installed the bytes are found by coverage, otherwise by mutation of the corpus. Each
input is served by both implementations, whole, byte by byte and cut at places the input itself
decides. It must not raise, all must agree, and what is sent must be frames that a client takes. The
first input that breaks a rule is written to ``crash-websocket`` and named.
"""

from __future__ import annotations

import random
from typing import Any

from fuzz.driving import Fuzzer, corpus_of
from pagi.protocol.websocket.deflate import DeflateParameters
from pagi.protocol.websocket.events import CloseReceived, Failed, MessageReceived, WebSocketEvent
from tests.unit.protocol.websocket.driving import (
    Implementation,
    Outcome,
    frames,
    implementations,
    is_up_to_zlib,
    masked,
    serve,
    single_bytes,
)

_KINDS = [Implementation(name) for name in implementations()]
#: What was agreed, and limits; small ones are reached by small inputs.
SETTINGS: list[tuple[DeflateParameters | None, dict[str, Any]]] = [
    (None, {}),
    (DeflateParameters(), {}),
    (DeflateParameters(client_no_context_takeover=True, client_max_window_bits=9), {}),
    (None, {"max_message_size": 20, "max_fragments": 3, "max_control_frames": 1}),
    (DeflateParameters(), {"max_message_size": 100, "max_fragments": 5, "max_control_frames": 2}),
]


def check(data: bytes) -> None:
    """Serve one input in all ways.

    Its first two bytes choose the settings and the cuts, the rest is what the peer sends.

    Raises:
        AssertionError: a rule is broken.
    """
    if len(data) < 2:
        return
    deflate, limits = SETTINGS[data[0] % len(SETTINGS)]
    step = data[1] or 1
    wire = data[2:]
    pieces = [wire[start : start + step] for start in range(0, len(wire), step)]
    outcomes = []
    for parts in ([wire], pieces, single_bytes(wire)):
        results = [serve(kind.new(deflate, **limits), parts) for kind in _KINDS]
        assert all(result == results[0] for result in results), "the implementations disagree"
        outcomes.append(results[0])
    if not is_up_to_zlib(outcomes):
        assert outcomes[1:] == outcomes[:-1], "cutting matters"
    for outcome in outcomes:
        _check_outcome(outcome, limits.get("max_message_size", 16_777_216))


def _check_outcome(outcome: Outcome, max_message_size: int) -> None:
    """Check what must hold for every input."""
    events: list[WebSocketEvent] = outcome.events
    for event in events[:-1]:
        assert not isinstance(event, (CloseReceived, Failed)), "something follows the end"
    for event in events:
        if isinstance(event, MessageReceived):
            data = event.data.encode() if isinstance(event.data, str) else event.data
            assert event.size == len(data) <= max_message_size, "a message breaks its limit"
    sent = frames(outcome.sent)
    over = bool(events) and isinstance(events[-1], (CloseReceived, Failed))
    assert [frame.first for frame in sent if frame.first != 0x8A] == [0x88] * over
    assert outcome.state["closed"] == over


def _mutated(source: random.Random, seeds: list[bytes]) -> bytes:
    """Combine and change seeds as a fuzzer without eyes can."""
    data = bytearray(source.choice(seeds))
    if source.random() < 0.5:
        data += source.choice(seeds)
    for _ in range(source.choice((0, 1, 1, 2, 4, 8))):
        place = source.randrange(len(data) + 1)
        kind = source.randrange(5)
        if kind == 0:
            data[place : place + 1] = bytes([source.randrange(256)])
        elif kind == 1:
            del data[place : place + source.randrange(1, 5)]
        elif kind == 2:
            size = source.choice((0, 1, 2, 3, 125, 126))
            data[place:place] = masked(source.randrange(256), source.randbytes(size))
        elif kind == 3:
            data[place : place + 1] = bytes([1 << source.randrange(8)])
        else:
            data[place:place] = data[place : place + source.randrange(1, 30)]
    return bytes([source.randrange(256), source.choice((1, 2, 3, 7, 16, 200))]) + bytes(data)


FUZZER = Fuzzer(
    module="websocket",
    check=check,
    mutated=_mutated,
    seeds=corpus_of("websocket", ".ws", 1500),
    max_size=2000,
    about=__doc__,
    ways=" and ".join(implementations()),
)

if __name__ == "__main__":
    FUZZER.main()
