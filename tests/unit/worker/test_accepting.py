"""Accepting: batches, shortages of descriptors, faults, the stop; and the choice of transports."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pagi.server.errors import EXIT_CONFIGURATION, StartError
from pagi.server.worker import transports
from pagi.server.worker.accepting import BATCH_SIZE, PAUSE, Acceptor


class Sock:
    """An accepted socket."""

    family = socket.AF_UNIX

    def __init__(self) -> None:
        self.blocking = True
        self.closed = False

    def setblocking(self, flag: bool) -> None:
        self.blocking = flag

    def close(self) -> None:
        self.closed = True


class Listener:
    """Gives what waits: sockets and errors; then nothing, or the same error for ever."""

    def __init__(self, *waiting: Any, always: int | None = None) -> None:
        self.waiting = list(waiting)
        self.always = always
        self.asked = 0

    def fileno(self) -> int:
        return 77

    def accept(self) -> tuple[Any, Any]:
        self.asked += 1
        if self.waiting:
            found = self.waiting.pop(0)
            if isinstance(found, int):
                raise OSError(found, os.strerror(found))
            return found, None
        if self.always is not None:
            raise OSError(self.always, os.strerror(self.always))
        raise BlockingIOError(errno.EAGAIN, "nothing waits")


class Loop:
    """Watches one descriptor; its timers run when they are told to."""

    def __init__(self) -> None:
        self.reader: Callable[[], None] | None = None
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def add_reader(self, descriptor: int, callback: Callable[[], None]) -> None:
        assert descriptor == 77
        self.reader = callback

    def remove_reader(self, descriptor: int) -> None:
        assert descriptor == 77
        self.reader = None

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        timer = (delay, callback)
        self.timers.append(timer)

        class Handle:
            def cancel(_) -> None:
                self.timers.remove(timer)

        return Handle()

    def readable(self) -> None:
        """The descriptor is readable."""
        assert self.reader is not None
        self.reader()

    def run_timer(self) -> float:
        delay, callback = self.timers.pop()
        callback()
        return delay


class Made:
    """Transports that were made."""

    def __init__(self, fault: OSError | None = None) -> None:
        self.fault = fault
        self.pairs: list[tuple[Any, Any]] = []

    def make(self, sock: Any, protocol: Any) -> None:
        if self.fault is not None:
            raise self.fault
        self.pairs.append((sock, protocol))


class Bench:
    """An acceptor and all that it touches."""

    def __init__(self, listener: Listener, fault: OSError | None = None) -> None:
        self.loop, self.listener, self.made = Loop(), listener, Made(fault)
        numbers = iter(range(10_000))
        self.acceptor = Acceptor(
            self.loop,  # type: ignore[arg-type]
            listener,  # type: ignore[arg-type]
            lambda: next(numbers),
            self.made,  # type: ignore[arg-type]
            logging.getLogger("pagi.server"),
        )
        self.acceptor.start()


def warnings(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


# --- accepting -------------------------------------------------------------------------------


def test_all_that_wait_get_a_transport_and_a_protocol_of_their_own() -> None:
    socks = [Sock(), Sock(), Sock()]
    bench = Bench(Listener(*socks))
    bench.loop.readable()
    assert bench.made.pairs == [(socks[0], 0), (socks[1], 1), (socks[2], 2)]
    assert not any(sock.blocking or sock.closed for sock in socks)
    assert bench.loop.reader is not None


def test_a_flood_leaves_time_for_the_connections() -> None:
    bench = Bench(Listener(*[Sock() for _ in range(BATCH_SIZE + 5)]))
    bench.loop.readable()
    assert len(bench.made.pairs) == BATCH_SIZE
    bench.loop.readable()
    assert len(bench.made.pairs) == BATCH_SIZE + 5


def test_another_process_may_have_been_faster() -> None:
    bench = Bench(Listener())
    bench.loop.readable()
    assert bench.made.pairs == []
    assert bench.loop.reader is not None
    assert bench.loop.timers == []


@pytest.mark.parametrize("fault", [errno.ECONNABORTED, errno.EPROTO, errno.EHOSTUNREACH])
def test_the_fault_of_one_connection_is_not_that_of_the_next(
    fault: int, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(Listener(fault, Sock(), fault, Sock()))
    bench.loop.readable()
    assert len(bench.made.pairs) == 2
    assert warnings(caplog) == []
    assert bench.loop.timers == []


def test_a_peer_that_left_before_it_had_a_transport(caplog: pytest.LogCaptureFixture) -> None:
    sock = Sock()
    bench = Bench(Listener(sock), fault=OSError(errno.EINVAL, "gone"))
    bench.loop.readable()
    assert sock.closed
    assert warnings(caplog) == []


# --- shortages -------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_shortage_pauses_and_says_so_once(fault: int, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(Listener(Sock(), fault, fault, Sock()))
    bench.loop.readable()
    assert len(bench.made.pairs) == 1
    assert bench.loop.reader is None, "the loop would spin"
    assert bench.loop.run_timer() == PAUSE
    bench.loop.readable()
    assert bench.loop.run_timer() == PAUSE
    bench.loop.readable()
    assert len(bench.made.pairs) == 2
    assert bench.loop.timers == []
    ((level, text),) = warnings(caplog)
    assert level == "WARNING"
    assert os.strerror(fault) in text
    assert "ulimit -n" in text


def test_the_next_shortage_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener(errno.EMFILE)
    bench = Bench(listener)
    bench.loop.readable()
    bench.loop.run_timer()
    bench.loop.readable()  # all is taken: it is over
    listener.waiting = [errno.EMFILE]
    bench.loop.readable()
    assert len(warnings(caplog)) == 2


def test_a_listener_that_is_broken_does_not_spin(caplog: pytest.LogCaptureFixture) -> None:
    """Who shares the socket may have shut it down; it is readable for ever then."""
    bench = Bench(Listener(always=errno.EINVAL))
    for _ in range(3):
        bench.loop.readable()
        assert bench.loop.reader is None
        assert bench.loop.run_timer() == PAUSE
    ((level, text),) = warnings(caplog)
    assert level == "ERROR"
    assert os.strerror(errno.EINVAL) in text


# --- stopping --------------------------------------------------------------------------------


def test_a_stop_takes_all_that_the_system_has_accepted() -> None:
    bench = Bench(Listener(*[Sock() for _ in range(3 * BATCH_SIZE + 1)]))
    bench.acceptor.stop()
    assert len(bench.made.pairs) == 3 * BATCH_SIZE + 1
    assert bench.loop.reader is None
    asked = bench.listener.asked
    bench.acceptor.stop()
    assert bench.listener.asked == asked


def test_a_stop_in_a_pause() -> None:
    bench = Bench(Listener(errno.EMFILE, Sock()))
    bench.loop.readable()
    bench.acceptor.stop()
    assert bench.loop.timers == []
    assert bench.loop.reader is None
    assert bench.made.pairs == []


@pytest.mark.parametrize("fault", [errno.EMFILE, errno.EBADF])
def test_a_shortage_in_a_stop_leaves_no_timer(fault: int) -> None:
    bench = Bench(Listener(Sock(), always=fault))
    bench.acceptor.stop()
    assert len(bench.made.pairs) == 1
    assert bench.loop.timers == []
    assert bench.loop.reader is None


def test_what_was_not_started_needs_no_stop() -> None:
    loop, listener = Loop(), Listener(Sock())
    acceptor = Acceptor(
        loop,  # type: ignore[arg-type]
        listener,  # type: ignore[arg-type]
        object,
        Made(),  # type: ignore[arg-type]
        logging.getLogger("pagi.server"),
    )
    acceptor.stop()
    assert listener.asked == 0


async def test_on_a_loop() -> None:
    arrived: asyncio.Queue[socket.socket] = asyncio.Queue()

    class Arriving:
        def make(self, sock: socket.socket, protocol: Any) -> None:
            arrived.put_nowait(sock)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        acceptor = Acceptor(
            asyncio.get_running_loop(),
            listener,
            object,
            Arriving(),  # type: ignore[arg-type]
            logging.getLogger("pagi.server"),
        )
        acceptor.start()
        with socket.create_connection(listener.getsockname()):
            (await arrived.get()).close()
        with socket.create_connection(listener.getsockname()) as late:
            acceptor.stop()
            with arrived.get_nowait() as sock:
                assert sock.getpeername() == late.getsockname()
                assert not sock.getblocking()


# --- transports ------------------------------------------------------------------------------


async def test_transports_by_name() -> None:
    loop = asyncio.get_running_loop()
    assert transports.choose_transports("asyncio", loop) is transports.LoopTransports
    assert transports.choose_transports("pagi", loop) is transports.SocketTransports
    assert transports.choose_transports("auto", loop) is transports.SocketTransports


async def test_transports_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiofastnet.selector_transport", None)
    monkeypatch.setitem(sys.modules, "aiofastnet", None)
    with pytest.raises(StartError, match="pip install aiofastnet") as raised:
        transports.choose_transports("aiofastnet", asyncio.get_running_loop())
    assert raised.value.exit_status == EXIT_CONFIGURATION


async def test_a_loop_that_cannot_make_a_transport_leaves_no_socket_open() -> None:
    class Failing:
        def create_task(self, coroutine: Any) -> Any:
            return asyncio.get_running_loop().create_task(coroutine)

        async def connect_accepted_socket(self, factory: Any, sock: Any) -> None:
            raise OSError(errno.EINVAL, "the peer left")

    sock = Sock()
    made = transports.LoopTransports(Failing(), None)  # type: ignore[arg-type]
    made.make(sock, object())  # type: ignore[arg-type]
    while not sock.closed:
        await asyncio.sleep(0)
    made.close()
