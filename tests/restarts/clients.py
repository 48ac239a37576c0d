"""Clients that ask all the time, on connections that are kept and on new ones."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Failure", "Tally", "ask_on"]

#: How long an answer may take, in seconds.
PATIENCE = 30.0
#: One request in so many is slow.
SLOW = 20


@dataclass(frozen=True)
class Failure:
    """A request that got no answer.

    Attributes:
        what: what happened instead.
        worker: process that served the connection before, 0 if it is not known.
        when: time of the loop.
    """

    what: str
    worker: int
    when: float


@dataclass
class Tally:
    """What came of all requests.

    Attributes:
        answered: how many were answered, whole.
        wanted: how many are to be.
        workers: answers by process.
    """

    wanted: int
    answered: int = 0
    workers: Counter[int] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    longest: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to ask."""
        return self.answered + len(self.failures) >= self.wanted


class _Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport: Any = None
        self.worker = 0
        self.closed = False
        self._data = b""
        self._waiter: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found or self._waiter is None:
            return
        head = head.lower()
        length = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        if len(body) < int(length):
            return
        waiter, self._waiter = self._waiter, None
        self._data = b""
        if not waiter.done():
            waiter.set_result(head + b"\r\n\r\n" + body)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._waiter is not None and not self._waiter.done():
            what = "cut" if exc is None else type(exc).__name__
            self._waiter.set_exception(ConnectionError(f"{what} after {len(self._data)} bytes"))

    def ask(self, path: bytes, close: bool) -> asyncio.Future[bytes]:
        """Send a request; its answer is the future's result."""
        self._waiter = self.loop.create_future()
        more = b"Connection: close\r\n" if close else b""
        self.transport.write(b"GET %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (path, more))
        return self._waiter

    def close(self) -> None:
        """Leave."""
        if self.transport is not None:
            self.transport.close()


async def ask_on(port: int, tally: Tally, keep: bool, pause: float) -> None:
    """Ask until the tally is complete.

    Args:
        port: of the server.
        tally: counts.
        keep: use a connection for as long as the server lets; otherwise a new one each time.
        pause: seconds between two requests.
    """
    loop = asyncio.get_running_loop()
    connection: _Connection | None = None
    count = 0
    while not tally.is_complete:
        count += 1
        begin = loop.time()
        worker = 0
        try:
            if connection is None or connection.closed:
                _, connection = await loop.create_connection(_Connection, "127.0.0.1", port)
            worker = connection.worker
            path = b"/wait" if not count % SLOW else b"/"
            async with asyncio.timeout(PATIENCE):
                answer = await connection.ask(path, not keep)
        except (OSError, TimeoutError) as error:
            tally.failures.append(Failure(str(error) or repr(error), worker, loop.time()))
            connection = _left(connection)
            continue
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"http/1.1 200"):
            tally.failures.append(Failure(head[:40].decode("latin-1"), worker, loop.time()))
        else:
            connection.worker = int(body)
            tally.answered += 1
            tally.workers[connection.worker] += 1
        tally.longest = max(tally.longest, loop.time() - begin)
        if not keep or b"\r\nconnection: close" in head:
            connection = _left(connection)
        if pause:
            await asyncio.sleep(pause)
    _left(connection)


def _left(connection: _Connection | None) -> None:
    if connection is not None:
        connection.close()
