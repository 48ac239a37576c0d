"""Fuzzing the HTTP/2 machine: ``python -m fuzz.http2 [--seconds N] [--seed N] [CORPUS …]``.

With atheris installed the bytes are found by coverage, otherwise by mutation of the corpus. Each
input is served by both implementations, whole, byte by byte and cut at places the input itself
decides. It must not raise, all must agree, and what is sent must be whole frames. The first input
that breaks a rule is written to ``crash-http2`` and named.
"""

from __future__ import annotations

import importlib
import random
from typing import Any

from fuzz.driving import Fuzzer, corpus_of
from pagi.protocol.connection import DefaultFields
from pagi.protocol.errors import LocalProtocolError
from pagi.protocol.events import (
    BodyReceived,
    BytesReceived,
    ConnectionFailed,
    Event,
    MessageComplete,
    RequestReceived,
    StreamReset,
)
from pagi.protocol.http2.codes import PREFACE
from pagi.protocol.http2.limits import HTTP2Limits
from tests.unit.protocol.http2.driving import compiled_is_built

DEFAULTS = DefaultFields(b"Tue, 15 Nov 1994 08:12:31 GMT", b"test")

#: Small limits are reached by small inputs. A target's limit is not among them: targets that were
#: right once are remembered for all connections of a process.
LIMITS: list[dict[str, Any]] = [
    {},
    {
        "max_concurrent_streams": 2,
        "window_size": 100,
        "connection_window_size": 65_535,
        "max_header_list_size": 300,
        "max_header_count": 5,
        "max_body_size": 60,
        "max_resets": 3,
        "max_idle_frames": 10,
        "max_continuations": 2,
    },
]
#: No input is that long; whatever is sent more is sent without end.
_MOST = 5_000_000

_GOAWAY, _WINDOW_UPDATE = 7, 8


def implementations() -> list[str]:
    """Return the names of the implementations that are there."""
    return ["py", "c"] if compiled_is_built() else ["py"]


def new(name: str, **limits: Any) -> Any:
    """Make a connection of the implementation ``py`` or ``c``, as far as the client's preface."""
    module = importlib.import_module(f"pagi.protocol.http2._connection_{name}")
    connection = module.HTTP2Connection(HTTP2Limits(**limits), DEFAULTS)
    connection.begin()
    connection.receive_data(PREFACE, 0.0)
    return connection


def check(data: bytes) -> None:
    """Serve one input in all ways.

    Its first two bytes choose the limits and the cuts, the rest is what follows the preface.

    Raises:
        AssertionError: a rule is broken.
    """
    if len(data) < 2:
        return
    limits = LIMITS[data[0] % len(LIMITS)]
    step = data[1] or 1
    wire = data[2:]
    outcomes = []
    for size in (len(wire) or 1, step, 1):
        results = [serve(new(name, **limits), wire, size) for name in implementations()]
        assert all(result == results[0] for result in results), "the implementations disagree"
        outcomes.append(results[0])
    for events, sent in outcomes:
        _check_events(events)
        _check_frames(sent)
    limits = {name: limit for name, limit in limits.items() if name != "max_body_size"}
    for name in implementations():
        heard = [listen(new(name, **limits), wire, size) for size in (len(wire) or 1, step, 1)]
        assert heard[1:] == heard[:-1], "cutting matters"


def serve(connection: Any, wire: bytes, step: int) -> tuple[list[Event], bytes]:
    """Feed pieces of ``step`` bytes and treat streams each in the way that its number says.

    What is to be sent is pulled in small portions behind each piece.
    """
    seen: list[Event] = []
    sent: list[bytes] = []
    for start in range(0, len(wire), step):
        events = connection.receive_data(wire[start : start + step], 1.0)
        for event in events:
            _react(connection, event, seen)
        seen += events
        sent += connection.data_to_send(1000)
        seen += connection.receive_data(b"", 1.0) if connection.pending else []
    for _ in range(20):
        sent += connection.data_to_send(1000)
    seen += connection.receive_eof(1.0)
    assert connection.idle or connection.in_headers
    assert connection.finished
    assert sum(map(len, sent)) < _MOST
    return seen, b"".join(sent)


def _react(connection: Any, event: Any, seen: list[Event]) -> None:
    """Be the application: answer at once, in parts, as a tunnel, by a reset, or not at all."""
    number = event.stream_id
    try:
        if isinstance(event, RequestReceived):
            way = number // 2 % 5
            if event.upgrade is not None:
                connection.switch(number, [])
                connection.send_body(number, b"welcome")
            elif way == 0:
                connection.send_response(number, 200, [(b"a", b"b")], b"x" * 3000)
            elif way in (1, 2):
                connection.send_head(number, 200, [], None, True)
                connection.send_body(number, b"y" * 40_000)
            elif way == 3:
                connection.reset(number, "app_abort")
        elif isinstance(event, (BodyReceived, BytesReceived)):
            connection.consumed(number, len(event.data))
        elif isinstance(event, MessageComplete):
            connection.send_trailers(number, [(b"t", b"u")])
        elif isinstance(event, StreamReset) and event.reason == "client_closed":
            connection.send_body(number, b"", True)
    except LocalProtocolError:
        pass  # it was answered before


def listen(connection: Any, wire: bytes, step: int) -> tuple[list[Any], list[bytes]]:
    """Feed pieces of ``step`` bytes, answer nothing, and return what must not depend on cuts.

    Whoever answers, or pulls, does so earlier where more is cut: then more streams may come. Bodies
    are joined. Of two faults in one frame, which is named may depend on how it came. Credit for
    what nobody takes is given for as much as has come.
    """
    heard: list[Any] = []
    bodies: dict[int, bytes] = {}
    for start in range(0, len(wire), step):
        for event in connection.receive_data(wire[start : start + step], 1.0):
            if isinstance(event, (BodyReceived, BytesReceived)):
                bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
            elif isinstance(event, (ConnectionFailed, StreamReset)):
                heard.append((type(event), event.stream_id))
            else:
                heard.append(event)
    sent = b"".join(connection.data_to_send())
    heads = [sent[start : start + 9] for start in _starts(sent)]
    return [*heard, bodies], [head for head in heads if head[3] not in (_GOAWAY, _WINDOW_UPDATE)]


def _check_events(events: list[Event]) -> None:
    """Check what must hold for every input."""
    begun: set[int] = set()
    ended: set[int] = set()
    failed = False
    for event in events[:-1]:  # the last is the end of the peer's bytes
        assert not failed, "something follows a failure"
        failed = isinstance(event, ConnectionFailed)
        if isinstance(event, RequestReceived):
            assert event.stream_id > max(begun, default=0), "requests are out of order"
            begun.add(event.stream_id)
        elif isinstance(event, (BodyReceived, BytesReceived, MessageComplete)):
            assert event.stream_id in begun - ended, "a body comes before or behind its request"
            if isinstance(event, MessageComplete):
                ended.add(event.stream_id)


def _check_frames(sent: bytes) -> None:
    """What is sent is whole frames, and GOAWAY for a fault is the last of them."""
    position = 0
    code = 0
    while position < len(sent):
        assert not code, "something follows GOAWAY"
        size = int.from_bytes(sent[position : position + 3], "big")
        if sent[position + 3] == _GOAWAY:
            code = int.from_bytes(sent[position + 13 : position + 17], "big")
        position += 9 + size
    assert position == len(sent), "a frame is cut"


def _mutated(source: random.Random, seeds: list[bytes]) -> bytes:
    """Combine and change seeds as a fuzzer without eyes can."""
    data = bytearray(source.choice(seeds))
    for _ in range(source.choice((0, 1, 1, 2))):
        data += source.choice(seeds)[9:]  # without the first frame, which is SETTINGS
    for _ in range(source.choice((0, 1, 1, 2, 4, 8))):
        place = source.randrange(len(data) + 1)
        kind = source.randrange(6)
        if kind == 0:
            data[place : place + 1] = bytes([source.randrange(256)])
        elif kind == 1:
            del data[place : place + source.randrange(1, 5)]
        elif kind in (2, 3):
            starts = _starts(data)
            place = source.choice(starts)
            data[place:place] = _noise(source)
        elif kind == 4:
            place = source.choice(_starts(data))
            data[place + 4 : place + 5] = bytes([source.randrange(256)])  # its flags
        else:
            first, last = sorted((source.choice(_starts(data)), source.choice(_starts(data))))
            data[last:last] = data[first:last][:2000]
    choices = bytes([source.randrange(256), source.choice((1, 2, 3, 7, 16, 200))])
    return choices + bytes(data[:3000])


def _starts(data: bytes | bytearray) -> list[int]:
    """Return where frames begin."""
    places = [0]
    while places[-1] < len(data):
        places.append(places[-1] + 9 + int.from_bytes(data[places[-1] : places[-1] + 3], "big"))
    return places[:-1] or [0]


def _noise(source: random.Random) -> bytes:
    """Make a frame of any kind, on a stream that is likely to be there."""
    kind = source.choice((*range(10), 3, 4, 8, 8, 16, 77))
    payload = source.randbytes(source.choice((0, 1, 3, 4, 4, 5, 6, 8, 20)))
    if kind == 4 and source.random() < 0.7:  # SETTINGS: a window that is likely to matter
        payload = b"\0\4" + source.choice((0, 1, 100, 65_535, 1 << 20)).to_bytes(4, "big")
    elif kind == 8 and source.random() < 0.7:
        payload = source.choice((0, 1, 5000, 1 << 20, (1 << 31) - 1)).to_bytes(4, "big")
    flags = source.choice((0, 0, 1, 4, 5, 8, 32, source.randrange(256)))
    stream = source.choice((0, 0, 1, 1, 2, 3, 5, 7, 99)).to_bytes(4, "big")
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream + payload


FUZZER = Fuzzer(
    module="http2",
    check=check,
    mutated=_mutated,
    seeds=corpus_of("http2", ".h2", 2000),
    max_size=3000,
    about=__doc__,
    ways=" and ".join(implementations()),
)

if __name__ == "__main__":
    FUZZER.main()
