"""Fuzzing the HTTP/1 machine: ``python -m fuzz.http1 [--seconds N] [--seed N] [CORPUS …]``.

With atheris installed the bytes are found by coverage, otherwise by mutation of the corpus. Each
input is served by both implementations, whole and cut at places the input itself decides. It must
not raise, both must agree, and cutting must not matter. The first input that breaks a rule is
written to ``crash-http1`` and named.
"""

from __future__ import annotations

import random
from typing import Any

from fuzz.driving import Fuzzer, corpus_of
from pagi.protocol.events import BodyReceived, ConnectionFailed, Event, MessageComplete
from tests.unit.protocol.http1.driving import implementations, machine_class, new, serve

#: Small limits are reached by small inputs.
LIMITS: list[dict[str, Any]] = [
    {},
    {
        "max_head_size": 200,
        "max_target_size": 30,
        "max_header_count": 5,
        "max_body_size": 100,
        "max_chunk_line_size": 16,
        "max_trailer_size": 40,
        "max_pipelined_size": 50,
    },
]


def check(data: bytes) -> None:
    """Serve one input in all ways.

    Its first two bytes choose the limits and the cuts, the rest is what the peer sends.

    Raises:
        AssertionError: a rule is broken.
    """
    if len(data) < 2:
        return
    limits = LIMITS[data[0] % len(LIMITS)]
    step = data[1] or 1
    wire = data[2:]
    pieces = [wire[start : start + step] for start in range(0, len(wire), step)]
    results = []
    for name in implementations():
        for parts in ([wire], pieces):
            connection = new(machine_class(name), **limits)
            events, sent = serve(connection, parts)
            ends = connection.receive_eof(0.0)
            results.append((events, sent, ends, connection.data_to_send(), connection.finished))
    for result in results[1:]:
        assert result == results[0], "the ways of serving disagree"
    _check_events(results[0][0], limits.get("max_body_size", 104_857_600))


def _check_events(events: list[Event], max_body_size: int) -> None:
    """Check what must hold for every input."""
    streams = [event.stream_id for event in events]
    assert streams == sorted(streams), "requests are out of order"
    ends = [event.stream_id for event in events if isinstance(event, MessageComplete)]
    assert len(ends) == len(set(ends)), "a message ends twice"
    for event in events[:-1]:
        assert not isinstance(event, ConnectionFailed), "something follows a failure"
    for event in events:
        if isinstance(event, BodyReceived):
            assert 0 < len(event.data) <= max_body_size, "a body breaks its limit"


def _mutated(source: random.Random, seeds: list[bytes]) -> bytes:
    """Combine and change seeds as a fuzzer without eyes can."""
    data = bytearray(source.choice(seeds))
    if source.random() < 0.3:
        data += source.choice(seeds)
    for _ in range(source.choice((0, 1, 1, 2, 4, 8))):
        place = source.randrange(len(data) + 1)
        kind = source.randrange(5)
        if kind == 0:
            data[place : place + 1] = bytes([source.randrange(256)])
        elif kind == 1:
            del data[place : place + source.randrange(1, 5)]
        elif kind == 2:
            data[place:place] = source.choice(
                (b"\r\n", b"\n", b"\r", b" ", b"\t", b"0", b";", b":")
            )
        elif kind == 3:
            other = source.choice(seeds)
            start = source.randrange(len(other) + 1)
            data[place:place] = other[start : start + source.randrange(1, 40)]
        else:
            data[place:place] = data[place : place + source.randrange(1, 30)]
    return bytes([source.randrange(256), source.choice((0, 1, 1, 2, 3, 7, 16, 200))]) + bytes(data)


FUZZER = Fuzzer(
    module="http1",
    check=check,
    mutated=_mutated,
    seeds=corpus_of("http1", ".http", 2000),
    max_size=4000,
    about=__doc__,
    ways=" and ".join(implementations()),
)

if __name__ == "__main__":
    FUZZER.main()
