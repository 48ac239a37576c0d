"""Microseconds of the HTTP/1 machine for one request: ``python -m benchmarks.http1_machine``.

A GET with twelve browser fields is parsed and answered by three fields and a small body; all four
calls are counted. Both implementations are measured where the extension is built.
"""

from __future__ import annotations

import importlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from pagi._build import compiled
from pagi.protocol.connection import DefaultFields
from pagi.protocol.http1.limits import HTTP1Limits

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST = (
    b"GET /items/42?q=hello HTTP/1.1\r\n"
    b"Host: www.example.com\r\n"
    b"Connection: keep-alive\r\n"
    b'sec-ch-ua: "Chromium";v="130", "Not?A_Brand";v="99"\r\n'
    b"sec-ch-ua-mobile: ?0\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/130.0.0.0 Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    b"Sec-Fetch-Site: same-origin\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    b"Referer: https://www.example.com/items\r\n"
    b"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    b"\r\n"
)
POST = (
    b"POST /items HTTP/1.1\r\nHost: www.example.com\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1024\r\nAccept: */*\r\n\r\n" + b"x" * 1024
)
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
FIELDS = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"13"),
    (b"cache-control", b"no-store"),
]


def _request(connection: Any, request: bytes) -> None:
    event = connection.receive_data(request, 0.0)[0]
    connection.send_head(event.stream_id, 200, FIELDS)
    connection.send_body(event.stream_id, b"Hello, world!", end=True)
    connection.data_to_send()


def _tiny_chunks(connection: Any, request: bytes) -> None:
    event = connection.receive_data(request, 0.0)[0]
    connection.receive_data(b"1\r\nx\r\n" * 1000, 0.0)
    connection.receive_data(b"0\r\n\r\n", 0.0)
    connection.send_head(event.stream_id, 200, FIELDS)
    connection.send_body(event.stream_id, b"Hello, world!", end=True)
    connection.data_to_send()


def _microseconds(make: Callable[[], Any], run: Callable[[Any, bytes], None], data: bytes) -> float:
    """Return the least of many short measurements: the machine is never quiet for long."""
    connection = make()
    start = time.process_time()
    run(connection, data)
    count = max(1, int(0.01 / (time.process_time() - start + 1e-6)))
    best = float("inf")
    for _ in range(60):
        start = time.process_time()
        for _ in range(count):
            run(connection, data)
        best = min(best, (time.process_time() - start) / count)
    return best * 1e6


def main() -> None:
    """Print one line per implementation and kind of request."""
    defaults = DefaultFields(b"Tue, 15 Nov 1994 08:12:31 GMT", b"pagi")
    limits = HTTP1Limits()
    names = ["_connection_py"]
    if compiled("pagi.protocol.http1._connection_c"):
        names.append("_connection_c")
    for name in names:
        kind = importlib.import_module(f"pagi.protocol.http1.{name}").HTTP1Connection
        for label, run, data in (
            ("GET, 12 fields", _request, REQUEST),
            ("POST of 1 KiB", _request, POST),
            ("1000 chunks of 1 byte", _tiny_chunks, CHUNKED),
        ):
            figure = _microseconds(partial(kind, limits, defaults), run, data)
            print(f"{name:16} {label:24} {figure:8.2f} µs")


if __name__ == "__main__":
    main()
