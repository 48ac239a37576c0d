"""Pollers: whom they tell, in which order, and that nothing old is told to somebody new."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pagi.server.connection.driver import GROUP
from tests.unit.connection.pairs import (
    EPOLLS,
    OURS,
    Notes,
    Pair,
    Scene,
    part,
    pattern,
    reset,
    sockets,
    turns,
    until,
)


@pytest.fixture(params=OURS)
def kind(request: pytest.FixtureRequest) -> str:
    """Every twin with every poller."""
    return str(request.param)


async def pairs(scene: Scene, count: int) -> list[Pair]:
    return [await scene.pair("unix") for _ in range(count)]


async def all_lost(every: list[Pair]) -> None:
    await until(lambda: all(pair.notes.lost for pair in every))


async def test_who_ended_in_between_hears_nothing(kind: str) -> None:
    async with Scene(kind) as scene:
        every = await pairs(scene, 10)

        def abort_all(notes: Notes) -> None:
            for pair in every:
                pair.transport.abort()

        for pair in every:
            pair.notes.hooks["data"] = abort_all
            pair.peer.send(b"x")
        await all_lost(every)
        heard = [pair.notes.calls for pair in every]
        assert sorted(map(len, heard)) == [2] * 9 + [3]


async def test_who_paused_in_between_hears_nothing(kind: str) -> None:
    async with Scene(kind) as scene:
        every = await pairs(scene, 10)

        def pause_others(notes: Notes) -> None:
            for pair in every:
                if pair.notes is not notes:
                    pair.transport.pause_reading()

        for pair in every:
            pair.notes.hooks["data"] = pause_others
            pair.peer.send(b"x")
        await turns()
        assert sum(bool(pair.notes.data) for pair in every) == 1
        for pair in every:
            pair.notes.hooks.clear()
            pair.transport.resume_reading()
        await until(lambda: all(pair.notes.data == b"x" for pair in every))


async def test_a_descriptor_that_is_used_again_at_once(kind: str) -> None:
    """What was ready on the old socket is not told to the transport of the new one."""
    async with Scene(kind) as scene:
        old = await scene.pair("unix")
        number = old.sock.fileno()
        old.peer.send(b"old")
        old.transport.abort()
        await until(lambda: old.sock.fileno() == -1)
        ours, peer = sockets("unix")
        if ours.fileno() != number:
            ours = socket.socket(fileno=os.dup2(ours.detach(), number))
            ours.setblocking(False)
        notes = Notes()
        new = Pair(notes, ours, peer)
        scene.pairs.append(new)
        scene.open(notes, ours)
        await turns()
        assert notes.calls == ["made"]
        peer.send(b"new")
        await until(lambda: notes.data)
        assert notes.calls == ["made", b"new"]
        assert old.notes.calls == ["made", ("lost", None)]


async def test_many_connections_come_and_go(kind: str) -> None:
    """Descriptors are reused while others are served, and every byte reaches its own protocol."""
    async with Scene(kind) as scene:
        for turn in range(30):
            every = await pairs(scene, 8)
            for number, pair in enumerate(every):
                pair.notes.hooks["data"] = lambda notes: notes.transport.write(notes.data)
                pair.peer.send(b"%d.%d" % (turn, number))
            for number, pair in enumerate(every):
                expected = b"%d.%d" % (turn, number)
                assert await pair.receive(len(expected)) == expected
                if number % 3 == 0:
                    pair.transport.abort()
                elif number % 3 == 1:
                    pair.peer.close()
                else:
                    pair.transport.close()
            await all_lost(every)
            for pair in every:
                pair.peer.close()
            scene.pairs.clear()


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Enough descriptors for both ends of a thousand connections."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = limits
    wanted = max(soft, 3000)
    resource.setrlimit(
        resource.RLIMIT_NOFILE,
        (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard),
    )
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("descriptors")
@pytest.mark.parametrize("kind", EPOLLS)
async def test_others_have_their_turn_between_groups(kind: str) -> None:
    count = 1000
    async with Scene(kind) as scene:
        order: list[str] = []
        every = await pairs(scene, count)
        for pair in every:
            pair.notes.hooks["data"] = lambda notes: order.append("data")
            pair.peer.send(b"x")

        def other() -> None:
            order.append("other")
            if order.count("data") < count:
                scene.loop.call_soon(other)

        scene.loop.call_soon(other)
        await until(lambda: order[-1:] == ["other"] and order.count("data") == count)
    groups = "".join("d" if each == "data" else " " for each in order).split()
    assert max(map(len, groups)) <= GROUP
    assert len(groups) >= count // GROUP


@pytest.mark.parametrize("kind", EPOLLS)
async def test_who_has_much_does_not_hold_up_others(kind: str) -> None:
    """Level-triggered, each gets one read, then it is the others' turn."""
    async with Scene(kind) as scene:
        greedy = await scene.pair("unix")
        greedy.notes.hooks["data"] = lambda notes: greedy.peer.send(bytes(100_000))
        greedy.peer.send(bytes(100_000))
        await until(lambda: len(greedy.notes.calls) > 10)
        every = await pairs(scene, 2 * GROUP)
        before = len(greedy.notes.calls)
        for pair in every:
            pair.peer.send(b"x")
        await until(lambda: all(pair.notes.data for pair in every))
        assert len(greedy.notes.calls) - before < 10


@pytest.mark.parametrize("kind", EPOLLS)
async def test_the_batch_is_collected_and_served(kind: str) -> None:
    seen: list[bool] = []
    async with Scene(kind) as scene:
        pair = await scene.pair(data=lambda notes: seen.append(scene.batch.collecting))
        pair.peer.send(b"x")
        await until(lambda: pair.notes.data)
        assert seen == [True]
        assert not scene.batch.collecting


class Stop(BaseException):
    """What no part of the server may keep."""


# The compiled poller keeps its method to itself.
@pytest.mark.parametrize("kind", ["py-epoll"])
async def test_what_stops_the_loop_goes_through(kind: str) -> None:
    def stop(notes: Notes) -> None:
        raise Stop

    async with Scene(kind) as scene:
        every = await pairs(scene, 3)
        stopped: list[Any] = []

        def serve() -> None:
            try:
                scene.poller._serve()
            except Stop as exc:
                stopped.append(exc)

        every[1].notes.hooks["data"] = stop
        for pair in every:
            pair.peer.send(b"x")
        serve()
        assert len(stopped) == 1
        assert not scene.batch.collecting
        every[1].notes.hooks.clear()
        await until(lambda: all(pair.notes.data for pair in every))


async def test_what_stops_the_loop_leaves_nobody_unserved() -> None:
    class Batch:
        collecting = False
        served = 0

        def serve(self) -> None:
            self.served += 1

    def stop(notes: Notes) -> None:
        raise Stop

    loop = asyncio.get_running_loop()
    batch: Any = Batch()
    poller = part("py", "poller").Poller(loop, batch)
    ours, peer = sockets("unix")
    part("py", "transport").SocketTransport(poller, ours, Notes(data=stop), bytearray(100)).open()
    peer.send(b"x")
    with pytest.raises(Stop):
        poller._serve()
    assert batch.served == 0
    poller.close()
    await turns(2)
    assert batch.served == 1
    ours.close()
    peer.close()


async def test_what_it_does_not_know(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        pair.transport.abort()
        scene.poller.forget(pair.transport)
        scene.poller.change(pair.transport)
        await until(lambda: pair.notes.lost)


async def test_after_it_was_closed(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        scene.poller.close()
        scene.poller.close()
        pair.transport.pause_reading()
        pair.transport.resume_reading()
        pair.transport.abort()
        await until(lambda: pair.notes.lost)
        assert pair.notes.calls == ["made", ("lost", None)]


async def test_it_leaves_no_descriptor(kind: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    async with Scene(kind) as scene:
        await scene.pair()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("kind", EPOLLS)
async def test_a_socket_that_somebody_else_closed(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        pair.sock.close()
        pair.transport.write(b"x")
        pair.transport.abort()
        await until(lambda: pair.notes.lost)
        assert pair.notes.names == ["made", "lost"]


async def test_an_end_within_an_end(kind: str) -> None:
    async with Scene(kind) as scene:
        first, second = await pairs(scene, 2)
        first.notes.hooks["lost"] = lambda notes: second.transport.abort()
        first.peer.close()
        await until(lambda: second.notes.lost)
        assert first.notes.calls == ["made", "eof", ("lost", None)]
        assert second.notes.calls == ["made", ("lost", None)]


async def test_a_failing_end_does_not_keep_others_from_theirs(kind: str) -> None:
    def fail(notes: Notes) -> None:
        raise ZeroDivisionError

    async with Scene(kind) as scene:
        every = await pairs(scene, 5)
        for pair in every:
            pair.notes.hooks["lost"] = fail
            pair.peer.close()
        await all_lost(every)
        await turns()
        assert [type(error) for error in scene.errors] == [ZeroDivisionError] * 5
        scene.errors.clear()
        assert all(pair.sock.fileno() == -1 for pair in every)


async def test_signals_interrupt_nothing(kind: str) -> None:
    rang: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rang.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        data = pattern(300_000)
        async with Scene(kind) as scene:
            pair = await scene.pair(
                small=True, data=lambda notes: notes.transport.write(notes.calls[-1])
            )
            sent, got = 0, b""
            while len(got) < len(data) or len(rang) < 20:
                if sent < len(data):
                    try:
                        sent += pair.peer.send(data[sent : sent + 5_000])
                    except BlockingIOError:
                        pass
                try:
                    got += pair.peer.recv(5_000)
                except BlockingIOError:
                    pass
                await asyncio.sleep(0)
            assert got == data
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", EPOLLS)
async def test_the_loop_sleeps_whatever_the_peers_did(kind: str) -> None:
    """No state of a connection that waits for its protocol keeps the loop busy."""
    async with Scene(kind) as scene:
        for family in ("unix", "tcp"):
            for leave in (reset, socket.socket.close, lambda peer: peer.shutdown(socket.SHUT_RDWR)):
                for ended in (False, True):
                    pair = await scene.pair(family)
                    pair.notes.keep_open = True
                    pair.transport.pause_reading()
                    if ended:
                        pair.transport.write_eof()
                    pair.peer.send(b"x")
                    leave(pair.peer)
        await turns()
        assert scene.idle()
        waiting = [pair for pair in scene.pairs if not pair.notes.lost]
        assert len(waiting) == len(scene.pairs)
        for pair in scene.pairs:
            pair.transport.resume_reading()
        await turns()
        assert scene.idle()
        assert all(pair.notes.data == b"x" for pair in scene.pairs)


async def test_the_best_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    module = part("py", "poller")
    loop = asyncio.get_running_loop()
    poller = module.make_poller(loop, part("py", "driver").ReadBatch(loop))
    assert type(poller) is module.Poller
    poller.close()
    monkeypatch.setattr(module, "_new_epoll", None)
    assert type(module.make_poller(loop, None)) is module.LoopPoller
