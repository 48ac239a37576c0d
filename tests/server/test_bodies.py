"""Large bodies over real sockets: memory stays bounded, files arrive whole, nothing leaks."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest

from pagi.interface.errors import Disconnected
from tests.server.client import Truncated, connect, get, serving, settled
from tests.server.conftest import Told

MEBI = 1 << 20
START = {"type": "http.response.start", "status": 200, "headers": []}
#: What the two kernel buffers of a loopback connection may hold, and what we may.
KERNEL = 14 * MEBI


def descriptors() -> int:
    """Count the open descriptors of this process, but for the one that uvloop keeps spare."""
    paths = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return sum(os.path.islink(path) and os.readlink(path) != "/dev/null" for path in paths)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 5 MiB and a bit, in which each part differs."""
    path = tmp_path_factory.mktemp("files") / "big"
    seed = os.urandom(1 << 16)
    path.write_bytes(b"".join(seed + number.to_bytes(7, "big") for number in range(81)))
    return path


# --- uploads ---------------------------------------------------------------------------------


@pytest.mark.spec("HTTP-13", "HTTP-10")
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_big_upload_is_read_only_as_fast_as_the_application_receives(
    chunked: bool,
) -> None:
    go = asyncio.Event()
    largest = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal largest
        await go.wait()
        digest, more = hashlib.sha256(), True
        while more:
            message = await receive()
            largest = max(largest, len(message["body"]))
            digest.update(message["body"])
            more = message["more_body"]
        await send(START)
        await send({"type": "http.response.body", "body": digest.digest()})

    piece = os.urandom(1 << 18)
    count = 96
    sent = 0
    async with serving(app, lifespan="off") as server, connect(server) as client:
        if chunked:
            client.send_request(method="POST", headers=[("Transfer-Encoding", "chunked")])
        else:
            length = str(count * len(piece))
            client.send_request(method="POST", headers=[("Content-Length", length)])

        async def upload() -> None:
            nonlocal sent
            for _ in range(count):
                client.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                await client.drain()
                sent += len(piece)
            if chunked:
                client.send(b"0\r\n\r\n")

        uploading = asyncio.ensure_future(upload())
        assert await settled(lambda: sent) < KERNEL
        go.set()
        await uploading
        assert (await client.response()).body == hashlib.sha256(piece * count).digest()
    # The high mark, and what one read brought on top of it.
    assert largest <= 65_536 + MEBI


@pytest.mark.spec("HTTP-16")
async def test_an_upload_that_is_refused_gets_its_answer() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async with serving(app) as server, connect(server) as client:
        client.send_request(method="POST", headers=[("Content-Length", str(8 * MEBI))])
        client.send(bytes(MEBI))
        assert (await client.response()).body == b"no"
        assert await client.rest() == b""


@pytest.mark.spec("HTTP-14")
async def test_an_upload_beyond_the_limit() -> None:
    seen = []
    called = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        called.set()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                seen.append(message["reason"])
                return

    async with serving(app, lifespan="off", max_body_size=1000) as server:
        async with connect(server) as client:
            response = await client.request(method="POST", body=bytes(1001))
            assert response.status == 413
        async with connect(server) as client:
            client.send_request(method="POST", headers=[("Transfer-Encoding", "chunked")])
            await called.wait()
            for _ in range(11):
                client.send(b"64\r\n" + bytes(100) + b"\r\n")
            response = await client.response()
            assert response.status == 413
    assert seen == ["body_too_large"]


# --- downloads -------------------------------------------------------------------------------


@pytest.mark.spec("CORE-23", "CORE-34", "CORE-36")
async def test_a_big_download_to_a_slow_reader() -> None:
    piece = os.urandom(1 << 16)
    count = 400
    sent = 0
    seen: list[str] = []
    most = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent, most
        transport = scope["pagi.transport"]
        transport.on_high_water(lambda: seen.append("high"))
        transport.on_drain(lambda: seen.append("drain"))
        await send(START)
        for _ in range(count):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            most = max(most, transport.buffered_amount())
            sent += 1
        await send({"type": "http.response.body", "body": b""})

    async with serving(app, lifespan="off") as server:
        async with connect(server, receive_buffer=4096, limit=4096) as client:
            client.send_request()
            stuck = await settled(lambda: sent)
            assert stuck * len(piece) < KERNEL
            response = await client.response()
            assert response.body == piece * count
    assert most < 65_536 * 4
    assert seen
    assert seen[::2] == ["high"] * len(seen[::2])
    assert seen[1::2] == ["drain"] * len(seen[1::2])


@pytest.mark.spec("EXT-11")
async def test_full_flush_waits_for_a_slow_reader() -> None:
    flushed = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        transport = scope["pagi.transport"]
        await send(START)
        flushing = asyncio.ensure_future(send({"type": "http.fullflush"}))
        await flushing
        for _ in range(8):
            await send({"type": "http.response.body", "body": bytes(MEBI), "more_body": True})
            await send({"type": "http.fullflush"})
            flushed.append(transport.buffered_amount())
        await send({"type": "http.response.body", "body": b"last"})
        await send({"type": "http.fullflush"})
        flushed.append(-1)

    async with serving(app, lifespan="off") as server:
        async with connect(server, receive_buffer=4096, limit=4096) as client:
            client.send_request()
            response = await client.response()
            assert len(response.body) == 8 * MEBI + 4
    assert flushed == [0] * 8 + [-1]


@pytest.mark.spec("CORE-24", "CORE-43", "HTTP-42")
async def test_a_slow_reader_that_leaves_wakes_the_application() -> None:
    seen: list[Any] = []
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["pagi.connection"].on_end(lambda reason, detail: seen.append(reason))
        await send(START)
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(MEBI), "more_body": True})
        except Disconnected as exc:
            seen.append(exc.reason)
            ended.set()

    async with serving(app, lifespan="off") as server:
        async with connect(server, receive_buffer=4096, limit=4096) as client:
            client.send_request()
            await client.head()
            client.abort()
        await ended.wait()
    assert seen == ["client_closed", "client_closed"]


# --- files -----------------------------------------------------------------------------------


def file_app(path: Path) -> Any:
    """Answer with the file in the way that the request path names."""
    fields: dict[str, Any] = {
        "/file": {"file": path},
        "/range": {"file": str(path), "offset": 1000, "length": 3 * MEBI},
        "/beyond": {"file": path, "offset": 1 << 30},
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        what = scope["path"]
        await send(START)
        if what in fields:
            await send({"type": "http.response.body", **fields[what]})
        elif what == "/pathsend":
            await send({"type": "http.response.pathsend", "path": str(path)})
        elif what == "/chunked":
            await send({"type": "http.response.body", "body": b"head", "more_body": True})
            await send({"type": "http.response.body", "file": path})
        elif what == "/memory":
            await send({"type": "http.response.body", "fh": io.BytesIO(path.read_bytes())})
        elif what == "/zerocopy":
            with open(path, "rb") as handle:
                for count in (100_000, None):
                    await send(
                        {
                            "type": "http.response.zerocopysend",
                            "file": handle,
                            "count": count,
                            "more_body": count is not None,
                        }
                    )
        else:
            with open(path, "rb") as handle:
                await send({"type": "http.response.body", "fh": handle})

    return app


@pytest.mark.spec("HTTP-31", "HTTP-32", "HTTP-33", "HTTP-34", "HTTP-35", "EXT-8", "EXT-9")
@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize(
    "how",
    ["file", "range", "beyond", "pathsend", "chunked", "memory", "zerocopy", "handle"],
)
async def test_files_arrive_whole(big: Path, how: str, slow: bool) -> None:
    data = big.read_bytes()
    expected = {
        "range": data[1000 : 1000 + 3 * MEBI],
        "beyond": b"",
        "chunked": b"head" + data,
    }.get(how, data)
    before = descriptors()
    options: Any = {"receive_buffer": 4096, "limit": 8192} if slow else {}
    async with serving(file_app(big), lifespan="off") as server:
        async with connect(server, **options) as client:
            for _ in range(2):  # the connection stays usable
                response = await client.request("/" + how)
                assert response.body == expected
                framed = response["transfer-encoding"] or response["content-length"]
                counted = b"%d" % len(expected)
                assert framed == (b"chunked" if how in ("chunked", "zerocopy") else counted)
            response = await client.request("/" + how, method="HEAD")
            assert response.body == b""
            assert (await client.request("/beyond")).body == b""
    assert descriptors() == before


@pytest.mark.spec("HTTP-35")
async def test_a_client_that_leaves_in_the_middle_of_a_file(big: Path, told: Told) -> None:
    seen: list[Any] = []
    ended = asyncio.Event()
    sends = file_app(big)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await sends(scope, receive, send)
        except OSError as exc:
            seen.append(type(exc))
            raise
        finally:
            ended.set()

    before = descriptors()
    async with serving(app, lifespan="off") as server:
        for how in ("file", "chunked", "handle", "zerocopy", "memory"):
            for reset in (False, True):
                ended.clear()
                async with connect(server, receive_buffer=4096, limit=4096) as client:
                    client.send_request("/" + how)
                    await client.reader.readexactly(20_000)
                    if reset:
                        client.abort()
                await ended.wait()
    assert descriptors() == before
    assert set(seen) <= {Disconnected}
    assert told.errors == []


@pytest.mark.spec("HTTP-33", "HTTP-41")
async def test_a_file_that_shrinks_while_it_is_sent(tmp_path: Path, told: Told) -> None:
    path = tmp_path / "shrinks"
    path.write_bytes(bytes(40 * MEBI))
    async with serving(file_app(path), lifespan="off") as server:
        for how in ("file", "chunked"):
            os.truncate(path, 40 * MEBI)
            async with connect(server, receive_buffer=4096, limit=4096) as client:
                client.send_request("/" + how)
                await client.reader.readexactly(1000)
                os.truncate(path, 30 * MEBI)
                rest = await client.rest()
                assert len(rest) < 40 * MEBI
                assert not rest.endswith(b"0\r\n\r\n")
    assert told.errors == ["the application failed in mid-response; truncated"] * 2


@pytest.mark.spec("HTTP-31")
async def test_a_missing_file_can_be_answered_otherwise(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        with pytest.raises(FileNotFoundError):
            await send({"type": "http.response.body", "file": tmp_path / "missing"})
        await send({"type": "http.response.body", "body": b"otherwise"})

    async with serving(app, lifespan="off") as server:
        assert (await get(server)).body == b"otherwise"


@pytest.mark.spec("HTTP-22")
async def test_a_file_longer_than_declared_is_refused_before_a_byte_of_it(big: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        for message in (
            {"type": "http.response.body", "file": big},
            {"type": "http.response.pathsend", "path": str(big)},
        ):
            with pytest.raises(RuntimeError, match="longer than declared"):
                await send(message)
        await send({"type": "http.response.body", "file": big, "length": 5})

    async with serving(app, lifespan="off") as server, connect(server) as client:
        for _ in range(2):
            response = await client.request()
            assert response.body == b"12345" + big.read_bytes()[:5]


@pytest.mark.spec("HTTP-32")
async def test_a_pipe(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        reading, writing = os.pipe()
        os.write(writing, b"through a pipe")
        os.close(writing)
        await send(START)
        with os.fdopen(reading, "rb") as handle:
            await send({"type": "http.response.body", "fh": handle})

    async with serving(app, lifespan="off") as server:
        response = await get(server)
        assert response.body == b"through a pipe"
        assert response["transfer-encoding"] == b"chunked"


@pytest.mark.spec("HTTP-41")
async def test_files_that_cannot_be_read_to_the_end_are_cut(told: Told) -> None:
    class Fails:
        def read(self, size: int) -> bytes:
            if not hasattr(self, "read_once"):
                self.read_once = True
                return b"first"
            raise OSError("disk")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "fh": Fails()})

    async with serving(app, lifespan="off") as server, connect(server) as client:
        with pytest.raises(Truncated) as raised:
            await client.request()
        assert raised.value.partial.body == b"first"
    assert told.errors == ["the application failed in mid-response; truncated"]
