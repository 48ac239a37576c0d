"""Protocols that fail or act in their callbacks; what is known of a connection; what is left."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.connection.pairs import (
    ALL,
    OURS,
    Notes,
    Scene,
    receive_all,
    reset,
    sockets,
    turns,
    until,
)


@pytest.fixture(params=ALL)
def kind(request: pytest.FixtureRequest) -> str:
    """Every twin with every poller, and asyncio's own where it is the loop."""
    return str(request.param)


# ----------------------------------------------------------------- protocols that fail


def fail(notes: Notes) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("name", ["data", "eof"])
async def test_a_protocol_that_fails_to_read_loses_the_connection(kind: str, name: str) -> None:
    async with Scene(kind) as scene:
        hooks: dict[str, Any] = {name: fail}
        pair = await scene.pair(**hooks)
        pair.peer.send(b"x")
        pair.peer.shutdown(socket.SHUT_WR)
        await until(lambda: pair.notes.lost)
        assert type(scene.take_error()) is ZeroDivisionError
        assert pair.notes.error is ZeroDivisionError
        assert pair.sock.fileno() == -1


@pytest.mark.parametrize("kind", OURS)
async def test_a_protocol_that_fails_at_the_beginning_loses_the_connection(kind: str) -> None:
    # asyncio goes on to read.
    async with Scene(kind) as scene:
        pair = await scene.pair(made=fail)
        await until(lambda: pair.notes.lost)
        assert type(scene.take_error()) is ZeroDivisionError
        assert pair.notes.calls == ["made", ("lost", ZeroDivisionError)]
        assert pair.sock.fileno() == -1


async def test_a_protocol_that_fails_at_the_end(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair(lost=fail)
        pair.transport.abort()
        await until(lambda: pair.notes.lost)
        assert type(scene.take_error()) is ZeroDivisionError
        assert pair.sock.fileno() == -1


@pytest.mark.parametrize("kind", OURS)
async def test_a_socket_that_cannot_be_watched_is_lost(kind: str) -> None:
    if kind.endswith("loop"):
        pytest.skip("loops take any descriptor or their own errors")
    async with Scene(kind) as scene:
        # A descriptor that epoll refuses, as it refuses all when its memory is used up.
        pair = await scene.pair(made=lambda notes: scene.poller.close())
        await until(lambda: pair.notes.lost)
        assert pair.notes.names == ["made", "lost"]
        assert pair.notes.error is not None
        assert pair.sock.fileno() == -1
        scene.errors.clear()


# ----------------------------------------------------------------- protocols that act

ACTIONS: dict[str, Callable[[Any], Any]] = {
    "close": lambda transport: transport.close(),
    "abort": lambda transport: transport.abort(),
    "pause": lambda transport: transport.pause_reading(),
    "resume": lambda transport: transport.resume_reading(),
    "write": lambda transport: transport.write(b"w" * 3),
    "write much": lambda transport: transport.write(bytes(1_000_000)),
    "writelines": lambda transport: transport.writelines([b"w", b"", b"w" * 2]),
    "end": lambda transport: transport.write_eof(),
    "write and close": lambda transport: (transport.write(b"w" * 3), transport.close()),
    "write and end": lambda transport: (transport.write(b"w" * 3), transport.write_eof()),
    "much and close": lambda transport: (transport.write(bytes(1_000_000)), transport.close()),
    "much and end": lambda transport: (transport.write(bytes(1_000_000)), transport.write_eof()),
    "limits": lambda transport: transport.set_write_buffer_limits(high=0, low=0),
}


@pytest.mark.parametrize("kind", OURS)  # asyncio's fail in some of these
@pytest.mark.parametrize("action", list(ACTIONS))
@pytest.mark.parametrize("name", ["made", "data", "eof", "pause", "resume"])
async def test_a_callback_may_do_anything(kind: str, name: str, action: str) -> None:
    done: list[str] = []

    def act(notes: Notes) -> None:
        if not done:
            done.append(name)
            ACTIONS[action](notes.transport)

    async with Scene(kind) as scene:
        hooks: dict[str, Any] = {name: act}
        pair = await scene.pair(small=True, **hooks)
        pair.notes.keep_open = name != "data"
        if not pair.notes.transport.is_closing() and name in ("pause", "resume"):
            pair.transport.set_write_buffer_limits(high=10_000, low=1_000)
            pair.transport.write(bytes(400_000))
        try:
            pair.peer.send(b"x")
            pair.peer.shutdown(socket.SHUT_WR)
        except OSError:  # it has gone by then
            pass

        def read() -> bool:
            try:
                receive_all(pair.peer)
            except OSError:
                pass
            return bool(done)

        await until(read)
        await turns()
        pair.transport.resume_reading()
        await turns()
        await until(lambda: read() and scene.idle())
        if "close" in action or action == "abort":
            await until(lambda: read() and pair.notes.lost)
        else:
            pair.transport.abort()
            await until(lambda: pair.notes.lost)
        await turns()
        names = pair.notes.names
        assert names[0] == "made"
        assert names.count("lost") == 1
        assert names[-1] == "lost"
        assert names.count("eof") <= 1
        flow = [each for each in names if each in ("pause", "resume")]
        assert flow == ["pause", "resume"] * (len(flow) // 2) + ["pause"] * (len(flow) % 2)


# ----------------------------------------------------------------- what is known of it


@pytest.mark.parametrize("family", ["tcp", "tcp6"])
async def test_names_of_internet_sockets(kind: str, family: str) -> None:
    if family == "tcp6" and not socket.has_ipv6:
        pytest.skip("no IPv6")
    async with Scene(kind) as scene:
        pair = await scene.pair(family)
        extra = pair.transport.get_extra_info
        assert extra("peername") == pair.peer.getsockname()
        assert extra("sockname") == pair.peer.getpeername()
        assert extra("socket").fileno() == pair.sock.fileno()
        assert extra("socket").family == pair.sock.family
        assert extra("sslcontext") is None
        assert extra("sslcontext", "none") == "none"


async def test_names_of_unix_sockets(kind: str, tmp_path: Any) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(path)
        ours, _ = listener.accept()
    ours.setblocking(False)
    async with Scene(kind) as scene:
        notes = Notes()
        scene.open(notes, ours)
        await until(lambda: notes.transport is not None)
        assert notes.transport.get_extra_info("sockname") == path
        assert not notes.transport.get_extra_info("peername")
        peer.close()
        await until(lambda: notes.lost)


async def test_names_when_the_peer_has_gone(kind: str) -> None:
    async with Scene(kind) as scene:
        ours, peer = sockets("tcp")
        name = peer.getsockname()
        reset(peer)
        seen: list[Any] = []

        def look(notes: Notes) -> None:
            seen.append(notes.transport.get_extra_info("peername", "gone"))
            seen.append(notes.transport.get_extra_info("sockname"))

        notes = Notes(made=look)
        scene.open(notes, ours)
        await until(lambda: notes.lost)
        assert seen[0] in (name, "gone", None)
        assert type(seen[1]) is tuple
        assert notes.names == ["made", "lost"]


@pytest.mark.parametrize("kind", OURS)  # asyncio's do so if the listener was told to be TCP
async def test_small_answers_leave_at_once(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair("tcp")
        assert pair.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_another_protocol_may_take_over(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        assert pair.transport.get_protocol() is pair.notes
        second = Notes()
        pair.transport.set_protocol(second)
        assert pair.transport.get_protocol() is second
        pair.peer.send(b"x")
        pair.peer.close()
        await until(lambda: second.lost)
        assert pair.notes.calls == ["made"]
        assert second.calls == [b"x", "eof", ("lost", None)]


# ----------------------------------------------------------------- what is left


@pytest.mark.parametrize("kind", OURS)
async def test_nothing_is_left_of_a_connection(kind: str) -> None:
    async def use(end: str) -> None:
        pair = await scene.pair(small=True)
        pair.fill()
        pair.peer.send(b"x")
        await until(lambda: pair.notes.data)
        if end == "reset":
            reset(pair.peer)
        else:
            getattr(pair.transport, end)()
            await pair.receive_to_end() if end == "close" else pair.peer.close()
        await until(lambda: pair.notes.lost)
        pair.peer.close()
        scene.pairs.clear()

    def count() -> int:
        gc.collect()
        return sum(type(each).__name__ in ("SocketTransport", "Notes") for each in gc.get_objects())

    async with Scene(kind) as scene:
        await use("abort")
        before, descriptors = count(), os.listdir("/proc/self/fd")
        for end in ("close", "abort", "reset"):
            await use(end)
        assert os.listdir("/proc/self/fd") == descriptors
        assert count() == before


@pytest.mark.parametrize("kind", OURS)
async def test_an_ended_transport_is_freed_without_the_collector(kind: str) -> None:
    async with Scene(kind) as scene:
        pair = await scene.pair()
        pair.transport.abort()
        await until(lambda: pair.notes.lost)
        scene.pairs.clear()
        gc.collect()
        gc.disable()
        try:
            kept = pair.notes
            transport, kept.transport = kept.transport, None
            assert all(each is not transport for each in gc.get_referents(kept))
            names = [type(each).__name__ for each in gc.get_referents(transport)]
            assert "Notes" not in names
        finally:
            gc.enable()
        pair.peer.close()
