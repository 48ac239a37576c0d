"""File bodies: what is opened, how it is read, and what the exchange writes."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pagi.interface.errors import Disconnected, MessageError
from pagi.server.exchange import files
from pagi.server.exchange.files import PIECE_SIZE, FileBody
from pagi.server.exchange.opening import OpenFiles
from tests.unit.exchange.scene import (
    LAST,
    MORE,
    START,
    Timers,
    body,
    manual,
    request,
    start,
    turns,
)

DATA = bytes(range(256)) * 10


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return str(path)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def open_body(source: Any, offset: Any, length: Any) -> FileBody:
    """Open a body whose file nobody keeps open."""
    opened = OpenFiles(Timers())
    opened.close()
    return files.open_body(opened, source, offset, length)


def file_body(**fields: Any) -> dict[str, Any]:
    return {"type": "http.response.body", **fields}


def zerocopy(**fields: Any) -> dict[str, Any]:
    return {"type": "http.response.zerocopysend", **fields}


class Readable:
    """Something with a ``read``."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces = list(pieces)

    def read(self, size: int) -> Any:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece


# --- opening ---------------------------------------------------------------------------------


@pytest.mark.spec("HTTP-33")
@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (None, None, (0, 2560)),
        (10, None, (10, 2550)),
        (None, 5, (0, 5)),
        (10, 5, (10, 5)),
        (2555, 100, (2555, 5)),
        (2560, None, (2560, 0)),
        (9999, None, (9999, 0)),
        (0, 0, (0, 0)),
    ],
)
def test_offset_and_length_of_a_path(
    path: str, offset: Any, length: Any, expected: tuple[int, int]
) -> None:
    for source in (path, path.encode(), Path(path)):
        file = open_body(source, offset, length)
        assert (file.offset, file.size) == expected
        assert file.descriptor is not None
        file.close()
        assert file.descriptor is None


@pytest.mark.spec("HTTP-33", "CORE-14")
@pytest.mark.parametrize("value", [-1, 1.0, "1", True])
@pytest.mark.parametrize("name", ["offset", "length"])
def test_offset_and_length_that_are_none(path: str, name: str, value: Any) -> None:
    values = {"offset": None, "length": None, name: value}
    with pytest.raises(MessageError, match=f"'{name}' must be a non-negative int"):
        open_body(path, values["offset"], values["length"])


@pytest.mark.spec("HTTP-30", "CORE-14")
@pytest.mark.parametrize("source", [None, 1.5, True, [], object()])
def test_no_file(source: Any) -> None:
    with pytest.raises(MessageError, match="a path or an open binary file"):
        open_body(source, None, None)


@pytest.mark.spec("HTTP-31")
def test_paths_that_cannot_be_opened(tmp_path: Path, path: str) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []

    for wrong in (tmp_path / "missing", tmp_path, fifo, "/dev/null", path + "/x"):
        with pytest.raises(OSError, match=r"No such file|not a regular file|Not a directory"):
            open_body(wrong, None, None)

    after = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    assert len(after) == len(before)


@pytest.mark.spec("HTTP-32", "EXT-10")
def test_handles_and_descriptors_are_not_closed(path: str) -> None:
    with open(path, "rb") as handle:
        for source in (handle, handle.fileno()):
            open_body(source, None, None).close()
            assert not handle.closed
            os.fstat(handle.fileno())


@pytest.mark.spec("HTTP-32")
def test_a_handle_begins_where_it_stands(path: str) -> None:
    with open(path, "rb") as handle:
        handle.read(7)
        file = open_body(handle, None, None)
        assert (file.descriptor, file.offset, file.size) == (handle.fileno(), 7, 2553)
        file = open_body(handle, 100, 1)
        assert (file.offset, file.size) == (100, 1)


def test_what_was_written_to_a_handle_and_not_flushed_is_there(path: str) -> None:
    with open(path, "r+b") as handle:
        handle.seek(0, io.SEEK_END)
        handle.write(b"more")

        file = open_body(handle, 0, None)

        assert file.size == 2564
        assert os.pread(file.descriptor or 0, 4, 2560) == b"more"


def test_files_of_tempfile_are_sent_by_descriptor() -> None:
    with tempfile.NamedTemporaryFile() as handle:
        handle.write(b"abc")
        handle.seek(1)
        file = open_body(handle, None, None)
        assert (file.descriptor, file.offset, file.size) == (handle.fileno(), 1, 2)


@pytest.mark.spec("HTTP-32")
def test_a_descriptor_behind_other_bytes_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"clear"))
    with gzip.open(path) as handle:
        file = open_body(handle, None, None)
        assert (file.descriptor, file.size) == (None, None)
    with gzip.open(path) as handle, io.BufferedReader(handle) as buffered:  # type: ignore[type-var]
        assert open_body(buffered, None, None).descriptor is None


def test_a_file_that_is_closed_has_no_descriptor(path: str) -> None:
    with open(path, "rb") as handle:
        pass
    assert open_body(handle, None, None).descriptor is None


def test_offset_without_seek() -> None:
    with pytest.raises(MessageError, match="'offset' needs a file that can be sought"):
        open_body(Readable(), 5, None)


def test_offset_of_a_pipe(pipe: tuple[int, int]) -> None:
    with pytest.raises(OSError, match="seek"):
        open_body(pipe[0], 5, None)


# --- reading in pieces -----------------------------------------------------------------------


async def pieces(source: Any, offset: Any = None, length: Any = None) -> list[bytes]:
    file = open_body(source, offset, length)
    loop = asyncio.get_running_loop()
    found = []
    while piece := await file.read(loop):
        found.append(piece)
    return found


async def test_pieces_of_a_bytes_io() -> None:
    handle = io.BytesIO(b"x" * (PIECE_SIZE + 5))
    handle.seek(2)
    assert [len(piece) for piece in await pieces(handle)] == [PIECE_SIZE, 3]
    assert await pieces(handle, 1, 3) == [b"xxx"]
    assert await pieces(handle, 1 << 20) == []
    assert open_body(handle, 0, None).size == PIECE_SIZE + 5


@pytest.mark.spec("HTTP-32", "HTTP-33")
async def test_pieces_of_whatever_can_be_read(tmp_path: Path) -> None:
    assert await pieces(Readable(b"a", bytearray(b"b"), memoryview(b"c"))) == [b"a", b"b", b"c"]
    assert await pieces(Readable(b"abc"), length=3) == [b"abc"]
    assert await pieces(Readable(b"ab"), length=100) == [b"ab"]
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"clear text"))
    with gzip.open(path) as handle:
        assert b"".join(await pieces(handle, 2, 5)) == b"ear t"


async def test_pieces_of_a_pipe(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"through")
    os.close(pipe[1])

    assert await pieces(pipe[0]) == [b"through"]
    os.fstat(pipe[0])  # still open


async def test_a_pipe_that_does_not_block(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[0], False)

    with pytest.raises(BlockingIOError, match="blocking mode"):
        await pieces(pipe[0])


@pytest.mark.spec("CORE-14")
async def test_read_that_returns_text() -> None:
    with pytest.raises(MessageError, match=r"read\(\) to return bytes; got 'text'"):
        await pieces(io.StringIO("text"))


# --- what the exchange writes ----------------------------------------------------------------


@pytest.mark.spec("HTTP-31", "HTTP-34", "EXT-8")
async def test_a_path_is_sent_by_descriptor_with_its_length(path: str) -> None:
    for message in (
        file_body(file=path),
        file_body(file=path, more_body=True),
        {"type": "http.response.pathsend", "path": path},
    ):
        scene = await manual()
        await scene.send(START)
        await scene.send(message)

        assert scene.stream.calls == [
            ("write_head", 200, [], 2560, False, 2560),
            ("write_file", 0, 2560),
            ("write_body", b"", True),
            ("response_complete",),
        ]
        assert scene.exchange.sent == 2560
        assert scene.connection.response_complete
        await scene.close()


async def test_a_range_of_a_path(path: str) -> None:
    scene = await manual()
    await scene.send(start(206))
    await scene.send(file_body(file=path, offset=10, length=20))

    assert scene.stream.calls[:2] == [
        ("write_head", 206, [], 20, False, 20),
        ("write_file", 10, 20),
    ]
    await scene.close()


async def test_a_file_after_other_body_and_before_trailers(path: str) -> None:
    scene = await manual()
    await scene.send(start(trailers=True))
    await scene.send(MORE)
    await scene.send(file_body(file=path))
    assert not scene.connection.response_complete
    await scene.send({"type": "http.response.trailers"})

    assert scene.stream.names == [
        *("write_head", "write_body", "flush", "write_file", "write_body", "flush"),
        *("write_trailers", "response_complete"),
    ]
    await scene.close()


async def test_a_file_first_and_then_trailers_has_no_length(path: str) -> None:
    scene = await manual()
    await scene.send(start(trailers=True))
    await scene.send(file_body(file=path))

    assert scene.stream.calls[0] == ("write_head", 200, [], None, True, 2560)
    await scene.close()


@pytest.mark.spec("HTTP-33")
@pytest.mark.parametrize("offset", [2560, 5000])
async def test_nothing_to_send(path: str, offset: int) -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(file_body(file=path, offset=offset))

    assert scene.stream.calls[:2] == [
        ("write_head", 200, [], 0, False, 0),
        ("write_body", b"", True),
    ]
    assert scene.connection.response_complete
    await scene.close()


@pytest.mark.spec("HTTP-35", "HTTP-23")
async def test_head_sends_none_of_a_file(path: str) -> None:
    for source in (path, io.BytesIO(b"abc"), Readable(ZeroDivisionError())):
        scene = await manual(request("HEAD"))
        await scene.send(START)
        key = "file" if source is path else "fh"
        await scene.send(file_body(**{key: source}))

        size = {path: 2560}.get(source) if source is path else open_body(source, None, None).size
        assert scene.stream.calls[:2] == [
            ("write_head", 200, [], size, False, size or 0),
            ("write_body", b"", True),
        ]
        assert scene.exchange.sent == 0
        assert scene.connection.response_complete
        await scene.close()


@pytest.mark.spec("HTTP-30", "CORE-15")
@pytest.mark.parametrize(
    "fields",
    [{"body": b"", "file": "/x"}, {"body": b"", "fh": io.BytesIO()}, {"file": "/x", "fh": None}],
)
async def test_more_than_one_source_is_refused(fields: dict[str, Any]) -> None:
    scene = await manual()
    await scene.send(START)

    with pytest.raises(MessageError, match="takes one of 'body', 'file' and 'fh'"):
        await scene.send(file_body(**fields))

    assert scene.stream.calls == []
    await scene.send(LAST)
    assert scene.connection.response_complete
    await scene.close()


@pytest.mark.spec("HTTP-31")
async def test_a_path_that_cannot_be_opened_leaves_the_scope_as_it_was(tmp_path: Path) -> None:
    scene = await manual()
    await scene.send(start(200))

    for message in (
        file_body(file=str(tmp_path / "missing")),
        file_body(file=str(tmp_path)),
        {"type": "http.response.pathsend", "path": str(tmp_path / "missing")},
    ):
        with pytest.raises(OSError, match="missing|regular"):
            await scene.send(message)

    assert scene.stream.calls == []
    await scene.send(LAST)
    assert scene.connection.response_complete
    await scene.close()


@pytest.mark.spec("CORE-14")
async def test_sends_without_their_file() -> None:
    scene = await manual()
    await scene.send(START)

    for message in ({"type": "http.response.pathsend"}, zerocopy(), file_body(file=None)):
        with pytest.raises(MessageError, match="needs a path or an open binary file"):
            await scene.send(message)

    assert scene.stream.calls == []
    await scene.close()


@pytest.mark.spec("HTTP-22", "CORE-15")
async def test_a_file_that_the_wire_refuses(path: str) -> None:
    scene = await manual()
    await scene.send(START)
    scene.stream.refusals = {"write_head": "the declared length is another"}
    with pytest.raises(MessageError, match="another"):
        await scene.send(file_body(file=path))
    assert not scene.connection.response_started

    await scene.send(START)
    await scene.send(MORE)
    scene.stream.refusals = {"write_file": "longer than declared"}
    with pytest.raises(MessageError, match="longer than declared"):
        await scene.send(file_body(file=path))
    await scene.send(LAST)

    assert scene.connection.response_complete
    await scene.close()


@pytest.mark.spec("HTTP-33", "HTTP-41")
async def test_a_file_that_shrinks_truncates(path: str) -> None:
    scene = await manual()
    await scene.send(START)
    scene.stream.file_limit = 100

    with pytest.raises(OSError, match="ended 2460 bytes early") as raised:
        await scene.send(file_body(file=path))
    await scene.finish(raised.value)

    assert scene.exchange.sent == 100
    assert ("write_body", b"", True) not in scene.stream.calls
    assert scene.stream.calls[-1] == ("reset", "server_error")
    assert scene.connection.disconnect_reason == "server_error"


@pytest.mark.spec("HTTP-35", "HTTP-42")
@pytest.mark.parametrize("limit", [100, 1 << 30])
async def test_a_client_that_leaves_ends_a_file(path: str, limit: int) -> None:
    scene = await manual()
    await scene.send(START)
    scene.stream.file_limit = limit

    sending = asyncio.ensure_future(scene.send(file_body(file=path)))
    await asyncio.sleep(0)
    scene.exchange.disconnected("client_closed")

    with pytest.raises(Disconnected):
        await sending
    assert ("write_body", b"", True) not in scene.stream.calls
    await scene.finish()
    assert scene.log.records == []


@pytest.mark.spec("CORE-24")
async def test_an_abort_while_a_file_is_sent_raises_nothing(path: str) -> None:
    scene = await manual()
    await scene.send(START)

    sending = asyncio.ensure_future(scene.send(file_body(file=path)))
    await asyncio.sleep(0)
    scene.connection.abort()

    await sending
    assert scene.stream.names[-1] == "reset"
    await scene.close()


@pytest.mark.spec("CORE-25")
async def test_a_cancelled_file_is_closed_and_not_completed(path: str) -> None:
    scene = await manual()
    await scene.send(START)
    before = len(os.listdir("/proc/self/fd"))

    sending = asyncio.ensure_future(scene.send(file_body(file=path)))
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    sending.cancel()
    await turns()
    scene.service.files.close()

    assert len(os.listdir("/proc/self/fd")) == before
    assert not scene.connection.response_complete
    await scene.close()


# --- handles ---------------------------------------------------------------------------------


@pytest.mark.spec("HTTP-32")
async def test_a_handle_of_unknown_length_is_sent_in_pieces() -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(file_body(fh=Readable(b"one", b"two")))

    assert scene.stream.calls == [
        ("write_head", 200, [], None, False, 3),
        ("write_body", b"one", False),
        ("flush",),
        ("write_body", b"two", False),
        ("flush",),
        ("write_body", b"", True),
        ("response_complete",),
    ]
    assert scene.exchange.sent == 6
    await scene.close()


async def test_an_empty_handle_is_an_empty_whole_response() -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(file_body(fh=Readable()))

    assert scene.stream.calls[0] == ("write_response", 200, [], b"")
    await scene.close()


async def test_bytes_io_has_a_length() -> None:
    scene = await manual()
    await scene.send(START)
    await scene.send(file_body(fh=io.BytesIO(b"abc"), offset=1))

    assert scene.stream.calls[:2] == [
        ("write_head", 200, [], 2, False, 2),
        ("write_body", b"bc", False),
    ]
    await scene.close()


@pytest.mark.spec("HTTP-31")
async def test_a_handle_whose_first_read_fails_can_still_be_answered_otherwise() -> None:
    scene = await manual()
    await scene.send(START)

    with pytest.raises(OSError, match="disk"):
        await scene.send(file_body(fh=Readable(OSError("disk"))))
    assert scene.stream.calls == []
    await scene.send(LAST)

    assert scene.connection.response_complete
    await scene.close()


async def test_a_handle_whose_second_read_fails_truncates() -> None:
    scene = await manual()
    await scene.send(START)

    with pytest.raises(OSError, match="disk") as raised:
        await scene.send(file_body(fh=Readable(b"a", OSError("disk"))))
    await scene.finish(raised.value)

    assert scene.stream.calls[-1] == ("reset", "server_error")


@pytest.mark.spec("CORE-23", "HTTP-34")
async def test_pieces_wait_for_a_slow_client() -> None:
    scene = await manual()
    await scene.send(START)
    scene.stream.writable = False
    source = Readable(b"one", b"two")

    sending = asyncio.ensure_future(scene.send(file_body(fh=source)))
    async with asyncio.timeout(5):
        while "drain" not in scene.stream.names:
            await asyncio.sleep(0.001)
    assert source.pieces == [b"two"]
    scene.stream.resume()
    await sending

    assert scene.stream.sent == b"onetwo"
    await scene.close()


@pytest.mark.spec("HTTP-35")
async def test_a_client_that_leaves_ends_pieces() -> None:
    scene = await manual()
    await scene.send(START)
    scene.stream.writable = False
    source = Readable(b"one", b"two", b"three")

    sending = asyncio.ensure_future(scene.send(file_body(fh=source)))
    async with asyncio.timeout(5):
        while "drain" not in scene.stream.names:
            await asyncio.sleep(0.001)
    scene.exchange.disconnected("client_closed")
    scene.stream.resume()

    with pytest.raises(Disconnected):
        await sending
    assert source.pieces == [b"three"]
    await scene.finish()
    assert scene.log.records == []


# --- zerocopysend ----------------------------------------------------------------------------


@pytest.mark.spec("EXT-9", "EXT-10")
async def test_two_in_a_row_go_on_where_the_file_stands(path: str) -> None:
    for by_descriptor in (False, True):
        scene = await manual()
        await scene.send(START)
        with open(path, "rb") as handle:
            source = handle.fileno() if by_descriptor else handle
            await scene.send(zerocopy(file=source, count=100, more_body=True))
            await scene.send(body(b"-", more_body=True))
            await scene.send(zerocopy(file=source, count=100, more_body=True))
            await scene.send(zerocopy(file=source, offset=7, count=3, more_body=True))
            assert handle.tell() == 200
            await scene.send(zerocopy(file=source))

            assert handle.tell() == 2560
        files = [call for call in scene.stream.calls if call[0] == "write_file"]
        assert files == [
            ("write_file", 0, 100),
            ("write_file", 100, 100),
            ("write_file", 7, 3),
            ("write_file", 200, 2360),
        ]
        assert scene.stream.calls[0] == ("write_head", 200, [], None, False, 100)
        assert scene.connection.response_complete
        await scene.close()


@pytest.mark.spec("EXT-9")
async def test_the_position_moves_past_what_was_sent_and_no_further(path: str) -> None:
    scene = await manual()
    await scene.send(START)
    scene.stream.file_limit = 50

    with open(path, "rb") as handle:
        with pytest.raises(OSError, match="early"):
            await scene.send(zerocopy(file=handle))
        assert handle.tell() == 50
    await scene.finish()


@pytest.mark.spec("EXT-10")
async def test_more_body_with_nothing_left_to_send(path: str) -> None:
    scene = await manual()
    await scene.send(START)
    with open(path, "rb") as handle:
        await scene.send(zerocopy(file=handle, count=0, more_body=True))
        assert not scene.connection.response_complete
        await scene.send(LAST)

    assert scene.stream.calls[0] == ("write_head", 200, [], None, False, 0)
    assert scene.stream.sent == b"bye"
    await scene.close()
