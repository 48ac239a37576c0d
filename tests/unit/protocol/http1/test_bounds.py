"""Time in proportion to the bytes, memory within the limits, nothing left behind."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from pagi.protocol.http1 import _fields_py, _head_py
from tests.unit.protocol.http1.driving import answer, new, output, serve

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


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


def test_tiny_chunks_take_linear_time(implementation: Any) -> None:
    def run(count: int) -> None:
        connection = new(implementation)
        connection.receive_data(CHUNKED, 0.0)
        data = b"1\r\nx\r\n" * 10_000
        for _ in range(count // 10_000):
            (event,) = connection.receive_data(data, 0.0)
            assert event.data == b"x" * 10_000

    assert _is_linear(run, 20_000)


def test_ten_megabytes_of_tiny_chunks(implementation: Any) -> None:
    # Python would need a minute for them under tracemalloc; it gets 200 KB
    count = 20 if implementation.__module__.endswith("_py") else 1000
    connection = new(implementation)
    connection.receive_data(CHUNKED, 0.0)
    data = b"1\r\nx\r\n" * 10_000

    def run() -> None:
        for _ in range(count):
            (event,) = connection.receive_data(data, 0.0)
            assert len(event.data) == 10_000

    assert _peak(run) < 2_000_000
    assert answer(connection, connection.receive_data(b"0\r\n\r\n", 0.0))


def test_tiny_chunks_take_little_memory(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(CHUNKED, 0.0)
    data = b"1\r\nx\r\n" * 10_000
    kept = []

    def run() -> None:
        kept.extend(connection.receive_data(data, 0.0))

    # while they are joined Python needs an object for each; the event holds nothing of them
    assert _peak(run) < 20 * len(data)
    (event,) = kept
    assert event.data == b"x" * 10_000


def test_a_dribbled_body_takes_linear_time(implementation: Any) -> None:
    def run(count: int) -> None:
        connection = new(implementation)
        connection.receive_data(CHUNKED, 0.0)
        for _ in range(count):
            connection.receive_data(b"1", 0.0)
            connection.receive_data(b"\r", 0.0)
            connection.receive_data(b"\n", 0.0)
            connection.receive_data(b"x", 0.0)
            connection.receive_data(b"\r\n", 0.0)

    assert _is_linear(run, 2000)


def test_a_dribbled_head_takes_linear_time(implementation: Any) -> None:
    def run(size: int) -> None:
        connection = new(implementation, max_head_size=10_000_000)
        connection.receive_data(GET[:-2] + b"a: ", 0.0)
        for _ in range(size):
            connection.receive_data(b"x", 0.0)

    assert _is_linear(run, 20_000)


def test_a_dribbled_request_line_takes_linear_time(implementation: Any) -> None:
    def run(size: int) -> None:
        connection = new(implementation, max_target_size=1_000_000, max_head_size=10_000_000)
        connection.receive_data(b"GET /", 0.0)
        for _ in range(size):
            connection.receive_data(b"x", 0.0)

    assert _is_linear(run, 20_000)


def _dribble(connection: Any) -> tuple[int, int]:
    """Feed single bytes until the machine has had enough: how many, and the status."""
    for sent in range(1, 1_000_000):
        events = connection.receive_data(b"x", 0.0)
        if events:
            return sent, events[0].status
    raise AssertionError("a million bytes were taken")


def test_a_dribbled_head_is_cut_off(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(GET[:-2] + b"a: ", 0.0)
    sent, status = _dribble(connection)
    assert status == 431
    assert sent + len(GET) + 1 == 65_536 + 1
    assert connection.receive_data(b"x" * 1_000_000, 0.0) == []


def test_a_dribbled_chunk_line_and_trailer_are_cut_off(implementation: Any) -> None:
    for begin, limit, status in ((b"1;a=", 256, 400), (b"0\r\na: ", 16_384, 431)):
        connection = new(implementation)
        connection.receive_data(CHUNKED + begin, 0.0)
        sent, answered = _dribble(connection)
        assert answered == status
        assert limit - 10 < sent < limit + 10


def test_pipelined_requests_take_linear_time(implementation: Any) -> None:
    def run(count: int) -> None:
        _, sent = serve(new(implementation), [GET * count])
        assert sent.count(b"HTTP/1.1 200 OK") == count

    assert _is_linear(run, 1000)


def test_pipelined_requests_behind_a_silent_application(implementation: Any) -> None:
    connection = new(implementation)
    connection.receive_data(GET, 0.0)

    def run() -> None:
        # as a driver does: what arrives before it can stop reading is one read at most
        for _ in range(100_000 // 100):
            if connection.reading_paused:
                break
            assert connection.receive_data(GET * 100, 0.0) == []

    assert _peak(run) < 4 * 65_536
    assert connection.reading_paused


def test_dribbled_pipelining_takes_linear_time(implementation: Any) -> None:
    def run(size: int) -> None:
        connection = new(implementation)
        connection.receive_data(GET, 0.0)
        for _ in range(size):
            connection.receive_data(b"G", 0.0)

    assert _is_linear(run, 20_000)


def test_what_is_remembered_is_bounded(implementation: Any) -> None:
    def run(first: int, count: int) -> None:
        connection = new(implementation, max_header_count=1000)
        for number in range(first, first + count):
            names = b"".join(b"X-%d-%d: y\r\n" % (number, index) for index in range(10))
            data = b"GET / HTTP/1.1\r\nHost: h%d\r\nUser-Agent: a%d\r\n%b\r\n" % (
                number,
                number,
                names,
            )
            assert answer(connection, connection.receive_data(data, 0.0))
            output(connection)

    run(0, 3000)
    gc.collect()
    tracemalloc.start()
    try:
        run(10_000, 3000)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 600_000
    finally:
        tracemalloc.stop()


def test_secrets_are_not_remembered(implementation: Any) -> None:
    secret = b"s3cr3t-of-some-length"
    fields = b"".join(
        b"%b: %b\r\n" % (name, secret)
        for name in (b"Cookie", b"Authorization", b"Proxy-Authorization", b"X-Api-Key", b"Referer")
    )
    serve(new(implementation), [b"GET /%b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (secret, fields)])
    remembered = [
        *_head_py._remembered,
        *_head_py._remembered_hosts,
        *_head_py._names,
        *(line for pair in _fields_py._rendered for line in pair),
    ]
    assert not any(secret in line for line in remembered)


def _everything(implementation: Any) -> None:
    """Use every path once: good and bad requests, bodies, trailers, tunnels, errors."""
    serve(
        new(implementation),
        [
            GET + CHUNKED + b"5\r\nhello\r\n0\r\na: b\r\n\r\n" + GET[:10],
            GET[10:],
            b"POST /a?b HTTP/1.1\r\nHost: b\r\nCookie: a\r\nCookie: b\r\nContent-Length: 3\r\n",
            b"\r\nabc" + b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        ],
    )
    connection = new(implementation)
    connection.receive_data(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nearly", 0.0
    )
    connection.switch(1, [(b"a", b"b")])
    connection.receive_data(b"", 0.0)
    connection.send_body(1, b"x", end=True)
    output(connection)
    for bad in (b"\x00", b"GET / HTTP/1.1\r\n\r\n", CHUNKED + b"x\r\n", GET[:-4] + b"\n"):
        connection = new(implementation)
        connection.receive_data(bad, 0.0)
    connection = new(implementation)
    connection.receive_data(GET + b"GET / HT", 0.0)
    for fields in ([(b"x", b"\n")], [(b"x", 1)], [None], [(b"content-length", b"x")]):
        try:
            connection.send_head(1, 200, fields)
        except Exception:
            pass
    connection.send_head(1, 200, [(b"a", b"b")], trailers=True)
    connection.send_body(1, b"x" * 20_000, end=True)
    connection.send_trailers(1, [(b"a", b"b")])
    connection.receive_eof(0.0)


def test_nothing_leaks(implementation: Any) -> None:
    def blocks() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    for _ in range(50):
        _everything(implementation)
    tracemalloc.start()
    try:
        _everything(implementation)
        before = blocks()
        for _ in range(500):
            _everything(implementation)
        # a leak of one object of 32 bytes each time would show as 16,000
        assert blocks() - before < 4000
    finally:
        tracemalloc.stop()
