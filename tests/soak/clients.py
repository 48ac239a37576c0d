"""The clients of the soak: each is one visit, which a crowd of them repeats.

A visit of a good client returns how many requests were answered rightly, and raises when one was
not. A visit of a bad client raises only when the server's answer was not the one it deserves.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.server.client import Client, Response, connect
from tests.soak import BLOCK

MIB = len(BLOCK)
#: The server's header timeout in a soak, in seconds.
HEADER_TIMEOUT = 2.0

#: What is refused, and how.
MALFORMED = (
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    (b"G\x00T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/2.7\r\nHost: a\r\n\r\n", 505),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
)


class Wrong(Exception):
    """An answer is not the one that is due."""


def expect(response: Response, body: bytes, status: int = 200) -> None:
    """Raise `Wrong` unless a response is as it should be."""
    if response.status != status:
        raise Wrong(f"status {response.status}, not {status}: {response.body[:80]!r}")
    if response.body != body:
        raise Wrong(f"another body: {len(response.body)} bytes, not {len(body)}")


def receipt(body: bytes) -> bytes:
    """Return what ``/echo`` answers to a body."""
    return b"%d %d" % (len(body), zlib.crc32(body))


@asynccontextmanager
async def leaving(port: int, *, receive_buffer: int | None = None) -> AsyncIterator[Client]:
    """Open a connection that ends without a word, by a reset or not, whatever the server does."""
    async with connect(port, receive_buffer=receive_buffer) as client:
        try:
            yield client
        except ConnectionError:
            """The server may have been faster."""
        if random.random() < 0.5:
            client.abort()


# --- good clients ----------------------------------------------------------------------------


async def keepalive(port: int) -> int:
    """Make fifty requests one after another."""
    async with connect(port) as client:
        for number in range(50):
            path = f"/hello/{number}"
            expect(await client.request(path, headers=[("Accept", "*/*")]), path.encode())
    return 50


async def short(port: int) -> int:
    """Make one request per connection; say so, or end the sending side."""
    async with connect(port) as client:
        if random.random() < 0.5:
            client.send_request("/hello", headers=[("Connection", "close")])
        else:
            client.send_request("/hello")
            client.eof()
        expect(await client.response(), b"/hello")
        if await client.rest():
            raise Wrong("bytes after the response")
    return 1


async def pipelined(port: int) -> int:
    """Make sixteen requests at once, some with bodies."""
    async with connect(port) as client:
        due = []
        for number in range(16):
            if number % 3 == 0:
                part = BLOCK[number * 99 : number * 199]
                client.send_request("/echo", method="POST", body=part or b"x")
                due.append(receipt(part or b"x"))
            else:
                client.send_request(f"/hello/{number}")
                due.append(b"/hello/%d" % number)
        for body in due:
            expect(await client.response(), body)
    return 16


async def trickled(port: int) -> int:
    """Send a head in pieces."""
    async with connect(port) as client:
        head = b"GET /hello/slowly HTTP/1.1\r\nHost: test\r\nAccept: */*\r\n\r\n"
        for begin in range(0, len(head), 7):
            client.send(head[begin : begin + 7])
            await asyncio.sleep(0.005)
        expect(await client.response(), b"/hello/slowly")
    return 1


async def chunked(port: int) -> int:
    """Upload in chunks of odd sizes, with a trailer, twice on one connection."""
    async with connect(port) as client:
        for _ in range(2):
            body = BLOCK[: random.randrange(1, 300_000)]
            client.send_request("/echo", method="POST", headers=[("Transfer-Encoding", "chunked")])
            begin = 0
            while begin < len(body):
                size = min(random.randrange(1, 40_000), len(body) - begin)
                client.send(b"%x\r\n%b\r\n" % (size, body[begin : begin + size]))
                await client.drain()
                begin += size
            client.send(b"0\r\nX-Trailer: done\r\n\r\n")
            expect(await client.response(), receipt(body))
    return 2


async def uploading(port: int) -> int:
    """Upload one MiB, after a 100 (Continue)."""
    async with connect(port) as client:
        headers = [("Content-Length", str(MIB)), ("Expect", "100-continue")]
        client.send_request("/echo", method="POST", headers=headers)
        if (await client.head()).status != 100:
            raise Wrong("no 100 (Continue)")
        client.send(BLOCK)
        await client.drain()
        expect(await client.response(), receipt(BLOCK))
    return 1


async def downloading(port: int) -> int:
    """Download one MiB whole and in chunks."""
    async with connect(port) as client:
        expect(await client.request("/body"), BLOCK)
        expect(await client.request(f"/stream?size={random.randrange(4_000, 90_000)}"), BLOCK)
    return 2


async def slow_reader(port: int) -> int:
    """Download one MiB through a small buffer, slowly."""
    async with connect(port, receive_buffer=8_192, limit=16_384) as client:
        client.send_request(random.choice(["/body", "/stream?size=30000"]))
        response = await client.head()
        received = bytearray()
        if response["content-length"] is None:
            while chunk := await client.chunk():
                received += chunk
                await asyncio.sleep(0.02)
            await client.reader.readexactly(2)
        else:
            while len(received) < MIB:
                received += await client.reader.read(MIB - len(received))
                await asyncio.sleep(0.001)
        response.body = bytes(received)
        expect(response, BLOCK)
    return 1


async def files(port: int) -> int:
    """Get a file and parts of it, by path and by handle, and its head."""
    async with connect(port) as client:
        for how in ("path", "handle"):
            middle = random.randrange(MIB)
            for first, length in ((0, MIB), (middle, random.randrange(1, MIB - middle + 1))):
                path = f"/file?how={how}&first={first}&length={length}"
                expect(await client.request(path), BLOCK[first : first + length])
        expect(await client.request(path, method="HEAD"), b"")
    return 5


# --- bad clients -----------------------------------------------------------------------------


async def leaves_in_upload(port: int) -> int:
    """Announce one MiB, send some of it, and leave."""
    async with leaving(port) as client:
        client.send_request("/echo", method="POST", headers=[("Content-Length", str(MIB))])
        client.send(BLOCK[: random.randrange(0, MIB - 1)])
        if random.random() < 0.5:
            await client.drain()
    return 0


async def leaves_in_response(port: int) -> int:
    """Read some of a response and leave."""
    target = random.choice(["/forever", "/body", f"/file?how=path&first=0&length={MIB}"])
    async with leaving(port, receive_buffer=8_192) as client:
        client.send_request(target)
        await client.head()
        await client.reader.read(random.randrange(1, 50_000))
    return 0


async def leaves_before_response(port: int) -> int:
    """Ask for what does not come, and leave."""
    async with leaving(port) as client:
        client.send_request("/wait")
        await asyncio.sleep(random.random() * 0.2)
    return 0


async def malformed(port: int) -> int:
    """Send what is no request, after a good one or not."""
    data, status = random.choice(MALFORMED)
    async with connect(port) as client:
        if random.random() < 0.5:
            expect(await client.request("/hello"), b"/hello")
        client.send(data)
        response = await client.response()
        if response.status != status or not response.closes:
            raise Wrong(f"{response.status} for {data[:60]!r}, not {status} and close")
        await client.rest()
    return 0


async def silent(port: int) -> int:
    """Connect and send nothing, or half a head: leave, or wait until the server closes."""
    async with connect(port) as client:
        if random.random() < 0.5:
            client.send(b"GET / HTTP/1.1\r\nHo")
        if random.random() < 0.5:
            await asyncio.sleep(random.random() * 0.5)
            return 0
        async with asyncio.timeout(HEADER_TIMEOUT * 5):
            await client.rest()
    return 0


async def resets(port: int) -> int:
    """Reset the connection at once, or with a request on its way."""
    async with connect(port) as client:
        if random.random() < 0.5:
            client.send_request("/hello")
        client.abort()
    return 0


@dataclass(frozen=True)
class Kind:
    """One kind of client.

    Attributes:
        visit: one visit.
        number: how many of them there are at a time.
        pause: seconds between two visits of one of them.
    """

    visit: Callable[[int], Awaitable[int]]
    number: int = 1
    pause: float = 0.0

    @property
    def name(self) -> str:
        """What the table calls it."""
        return self.visit.__name__.replace("_", " ")


KINDS = (
    Kind(keepalive, 4),
    Kind(short, 2),
    Kind(pipelined, 2),
    Kind(trickled, 2),
    Kind(chunked, 2),
    Kind(uploading, 2),
    Kind(downloading, 2),
    Kind(slow_reader, 6),
    Kind(files, 2),
    Kind(leaves_in_upload, 2, 0.01),
    Kind(leaves_in_response, 3, 0.01),
    Kind(leaves_before_response, 4),
    Kind(malformed, 2, 0.01),
    Kind(silent, 10),
    Kind(resets, 2, 0.01),
)
