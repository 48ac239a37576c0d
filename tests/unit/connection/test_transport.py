"""What an asyncio transport promises a protocol: beginning, reading, the end.

Writing is in test_transport_writing.py; that all of it is as in asyncio, in
test_transport_same.py.
"""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.unit.connection.pairs import (
    ALL,
    BUFFER_SIZE,
    EPOLLS,
    OURS,
    TELL_RESETS,
    Notes,
    Scene,
    pattern,
    reset,
    turns,
    until,
)

FAMILIES = ["unix", "tcp"]


@pytest.fixture(params=ALL)
def kind(request: pytest.FixtureRequest) -> str:
    """Every twin with every poller, and asyncio's own where it is the loop."""
    return str(request.param)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ----------------------------------------------------------------- from beginning to end


async def test_the_callbacks_come_in_order_and_the_end_once(kind: str, family: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(family)
        assert pair.notes.calls == ["made"]
        pair.peer.send(b"hello")
        await until(lambda: pair.notes.data)
        pair.peer.close()
        await until(lambda: pair.notes.lost)
        pair.transport.close()
        pair.transport.abort()
        await turns()
        assert pair.notes.calls == ["made", b"hello", "eof", ("lost", None)]
        assert pair.sock.fileno() == -1


async def test_the_end_is_told_after_the_caller_returned(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        pair.transport.close()
        assert not pair.notes.lost
        assert pair.transport.is_closing()
        await until(lambda: pair.notes.lost)
        assert pair.notes.error is None


@pytest.mark.parametrize("kind", OURS)  # asyncio's writelines fails then in 3.13
@pytest.mark.parametrize("end", ["close", "abort"])
async def test_nothing_is_called_after_the_end(kind: str, family: str, end: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(family)
        pair.peer.send(b"too late")
        getattr(pair.transport, end)()
        pair.transport.resume_reading()
        await turns()
        assert pair.notes.calls == ["made", ("lost", None)]
        transport = pair.transport
        transport.write(b"x")
        transport.writelines([b"x", b"y"])
        transport.pause_reading()
        transport.resume_reading()
        transport.close()
        transport.abort()
        transport.write_eof()
        transport.set_write_buffer_limits(high=0, low=0)
        assert transport.is_closing()
        assert not transport.is_reading()
        assert transport.get_write_buffer_size() == 0
        await turns()
        assert pair.notes.calls == ["made", ("lost", None)]


async def test_paused_when_lost_it_is_not_resumed(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True)
        pair.transport.set_write_buffer_limits(high=0, low=0)
        pair.fill()
        pair.transport.abort()
        pair.transport.set_write_buffer_limits(high=10, low=5)
        await turns()
        pair.transport.set_write_buffer_limits(high=20, low=10)
        assert pair.notes.calls == ["made", "pause", ("lost", None)]


# ----------------------------------------------------------------- reading


async def test_bytes_arrive_whole_and_in_order(kind: str, family: str) -> None:
    data = pattern(1_000_000)
    async with Scene(kind) as scene:
        pair = await scene.pair(family)
        sent = 0
        while sent < len(data):
            try:
                sent += pair.peer.send(data[sent:])
            except BlockingIOError:
                await asyncio.sleep(0)
        pair.peer.close()
        await until(lambda: pair.notes.lost)
        assert pair.notes.data == data
        assert pair.notes.names == ["made", "data", "eof", "lost"]


async def test_nothing_is_delivered_while_paused(kind: str, family: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(family)
        pair.peer.send(b"first")
        await until(lambda: pair.notes.data)
        pair.transport.pause_reading()
        assert not pair.transport.is_reading()
        pair.peer.send(b"second")
        pair.peer.shutdown(socket.SHUT_WR)
        await turns()
        assert pair.notes.calls == ["made", b"first"]
        assert scene.idle()
        pair.transport.resume_reading()
        assert pair.transport.is_reading()
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls == ["made", b"first", b"second", "eof", ("lost", None)]


async def test_pausing_and_resuming_twice_is_once(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        pair.transport.resume_reading()
        pair.transport.pause_reading()
        pair.transport.pause_reading()
        pair.peer.send(b"x")
        await turns()
        assert pair.notes.calls == ["made"]
        pair.transport.resume_reading()
        pair.transport.resume_reading()
        await until(lambda: pair.notes.data)
        assert pair.notes.calls == ["made", b"x"]


async def test_a_pause_between_two_reads(kind: str) -> None:
    def pause(notes: Notes) -> None:
        notes.transport.pause_reading()

    async with Scene(kind) as scene:
        pair = await scene.pair("unix", data=pause)
        pair.peer.setblocking(True)
        data = pattern(150_000)
        pair.peer.settimeout(10)
        done = asyncio.get_running_loop().run_in_executor(None, pair.peer.sendall, data)
        reads = 0
        while pair.notes.data != data:
            await until(lambda: not pair.transport.is_reading())
            await turns(5)
            reads += 1
            assert len(pair.notes.calls) == 1 + reads
            pair.transport.resume_reading()
        await done


async def test_paused_at_the_beginning(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(made=lambda notes: notes.transport.pause_reading())
        pair.peer.send(b"x")
        await turns()
        assert pair.notes.calls == ["made"]
        pair.transport.resume_reading()
        await until(lambda: pair.notes.data)


async def test_the_end_of_the_peers_bytes_may_keep_the_connection(kind: str, family: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(family)
        pair.notes.keep_open = True
        pair.peer.send(b"question")
        pair.peer.shutdown(socket.SHUT_WR)
        await until(lambda: "eof" in pair.notes.calls)
        await turns()
        assert pair.notes.calls == ["made", b"question", "eof"]
        assert not pair.transport.is_closing()
        assert scene.idle()
        pair.transport.write(b"answer")
        assert await pair.receive(6) == b"answer"
        pair.transport.close()
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls == ["made", b"question", "eof", ("lost", None)]


@pytest.mark.parametrize("kind", OURS)
async def test_the_end_of_the_peers_bytes_is_told_once(kind: str) -> None:
    # asyncio tells it again.
    async with Scene(kind) as scene:
        pair = await scene.pair()
        pair.notes.keep_open = True
        pair.peer.shutdown(socket.SHUT_WR)
        await until(lambda: "eof" in pair.notes.calls)
        pair.transport.pause_reading()
        pair.transport.resume_reading()
        await turns()
        assert pair.notes.calls == ["made", "eof"]
        assert scene.idle()


async def test_both_sides_closed_for_sending_is_no_end(kind: str, family: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(family)
        pair.notes.keep_open = True
        pair.transport.write_eof()
        pair.peer.shutdown(socket.SHUT_WR)
        await until(lambda: "eof" in pair.notes.calls)
        await turns()
        assert pair.notes.calls == ["made", "eof"]
        assert scene.idle()
        pair.transport.close()
        await until(lambda: pair.notes.lost)
        assert pair.notes.error is None


async def test_both_sides_closed_for_sending_while_paused(kind: str, family: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(family)
        pair.transport.pause_reading()
        pair.transport.write_eof()
        pair.peer.send(b"last words")
        pair.peer.shutdown(socket.SHUT_WR)
        await turns()
        assert pair.notes.calls == ["made"]
        assert scene.idle()
        pair.transport.resume_reading()
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls == ["made", b"last words", "eof", ("lost", None)]


# ----------------------------------------------------------------- the peer goes away


async def test_a_reset_while_reading(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        reset(pair.peer)
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls == ["made", ("lost", ConnectionResetError)]
        assert scene.idle()


@pytest.mark.parametrize("kind", TELL_RESETS)
async def test_bytes_before_a_reset_come_first(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        pair.peer.send(b"x" * 10_000)
        reset(pair.peer)
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls == ["made", b"x" * 10_000, ("lost", ConnectionResetError)]


@pytest.mark.parametrize("kind", TELL_RESETS)
async def test_more_bytes_than_one_read_takes_before_a_reset(kind: str) -> None:
    data = pattern(BUFFER_SIZE + 10_000)
    async with Scene(kind) as scene:
        pair = await scene.pair(made=lambda notes: notes.transport.pause_reading())
        sent = 0
        while sent < len(data):
            sent += pair.peer.send(data[sent:])
        reset(pair.peer)
        pair.transport.resume_reading()
        await until(lambda: pair.notes.lost)
        assert pair.notes.data == data
        assert pair.notes.names == ["made", "data", "lost"]


@pytest.mark.parametrize("kind", TELL_RESETS)
async def test_bytes_before_a_reset_wait_for_a_paused_protocol(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        pair.transport.pause_reading()
        pair.peer.send(b"before")
        reset(pair.peer)
        await turns()
        assert pair.notes.calls == ["made"]
        assert scene.idle()
        pair.transport.resume_reading()
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls == ["made", b"before", ("lost", ConnectionResetError)]


async def test_bytes_before_a_full_close_wait_for_a_paused_protocol(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair("unix")  # where a close shows as EPOLLHUP at once
        pair.transport.pause_reading()
        pair.peer.send(b"before")
        pair.peer.close()
        await turns()
        assert pair.notes.calls == ["made"]
        assert scene.idle()
        pair.transport.resume_reading()
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls == ["made", b"before", "eof", ("lost", None)]


@pytest.mark.parametrize("kind", EPOLLS)
async def test_a_reset_is_noticed_while_paused_if_nothing_is_left_to_read(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        pair.transport.pause_reading()
        reset(pair.peer)
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls == ["made", ("lost", ConnectionResetError)]


@pytest.mark.parametrize("kind", EPOLLS)
async def test_a_reset_after_the_end_of_the_bytes_is_noticed(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        pair.notes.keep_open = True
        pair.peer.shutdown(socket.SHUT_WR)
        await until(lambda: "eof" in pair.notes.calls)
        reset(pair.peer)
        await until(lambda: pair.notes.lost)
        assert pair.notes.names == ["made", "eof", "lost"]
        assert issubclass(pair.notes.error, ConnectionError)


@pytest.mark.parametrize("kind", EPOLLS)
async def test_a_peer_that_has_gone_is_noticed_after_the_end_of_its_bytes(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair("unix")
        pair.notes.keep_open = True
        pair.peer.shutdown(socket.SHUT_WR)
        await until(lambda: "eof" in pair.notes.calls)
        await turns()
        assert not pair.notes.lost
        pair.peer.close()
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls == ["made", "eof", ("lost", ConnectionResetError)]


async def test_a_reset_while_paused_is_learned_when_reading_on(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        pair.transport.pause_reading()
        reset(pair.peer)
        pair.transport.resume_reading()
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls == ["made", ("lost", ConnectionResetError)]


@pytest.mark.parametrize("kind", TELL_RESETS)
async def test_a_reset_with_a_backlog_after_bytes(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True)
        pair.fill()
        pair.peer.send(b"before")
        reset(pair.peer)
        await until(lambda: pair.notes.lost)
        assert pair.notes.names == ["made", "data", "lost"]
        assert issubclass(pair.notes.error, ConnectionError)
        assert pair.backlog == 0


async def test_a_reset_with_a_backlog_while_paused(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True)
        pair.transport.pause_reading()
        pair.fill()
        reset(pair.peer)
        await until(lambda: pair.notes.lost)
        assert pair.notes.names == ["made", "lost"]
        assert issubclass(pair.notes.error, ConnectionError)


async def test_a_reset_is_noticed_by_writing(kind: str, family: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(family, made=lambda notes: notes.transport.pause_reading())
        if family == "tcp":
            reset(pair.peer)
        else:
            pair.peer.close()
        pair.transport.write(b"x")
        pair.transport.write(b"y")
        assert not pair.notes.lost
        await until(lambda: pair.notes.lost)
        assert pair.notes.names == ["made", "lost"]
        assert issubclass(pair.notes.error, ConnectionError)


async def test_a_reset_while_closing_with_a_backlog(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(small=True)
        pair.fill()
        pair.transport.close()
        pair.peer.send(b"ignored")
        reset(pair.peer)
        await until(lambda: pair.notes.lost)
        assert pair.notes.names == ["made", "lost"]
