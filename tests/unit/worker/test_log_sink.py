"""`LogSink`: never waits, never raises, loses what it must and says so once."""

from __future__ import annotations

import errno
import logging
import os
import pty
import select
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pagi.server.errors import EXIT_CONFIGURATION, StartError
from pagi.server.worker.log_sink import BACKLOG_LIMIT, LogSink

LINE = b"x" * 99 + b"\n"
Records = Callable[[], list[str]]


@pytest.fixture
def warnings() -> Iterator[Records]:
    """Return a function that returns the messages of the ``pagi.server`` log so far."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    handler = Collector()
    logger = logging.getLogger("pagi.server")
    logger.addHandler(handler)
    yield lambda: messages
    logger.removeHandler(handler)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for descriptor in ends:
        with suppress(OSError):  # the test may have closed it
            os.close(descriptor)


def read_all(descriptor: int) -> bytes:
    os.set_blocking(descriptor, False)
    data = b""
    while True:
        try:
            piece = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return data
        if not piece:
            return data
        data += piece


# --- files -----------------------------------------------------------------------------------


def test_file_is_appended_to_and_private(tmp_path: Path) -> None:
    path = tmp_path / "log"
    umask = os.umask(0)
    try:
        sink = LogSink(str(path))
    finally:
        os.umask(umask)
    sink.write(b"one\n")
    sink.close()
    sink = LogSink(str(path))
    sink.write(b"two\n")
    sink.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not sink.usable


def test_large_write_arrives_whole(tmp_path: Path) -> None:
    sink = LogSink(str(tmp_path / "log"))
    sink.write(LINE * 9000)
    assert sink.pending == 0
    sink.close()
    assert (tmp_path / "log").read_bytes() == LINE * 9000


def test_reopen_makes_the_file_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    sink = LogSink(str(path))
    path.rename(tmp_path / "log.1")
    sink.write(b"old\n")
    sink.reopen()
    sink.write(b"new\n")
    sink.close()
    assert (tmp_path / "log.1").read_bytes() == b"old\n"
    assert path.read_bytes() == b"new\n"


def test_failed_reopen_keeps_the_old_file(tmp_path: Path, warnings: Records) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    sink = LogSink(str(directory / "log"))
    directory.rename(tmp_path / "e")
    sink.reopen()
    sink.write(b"kept\n")
    sink.close()
    assert (tmp_path / "e" / "log").read_bytes() == b"kept\n"
    assert len(warnings()) == 1
    assert "cannot reopen" in warnings()[0]


@pytest.mark.parametrize("target", ["missing/log", "."])
def test_file_that_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        StartError, match=rf"cannot open the access log {target}.*--access-log"
    ) as caught:
        LogSink(target)
    assert caught.value.exit_status == EXIT_CONFIGURATION


def test_descriptor_that_is_not_open() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(StartError, match=f"descriptor {writing}: Bad file descriptor"):
        LogSink(writing)


def test_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    sink = LogSink("-")
    sink.write(b"line\n")
    sink.reopen()
    sink.close()
    assert capfd.readouterr().err == "line\n"
    os.fstat(2)  # still open


def test_full_disk_is_said_once_and_forgiven(
    tmp_path: Path, warnings: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = LogSink(str(tmp_path / "log"))
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for _ in range(3):
        sink.write(LINE)
    monkeypatch.setattr(os, "write", real)
    sink.write(b"again\n")
    sink.close()
    assert (tmp_path / "log").read_bytes() == b"again\n"
    assert sink.dropped == 3
    assert warnings() == [
        "access log: lines are being dropped: No space left on device",
        "access log: 3 lines were dropped",
    ]


def test_partial_writes_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = LogSink(str(tmp_path / "log"))
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    sink.write(b"".join(b"%d\n" % i for i in range(50)))
    sink.close()
    assert (tmp_path / "log").read_text().split() == [str(i) for i in range(50)]


# --- readers that are slow or gone -----------------------------------------------------------


def test_slow_pipe_keeps_up_to_the_limit_then_drops_and_counts(
    pipe: tuple[int, int], warnings: Records
) -> None:
    reading, writing = pipe
    sink = LogSink(writing)
    written = 0
    while sink.dropped == 0:
        sink.write(LINE * 100)
        written += 100
        assert written < 100_000
    assert sink.dropped == 100
    assert BACKLOG_LIMIT - 10_000 < sink.pending <= BACKLOG_LIMIT
    sink.write(LINE * 100)
    assert warnings() == ["access log: lines are being dropped: its reader does not keep up"]
    received = read_all(reading)
    while sink.pending:
        sink.drain()
        received += read_all(reading)
    assert received == LINE * (written - 100)
    sink.write(b"end\n")
    assert warnings()[1:] == ["access log: 200 lines were dropped"]
    sink.close()
    assert read_all(reading) == b"end\n"


def test_descriptor_of_others_stays_blocking(pipe: tuple[int, int]) -> None:
    sink = LogSink(pipe[1])
    assert os.get_blocking(pipe[1])
    sink.close()
    os.fstat(pipe[1])


def test_without_proc_a_poll_goes_first(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_proc(path: str, flags: int) -> int:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)

    monkeypatch.setattr(os, "open", no_proc)
    reading, writing = pipe
    sink = LogSink(writing)
    sink.write(LINE * 5000)
    assert sink.pending
    received = read_all(reading)
    while sink.pending:
        sink.drain()
        received += read_all(reading)
    assert received + read_all(reading) == LINE * 5000
    assert os.get_blocking(writing)
    sink.close()


def test_pieces_for_a_pipe_end_with_a_line(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[bytes] = []
    real = os.write

    def record(descriptor: int, data: bytes) -> int:
        pieces.append(data)
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", record)
    sink = LogSink(pipe[1])
    sink.write(LINE * 300 + b"y" * 5000 + b"\n")
    sink.close(timeout=0)
    assert all(len(piece) <= select.PIPE_BUF for piece in pieces)
    assert all(piece.endswith(b"\n") for piece in pieces[:-2])
    assert b"".join(pieces) == LINE * 300 + b"y" * 5000 + b"\n"


def test_reader_that_went_turns_it_off_with_one_warning(
    pipe: tuple[int, int], warnings: Records
) -> None:
    reading, writing = pipe
    sink = LogSink(writing)
    os.close(reading)
    for _ in range(3):
        sink.write(LINE)
    assert not sink.usable
    assert sink.pending == 0
    assert warnings() == ["access log: Broken pipe: it is off from now on"]
    assert sink.dropped == 1
    sink.close()


def test_close_waits_for_a_reader_that_is_behind(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    sink = LogSink(writing)
    sink.write(LINE * 5000)
    assert sink.pending
    os.close(writing)
    received: list[bytes] = []

    def read() -> None:
        while data := os.read(reading, 1 << 16):
            received.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    sink.close(timeout=30)
    thread.join()
    assert b"".join(received) == LINE * 5000
    assert sink.dropped == 0


def test_close_gives_up_on_a_reader_that_does_not_read(
    pipe: tuple[int, int], warnings: Records
) -> None:
    sink = LogSink(pipe[1])
    sink.write(LINE * 5000)
    sink.close(timeout=0.01)
    assert 0 < sink.dropped < 5000
    assert len(warnings()) == 1
    sink.close()


def test_socket_neither_waits_nor_changes_for_others(warnings: Records) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sink = LogSink(ours.fileno())
        sink.write(LINE * 9000)
        assert sink.pending
        assert os.get_blocking(ours.fileno())
        received = read_all(theirs.fileno())
        while sink.pending:
            sink.drain()
            received += read_all(theirs.fileno())
        assert received == LINE * 9000
        theirs.close()
        sink.write(LINE)
        assert not sink.usable
        assert len(warnings()) == 1
        sink.close()


def test_named_pipe_without_a_reader_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(StartError, match="cannot open the access log"):
        LogSink(str(tmp_path / "fifo"))


def test_named_pipe_whose_reader_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = LogSink(str(path))
    os.close(reading)
    sink.write(LINE)
    assert not sink.usable
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink.reopen()
    sink.write(LINE)
    sink.close()
    assert read_all(reading) == LINE
    os.close(reading)


def test_terminal_stays_blocking_for_the_shell() -> None:
    master, slave = pty.openpty()
    sink = LogSink(slave)
    sink.write(b"line\n")
    assert os.get_blocking(slave)
    assert os.read(master, 100) == b"line\r\n"
    sink.close()
    os.close(slave)
    os.close(master)
