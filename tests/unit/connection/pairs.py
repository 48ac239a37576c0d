"""Connections of real sockets: a transport that is tested, and a plain socket for its peer."""

from __future__ import annotations

import asyncio
import importlib
import os
import select
import socket
from collections.abc import Callable
from struct import pack
from typing import Any

from tests.conftest import LOOP
from tests.unit.protocol.http1.driving import implementations

OURS = [f"{twin}-{poller}" for twin in implementations() for poller in ("epoll", "loop")]
EPOLLS = [kind for kind in OURS if kind.endswith("epoll")]
#: asyncio's own transports promise the same: what fails on them is wrong in the test.
ALL = [*OURS, "asyncio"] if LOOP == "asyncio" else OURS
#: libuv watches no more a socket that had an error once, so uvloop tells of a reset only once, with
#: the bytes before it. Our epoll is not concerned, and the driver looks for resets in its ticks.
TELL_RESETS = EPOLLS if LOOP == "uvloop" else ALL

BUFFER_SIZE = 65_536
_NO_LINGER = pack("ii", 1, 0)


def part(twin: str, module: str) -> Any:
    """Import a module of the connection layer, ``py`` or ``c``."""
    return importlib.import_module(f"pagi.server.connection._{module}_{twin}")


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop run until ``condition`` holds; the timeout of all tests ends it."""
    while not condition():
        await asyncio.sleep(0)


async def turns(count: int = 20) -> None:
    """Let the loop run, for what must not happen."""
    for _ in range(count):
        await asyncio.sleep(0)


def pattern(size: int) -> bytes:
    """Make bytes in which every place looks different from its neighbours."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


def reset(peer: socket.socket) -> None:
    """Close by a reset (TCP)."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    peer.close()


def sockets(family: str, small: bool = False) -> tuple[socket.socket, socket.socket]:
    """Make two connected non-blocking sockets; ``small`` ones hold few bytes between them."""
    if family == "unix":
        ours, peer = socket.socketpair()
        if small:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    else:
        version = socket.AF_INET6 if family == "tcp6" else socket.AF_INET
        with socket.socket(version, socket.SOCK_STREAM) as listener:
            if small:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            listener.bind(("::1" if family == "tcp6" else "127.0.0.1", 0))
            listener.listen(1)
            peer = socket.socket(version, socket.SOCK_STREAM)
            if small:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(listener.getsockname())
            ours, _ = listener.accept()
    ours.setblocking(False)
    peer.setblocking(False)
    return ours, peer


def receive_all(peer: socket.socket) -> bytes:
    """Take what a socket has now."""
    pieces = []
    try:
        while data := peer.recv(1 << 20):
            pieces.append(data)
    except (BlockingIOError, ConnectionError):
        pass
    return b"".join(pieces)


class Notes:
    """A protocol that takes notes, and does in each callback what the test wants.

    Attributes:
        calls: names of the callbacks; bytes for `data_received`; for `connection_lost` a tuple.
        hooks: called with this object, by the name of the callback.
        keep_open: what `eof_received` returns.
    """

    def __init__(self, **hooks: Callable[[Notes], Any]) -> None:
        self.calls: list[Any] = []
        self.hooks = hooks
        self.keep_open = False
        self.transport: Any = None

    def _called(self, name: str) -> None:
        hook = self.hooks.get(name)
        if hook is not None:
            hook(self)

    @property
    def data(self) -> bytes:
        """All bytes of the peer."""
        return b"".join(call for call in self.calls if type(call) is bytes)

    @property
    def names(self) -> list[str]:
        """The callbacks; neighbouring ones for bytes are one, and `connection_lost` is "lost"."""
        names: list[str] = []
        for call in self.calls:
            name = "data" if type(call) is bytes else "lost" if type(call) is tuple else call
            if name != "data" or names[-1:] != ["data"]:
                names.append(name)
        return names

    @property
    def lost(self) -> bool:
        """Whether the end was told."""
        return any(type(call) is tuple for call in self.calls)

    @property
    def error(self) -> Any:
        """The class of the error with which the end was told."""
        ((_, error),) = [call for call in self.calls if type(call) is tuple]
        return error

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.calls.append("made")
        self._called("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.calls.append(data)
        self._called("data")

    def eof_received(self) -> bool:
        self.calls.append("eof")
        self._called("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.calls.append("pause")
        self._called("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")
        self._called("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(("lost", None if exc is None else type(exc)))
        self._called("lost")


class Pair:
    """One connection.

    Attributes:
        peer: the other end.
        sock: our end, which the transport owns.
    """

    def __init__(self, notes: Notes, sock: socket.socket, peer: socket.socket) -> None:
        self.notes = notes
        self.sock = sock
        self.peer = peer

    @property
    def transport(self) -> Any:
        return self.notes.transport

    @property
    def backlog(self) -> int:
        return int(self.transport.get_write_buffer_size())

    def fill(self) -> bytes:
        """Write until the system takes no more; return what was written."""
        written = []
        while not self.backlog:
            written.append(pattern(10_000))
            self.transport.write(written[-1])
        return b"".join(written)

    async def receive(self, size: int) -> bytes:
        """Take exactly ``size`` bytes at the peer."""
        data = b""
        while len(data) < size:
            data += receive_all(self.peer)
            await asyncio.sleep(0)
        return data

    async def receive_to_end(self) -> bytes:
        """Take all bytes at the peer up to the end; a reset is no end."""
        data = b""
        while True:
            try:
                piece = self.peer.recv(1 << 20)
            except BlockingIOError:
                await asyncio.sleep(0)
                continue
            if not piece:
                return data
            data += piece


class Scene:
    """Makes connections of one kind and cleans up. To be entered in a running loop.

    Args:
        kind: one of `ALL`.

    Attributes:
        errors: what the loop's exception handler was told; at the end there may be none left.
        batch: serves what was read with others.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.errors: list[Any] = []
        self.pairs: list[Pair] = []
        self.poller: Any = None
        self.batch: Any = None
        self._own: set[int] = set()

    async def __aenter__(self) -> Scene:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _, context: self.errors.append(context["exception"]))
        if self.kind != "asyncio":
            twin, _, poller = self.kind.partition("-")
            module = part(twin, "poller")
            self.batch = part(twin, "driver").ReadBatch(self.loop)
            before = _epolls()
            if poller == "loop":
                self.poller = module.LoopPoller(self.loop)
            else:
                self.poller = module.Poller(self.loop, self.batch)
            self._own = _epolls() - before
            self._transport_class = part(twin, "transport").SocketTransport
            self._buffer = bytearray(BUFFER_SIZE)
        return self

    async def __aexit__(self, *error: Any) -> None:
        for pair in self.pairs:
            if pair.transport is not None and not pair.notes.lost:  # asyncio's fail when lost
                pair.transport.abort()
        await turns(5)
        for pair in self.pairs:
            pair.peer.close()
            pair.sock.close()
        if self.poller is not None:
            self.poller.close()
        if error == (None, None, None):
            assert self.errors == []

    def take_error(self) -> Any:
        """Return the one error that the loop was told."""
        (error,), self.errors = self.errors, []
        return error

    def open(self, notes: Notes, sock: socket.socket) -> None:
        """Make the transport of a socket."""
        if self.kind == "asyncio":
            self.loop._make_socket_transport(sock, notes)  # type: ignore[attr-defined]
        else:
            self._transport_class(self.poller, sock, notes, self._buffer).open()

    async def pair(
        self, family: str = "tcp", small: bool = False, **hooks: Callable[[Notes], Any]
    ) -> Pair:
        """Make a connection; ``hooks`` are those of `Notes`."""
        ours, peer = sockets(family, small)
        notes = Notes(**hooks)
        pair = Pair(notes, ours, peer)
        self.pairs.append(pair)
        self.open(notes, ours)
        await until(lambda: notes.transport is not None)
        await turns(2)  # asyncio's begins to read in the turn after
        return pair

    def idle(self) -> bool:
        """Tell whether our epoll has nothing to say, which is when the loop can sleep."""
        return not self._own or not select.select(list(self._own), [], [], 0)[0]


def _epolls() -> set[int]:
    """Return the descriptors of all epolls of the process."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            if "eventpoll" in os.readlink(f"/proc/self/fd/{name}"):
                found.add(int(name))
        except FileNotFoundError:  # it was that of the listing
            pass
    return found
