"""Writing: at once or later, in order, whole; flow control; the end of our bytes."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Iterator

import pytest

from tests.unit.connection.pairs import (
    ALL,
    OURS,
    Notes,
    Pair,
    Scene,
    pattern,
    receive_all,
    reset,
    turns,
    until,
)

#: Where asyncio does otherwise, in all versions or since it has written pieces by sendmsg.
OURS_ONLY = pytest.mark.parametrize("kind", OURS)


@pytest.fixture(params=ALL)
def kind(request: pytest.FixtureRequest) -> str:
    """Every twin with every poller, and asyncio's own where it is the loop."""
    return str(request.param)


@pytest.fixture(params=["unix", "tcp"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ----------------------------------------------------------------- bytes


async def test_what_is_written_leaves_at_once(kind: str, family: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(family)
        pair.transport.write(b"one")
        assert pair.peer.recv(100) == b"one"
        pair.transport.writelines([b"two", b"", b"three"])
        assert pair.peer.recv(100) == b"twothree"
        assert pair.backlog == 0
        assert scene.idle()


@OURS_ONLY
async def test_nothing_may_be_written(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        pair.transport.write(b"")
        pair.transport.writelines([])
        pair.transport.writelines([b"", b""])
        pair.fill()
        size = pair.backlog
        pair.transport.write(b"")
        pair.transport.writelines([b"", b""])
        assert pair.backlog == size
        assert pair.notes.names in (["made"], ["made", "pause"])


async def test_more_than_the_system_takes(kind: str, family: str) -> None:
    data = pattern(1_000_000)
    async with Scene(kind) as scene:
        pair = await scene.pair(family, small=True)
        pair.transport.write(data)
        assert 0 < pair.backlog < len(data)
        assert await pair.receive(len(data)) == data
        await until(lambda: pair.backlog == 0)
        await turns()
        assert scene.idle()
        assert pair.notes.calls == ["made", "pause", "resume"]


@pytest.mark.parametrize("count", [1, 15, 16, 17, 100])
@pytest.mark.parametrize("size", [1, 999, 30_000])
async def test_many_pieces(kind: str, count: int, size: int) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True)
        data = pattern(count * size)
        pieces = [data[begin : begin + size] for begin in range(0, len(data), size)]
        for place in range(0, len(pieces), 3):
            pieces.insert(place, b"")
        pair.transport.writelines(iter(pieces))
        assert await pair.receive(len(data)) == data
        await until(lambda: pair.backlog == 0)


@OURS_ONLY
async def test_pieces_after_a_backlog(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True)
        first = pair.fill()
        size = pair.backlog
        pieces = [b"%06d" % number for number in range(50)]
        pair.transport.writelines([*pieces, b""])
        assert pair.backlog == size + 300
        pair.transport.write(b"last")
        whole = first + b"".join(pieces) + b"last"
        assert await pair.receive(len(whole)) == whole
        await until(lambda: pair.backlog == 0)


@OURS_ONLY
async def test_pieces_that_fail_to_come_are_not_sent(kind: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    async with Scene(kind) as scene:
        pair = await scene.pair()
        with pytest.raises(ZeroDivisionError):
            pair.transport.writelines(pieces())
        assert pair.backlog == 0
        pair.transport.write(b"y")
        assert pair.peer.recv(10) == b"y"


async def test_any_sizes_in_any_order(kind: str, family: str) -> None:
    chance = random.Random(4)
    async with Scene(kind) as scene:
        pair = await scene.pair(family, small=True)
        sent, got = [], []
        for _ in range(300):
            pieces = [os.urandom(chance.choice([0, 1, 100, 5_000])) for _ in range(3)]
            sent += pieces
            if chance.random() < 0.5:
                pair.transport.writelines(pieces)
            else:
                for piece in pieces:
                    pair.transport.write(piece)
            if chance.random() < 0.5:
                got.append(receive_all(pair.peer))
                await asyncio.sleep(0)
        whole = b"".join(sent)
        got.append(await pair.receive(len(whole) - sum(map(len, got))))
        assert b"".join(got) == whole


# ----------------------------------------------------------------- flow control


async def drained(pair: Pair, size: int) -> None:
    """Let the peer read until at most ``size`` bytes are buffered."""
    while pair.backlog > size:
        try:
            pair.peer.recv(2_000)
        except BlockingIOError:
            pass
        await asyncio.sleep(0)


async def test_a_pause_comes_above_the_high_mark_and_not_at_it(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True)
        pair.transport.set_write_buffer_limits(high=1_000_000, low=0)
        pair.fill()
        pair.transport.set_write_buffer_limits(high=pair.backlog + 10, low=5)
        assert pair.transport.get_write_buffer_limits() == (5, pair.backlog + 10)
        pair.transport.write(b"x" * 10)
        assert pair.notes.calls == ["made"]
        pair.transport.write(b"x")
        assert pair.notes.calls == ["made", "pause"]
        pair.transport.write(b"x")
        pair.transport.writelines([b"x", b"y"])
        assert pair.notes.calls == ["made", "pause"]


async def test_a_resume_comes_at_the_low_mark(kind: str) -> None:
    seen: list[int] = []

    def look(notes: Notes) -> None:
        seen.append(notes.transport.get_write_buffer_size())

    async with Scene(kind) as scene:
        pair = await scene.pair(small=True, pause=look, resume=look)
        pair.transport.set_write_buffer_limits(high=500_000, low=100_000)
        pair.transport.write(bytes(900_000))
        assert pair.notes.calls == ["made", "pause"]
        await drained(pair, 100_000)
        assert pair.notes.calls == ["made", "pause", "resume"]
        assert seen[0] > 500_000
        assert 0 < seen[1] <= 100_000
        pair.transport.write(bytes(500_000))
        assert pair.notes.calls == ["made", "pause", "resume", "pause"]
        await drained(pair, 0)
        assert pair.notes.calls == ["made", "pause", "resume", "pause", "resume"]


async def test_exactly_at_the_low_mark(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True)
        pair.transport.set_write_buffer_limits(high=0, low=0)
        pair.fill()
        assert pair.notes.calls == ["made", "pause"]
        await drained(pair, 1)
        await drained(pair, 0)
        await turns()
        assert pair.notes.calls == ["made", "pause", "resume"]
        pair.transport.write(b"x")
        assert pair.notes.calls == ["made", "pause", "resume"]


async def test_lower_marks_pause_at_once(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True)
        pair.transport.set_write_buffer_limits(high=1_000_000)
        assert pair.transport.get_write_buffer_limits() == (250_000, 1_000_000)
        pair.fill()
        assert pair.notes.calls == ["made"]
        pair.transport.set_write_buffer_limits(high=pair.backlog - 1, low=0)
        assert pair.notes.calls == ["made", "pause"]


@OURS_ONLY
async def test_higher_marks_resume_at_once(kind: str) -> None:
    # asyncio's do not, and the protocol would wait for what has happened.
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True)
        pair.transport.set_write_buffer_limits(high=0)
        pair.fill()
        pair.transport.set_write_buffer_limits(high=1_000_000, low=pair.backlog - 1)
        assert pair.notes.calls == ["made", "pause"]
        pair.transport.set_write_buffer_limits(high=1_000_000, low=pair.backlog)
        assert pair.notes.calls == ["made", "pause", "resume"]


async def test_marks_have_defaults_and_an_order(kind: str) -> None:
    async with Scene(kind) as scene:
        transport = (await scene.pair()).transport
        assert transport.get_write_buffer_limits() == (16_384, 65_536)
        transport.set_write_buffer_limits(low=100)
        assert transport.get_write_buffer_limits() == (100, 400)
        transport.set_write_buffer_limits()
        assert transport.get_write_buffer_limits() == (16_384, 65_536)
        for high, low in ((1, 2), (-1, -1), (5, -1)):
            with pytest.raises(ValueError, match="high"):
                transport.set_write_buffer_limits(high=high, low=low)
        assert transport.get_write_buffer_limits() == (16_384, 65_536)


def fail(notes: Notes) -> None:
    raise ZeroDivisionError


async def test_a_protocol_that_fails_to_pause_harms_nothing(kind: str) -> None:
    data = pattern(400_000)
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True, pause=fail)
        pair.transport.write(data)
        assert type(scene.take_error()) is ZeroDivisionError
        assert await pair.receive(len(data)) == data
        await until(lambda: "resume" in pair.notes.calls)
        assert pair.notes.calls == ["made", "pause", "resume"]


async def test_a_protocol_that_fails_to_resume_harms_nothing(kind: str) -> None:
    data = pattern(400_000)
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True, resume=fail)
        pair.transport.write(data)
        pair.transport.close()
        assert await pair.receive_to_end() == data
        await until(lambda: pair.notes.lost)
        assert type(scene.take_error()) is ZeroDivisionError
        assert pair.notes.calls == ["made", "pause", "resume", ("lost", None)]


# ----------------------------------------------------------------- the end of our bytes


async def test_closing_sends_all_first(kind: str, family: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(family, small=True)
        data = pair.fill() + pattern(100_000)
        pair.transport.write(data[-100_000:])
        pair.transport.close()
        assert pair.transport.is_closing()
        assert not pair.transport.is_reading()
        if family == "unix":  # with TCP, unread bytes make a reset of the end
            pair.peer.send(b"unheard")
        await turns()
        assert not pair.notes.lost
        assert (await pair.receive(len(data))) == data
        await until(lambda: pair.notes.lost)
        assert pair.notes.error is None
        assert "data" not in pair.notes.names


@OURS_ONLY
async def test_after_closing_nothing_more_is_taken(kind: str) -> None:
    # asyncio's send it, if something else waits.
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True)
        data = pair.fill()
        pair.transport.close()
        pair.transport.write(b"late")
        pair.transport.writelines([b"late", b"late"])
        pair.transport.write_eof()
        assert await pair.receive_to_end() == data
        await until(lambda: pair.notes.lost)


async def test_aborting_drops_what_waits(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair("unix", small=True)
        data = pair.fill()
        waiting = pair.backlog
        pair.transport.abort()
        assert pair.backlog == 0
        await until(lambda: pair.notes.lost)
        assert pair.notes.error is None
        assert await pair.receive_to_end() == data[:-waiting]


async def test_the_end_of_our_bytes(kind: str, family: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(family)
        assert pair.transport.can_write_eof()
        pair.transport.write(b"all")
        pair.transport.write_eof()
        pair.transport.write_eof()
        assert await pair.receive_to_end() == b"all"
        pair.peer.send(b"answer")
        await until(lambda: pair.notes.data == b"answer")
        with pytest.raises(RuntimeError, match="write_eof"):
            pair.transport.write(b"more")
        with pytest.raises(RuntimeError, match="write_eof"):
            pair.transport.writelines([b"more", b"more"])
        pair.peer.close()
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls == ["made", b"answer", "eof", ("lost", None)]


async def test_the_end_of_our_bytes_after_a_backlog(kind: str, family: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(family, small=True)
        data = pair.fill()
        pair.transport.write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            pair.transport.write(b"more")
        assert await pair.receive_to_end() == data
        await turns()
        assert not pair.notes.lost
        assert scene.idle()
        pair.transport.close()
        await until(lambda: pair.notes.lost)
        assert pair.notes.error is None


@OURS_ONLY
async def test_the_end_of_our_bytes_from_a_resumed_protocol(kind: str) -> None:
    """The peer's last acknowledgement closes the socket, which then cannot be shut down again."""
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True, resume=lambda notes: notes.transport.write_eof())
        pair.notes.keep_open = True
        pair.transport.set_write_buffer_limits(high=0)
        data = pair.fill()
        pair.peer.shutdown(socket.SHUT_WR)
        assert await pair.receive_to_end() == data
        await turns()
        assert sorted(pair.notes.names) == ["eof", "made", "pause", "resume"]
        assert scene.errors == []


async def test_the_end_of_our_bytes_to_a_peer_that_has_gone(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(made=lambda notes: notes.transport.pause_reading())
        reset(pair.peer)
        with pytest.raises(OSError, match="not connected"):
            pair.transport.write_eof()


async def test_text_cannot_be_written(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        with pytest.raises(TypeError):
            pair.transport.write("x")
        pair.transport.write(b"y")
        assert pair.peer.recv(10) == b"y"
