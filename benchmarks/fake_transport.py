"""Microseconds per request on a fake transport: no kernel, no loop turns, little noise.

``python -m benchmarks.fake_transport`` prints what the server's own code costs: machine, driver,
exchange and the call of the application. It is stable enough to catch a regression on a busy
machine; run it with ``PAGI_PURE_PYTHON=1`` for the Python twins.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
from contextvars import copy_context
from time import monotonic, perf_counter
from typing import Any

from pagi._build import active_twins
from pagi.protocol.connection import DefaultFields
from pagi.server.connection.context import Clock, ConnectionContext
from pagi.server.connection.http1 import HTTP1Driver
from pagi.server.connection.proxies import TrustedProxies
from pagi.server.exchange.service import Service

HELLO = b"GET / HTTP/1.1\r\nHost: localhost:8000\r\n\r\n"
BROWSER = (
    b"GET /articles/42?page=2 HTTP/1.1\r\n"
    b"Host: localhost:8000\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Connection: keep-alive\r\n"
    b"Cookie: session=0123456789abcdef; theme=dark\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"Sec-Fetch-Dest: document\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-Site: none\r\n"
    b"Priority: u=0, i\r\n\r\n"
)
FORWARDED = HELLO[:-2] + (
    b"X-Forwarded-For: 203.0.113.7, 10.0.0.2\r\nX-Forwarded-Proto: https\r\n"
    b"X-Forwarded-Host: example.org\r\n\r\n"
)
POST = (
    b"POST /items HTTP/1.1\r\nHost: localhost:8000\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1024\r\n\r\n" + b"x" * 1024
)

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"13")],
}
END = {"type": "http.response.body", "body": b"Hello, world!"}


class FakeTransport:
    """Takes what is written and does nothing with it."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def writelines(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self.written += len(piece)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8000)}.get(
            name, default
        )

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(END)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def stream(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    piece = b"x" * 1024
    for _ in range(100):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def measure(
    app: Any, request: bytes, count: int, rounds: int, trusted: tuple[str, ...] = ()
) -> float:
    """Return the best microseconds per request of ``rounds`` rounds."""
    loop = asyncio.get_running_loop()
    service = Service(app, loop, context=copy_context())
    clock = Clock(monotonic())
    defaults = DefaultFields(b"Sun, 06 Nov 1994 08:49:37 GMT", b"pagi")
    proxies = TrustedProxies(trusted, "x-forwarded") if trusted else None
    context = ConnectionContext(service, clock, defaults, set(), proxies=proxies)
    driver = HTTP1Driver(context)
    transport = FakeTransport()
    done = loop.create_future()
    results: list[float] = []

    def one_round() -> None:
        receive = driver.data_received
        begin = perf_counter()
        for _ in range(count):
            receive(request)
        results.append((perf_counter() - begin) / count * 1e6)
        if len(results) < rounds:
            loop.call_soon(one_round)
        else:
            done.set_result(None)

    driver.connection_made(transport)
    loop.call_soon(driver.data_received, request)
    loop.call_soon(loop.call_soon, loop.call_soon, one_round)
    async with asyncio.timeout(60):
        await done
    if not transport.written:
        raise RuntimeError("the server wrote nothing")
    service.runner.close()
    return min(results)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    gc.freeze()
    print("twins:", active_twins() or "none")
    for name, app, request, share in (
        ("hello, no fields", hello, HELLO, 1),
        ("hello, 12 fields", hello, BROWSER, 1),
        ("echo, POST 1 KiB", echo, POST, 2),
        ("100 chunks of 1 KiB", stream, HELLO, 40),
    ):
        micros = asyncio.run(measure(app, request, options.count // share, options.rounds))
        print(f"{name:24} {micros:8.2f} µs")
    trusted = ("127.0.0.1", "10.0.0.0/8")
    for name, request, peers in (
        ("3 fields, no proxy", FORWARDED, ()),
        ("3 fields of a proxy", FORWARDED, trusted),
        ("no fields of a proxy", HELLO, trusted),
    ):
        micros = asyncio.run(measure(hello, request, options.count, options.rounds, peers))
        print(f"{name:24} {micros:8.2f} µs")


if __name__ == "__main__":
    main()
