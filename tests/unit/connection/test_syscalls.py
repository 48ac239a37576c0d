"""Receiving and sending, on both twins."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.connection.pairs import part, pattern, receive_all, reset, sockets
from tests.unit.protocol.http1.driving import implementations


@pytest.fixture(params=implementations())
def calls(request: pytest.FixtureRequest) -> Any:
    """The module."""
    return part(request.param, "syscalls")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, peer = sockets("tcp", small=True)
    yield ours, peer
    ours.close()
    peer.close()


Ends = tuple[socket.socket, socket.socket]


def receive(calls: Any, sock: socket.socket, size: int = 100) -> Any:
    return calls.receive(sock, sock.fileno(), bytearray(size))


def test_receiving(calls: Any, ends: Ends) -> None:
    ours, peer = ends
    assert receive(calls, ours) is None
    peer.send(b"hello")
    data = receive(calls, ours)
    assert (type(data), data) == (bytes, b"hello")
    assert receive(calls, ours) is None


def test_receiving_as_much_as_fits(calls: Any, ends: Ends) -> None:
    ours, peer = ends
    peer.send(b"hello")
    assert [receive(calls, ours, 3) for _ in range(3)] == [b"hel", b"lo", None]


def test_what_was_received_is_a_copy(calls: Any, ends: Ends) -> None:
    ours, peer = ends
    buffer = bytearray(10)
    peer.send(b"first")
    first = calls.receive(ours, ours.fileno(), buffer)
    peer.send(b"second")
    assert calls.receive(ours, ours.fileno(), buffer) == b"second"
    assert first == b"first"


def test_receiving_at_the_end(calls: Any, ends: Ends) -> None:
    ours, peer = ends
    peer.send(b"last")
    peer.close()
    assert [receive(calls, ours) for _ in range(3)] == [b"last", b"", b""]


def test_receiving_after_a_reset(calls: Any, ends: Ends) -> None:
    ours, peer = ends
    peer.send(b"last")
    reset(peer)
    assert receive(calls, ours) == b"last"
    with pytest.raises(ConnectionResetError):
        receive(calls, ours)


def test_receiving_from_what_is_closed(calls: Any, ends: Ends) -> None:
    ours, _ = ends
    number = ours.fileno()
    ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        calls.receive(ours, number, bytearray(10))


@pytest.mark.parametrize("size", [0, 1, 32_767, 32_768, 1_000_000])
def test_sending(calls: Any, ends: Ends, size: int) -> None:
    ours, peer = ends
    data = pattern(size)
    sent, got = 0, b""
    while sent < size:
        count = calls.transmit(ours, ours.fileno(), data[sent:], False)
        assert 0 <= count <= size - sent
        sent += count
        got += receive_all(peer)
    ours.close()
    peer.setblocking(True)
    while piece := peer.recv(1 << 16):
        got += piece
    assert got == data


def test_sending_more_than_it_takes(calls: Any, ends: Ends) -> None:
    ours, _ = ends
    while calls.transmit(ours, ours.fileno(), bytes(50_000), False):
        pass
    assert calls.transmit(ours, ours.fileno(), b"x", False) == 0
    assert calls.transmit(ours, ours.fileno(), bytes(50_000), False) == 0


@pytest.mark.parametrize("size", [1, 50_000])
def test_sending_to_who_has_gone(calls: Any, size: int) -> None:
    """An error, not the signal that ends a process where it is not ignored."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.close()
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        with pytest.raises(BrokenPipeError):
            calls.transmit(ours, ours.fileno(), bytes(size), False)
    finally:
        signal.signal(signal.SIGPIPE, before)
        ours.close()


def test_what_waits_for_more_shares_a_segment(calls: Any, ends: Ends) -> None:
    """It is held back for what follows, but not for long, and not lost if nothing does."""
    ours, peer = ends
    for more in (True, False):
        assert calls.transmit(ours, ours.fileno(), b"head", more) == 4
    peer.setblocking(True)
    assert peer.recv(100) == b"headhead"
    assert calls.transmit(ours, ours.fileno(), b"alone", True) == 5
    assert peer.recv(100) == b"alone"


@pytest.mark.parametrize("sizes", [[], [0], [1, 2, 3], [0, 5, 0], [32_768, 1], [9] * 40])
def test_sending_pieces(calls: Any, ends: Ends, sizes: list[int]) -> None:
    ours, peer = ends
    pieces: list[Any] = [pattern(size) for size in sizes]
    pieces[1:2] = map(memoryview, pieces[1:2])
    first = b"".join(pieces[: calls.MAX_PIECES])
    sent = calls.transmit_pieces(ours, ours.fileno(), pieces)
    assert 0 <= sent <= len(first)
    ours.close()
    peer.setblocking(True)
    got = b""
    while piece := peer.recv(1 << 16):
        got += piece
    assert got == first[:sent]
    assert sent == len(first) or sent > 4000


def test_pieces_that_cannot_be_sent(calls: Any, ends: Ends) -> None:
    ours, peer = ends
    with pytest.raises(TypeError):
        calls.transmit_pieces(ours, ours.fileno(), [b"x", "text"])
    while calls.transmit_pieces(ours, ours.fileno(), [bytes(50_000), b"x"]):
        pass
    assert calls.transmit_pieces(ours, ours.fileno(), [b"x"]) == 0
    reset(peer)
    with pytest.raises(ConnectionError):
        while not calls.transmit_pieces(ours, ours.fileno(), [b"x"]):
            pass


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(pattern(300_000))
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(("offset", "count"), [(0, 1), (0, 300_000), (299_999, 1), (500_000, 9)])
def test_what_was_just_written_is_cached(calls: Any, file: int, offset: int, count: int) -> None:
    assert calls.is_cached(file, offset, count)


def test_what_the_system_cannot_tell_is_taken_to_be_cached(calls: Any, ends: Ends) -> None:
    assert calls.is_cached(ends[0].fileno(), 0, 1)


@pytest.mark.parametrize(("offset", "count"), [(0, 300_000), (5, 10), (299_999, 50), (300_000, 5)])
def test_moving_a_file(calls: Any, ends: Ends, file: int, offset: int, count: int) -> None:
    ours, peer = ends
    moved = calls.move_file(ours.fileno(), file, offset, count)
    assert os.lseek(file, 0, os.SEEK_CUR) == 0
    ours.close()
    peer.setblocking(True)
    got = b""
    while piece := peer.recv(1 << 16):
        got += piece
    assert got == pattern(300_000)[offset : offset + moved]
    assert moved == min(count, 300_000 - offset) or moved > 4000


def test_moving_a_file_to_who_takes_nothing(calls: Any, ends: Ends, file: int) -> None:
    ours, peer = ends
    while calls.move_file(ours.fileno(), file, 0, 300_000) >= 0:
        pass
    reset(peer)
    assert calls.move_file(ours.fileno(), file, 0, 300_000) == -1
    assert calls.move_file(-1, file, 0, 300_000) == -1


@pytest.mark.parametrize(("size", "taken"), [(0, b""), (3, b"abc"), (6, b"abcdef"), (9, b"abcdef")])
def test_taking_bytes(calls: Any, size: int, taken: bytes) -> None:
    data = calls.take_bytes(bytearray(b"abcdef"), size)
    assert (type(data), data) == (bytes, taken)
