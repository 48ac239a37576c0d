"""``pagi top`` beside a real server: one frame, JSON, and the terminal."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.server.admin import admin_of, started
from tests.server.attacks.wire import get
from tests.server.processes import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")


def environment(**variables: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NO_COLOR", "COLUMNS", "LINES") and not name.startswith("PAGI_")
    }
    return {**kept, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **variables}


async def run(*words: str, **variables: str) -> tuple[int | None, str, str]:
    """Run ``pagi top`` without a terminal; return status, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pagi", "top", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(**variables),
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_one_frame(tmp_path: Path) -> None:
    async with started(2, tmp_path) as site:
        await get(site.port)
        port = admin_of(site)
        for words in ((str(port),), ("--once", f"127.0.0.1:{port}")):
            status, out, err = await run(*words)
            assert (status, err) == (0, "")
            assert out.startswith(f"pagi ● ready  127.0.0.1:{port}, up ")
            assert "ready 2 of 2" in out
            assert len(re.findall(r"^ +[12]  ready +\d+ +0 ", out, re.MULTILINE)) == 2
            assert "\x1b" not in out
        status, out, _ = await run("--once", str(port), PYTHONIOENCODING="ascii")
        assert (status, out[:12]) == (0, "pagi ? ready")


async def test_the_document(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    async with started(0, tmp_path, "--admin", f"unix:{path}"):
        for words in ((f"unix:{path}",), (str(path),)):
            status, out, _ = await run(*words, "--format", "json")
            assert status == 0
            assert json.loads(out)["site"]["supervised"] is False
        status, out, _ = await run("--format", "json", PAGI_ADMIN=str(path))
        assert (status, out[0]) == (0, "{")


async def test_nobody_there(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    status, out, err = await run("--once", str(path))
    assert (status, out) == (1, "")
    assert err == f"pagi: unix:{path} does not answer: No such file or directory\n"
    async with started(0, tmp_path) as site:
        status, out, err = await run("--once", str(site.port))
        assert (status, out) == (1, "")
        assert "is it an admin listener?" in err


class Terminal:
    """A pseudo-terminal, and what was written to it."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.written = ""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            data = b""
        if not data:
            self._loop.remove_reader(self._master)
        self.written += data.decode("utf-8", "replace")

    def frames(self) -> list[str]:
        """Return what was drawn, frame by frame, without what moves and colours."""
        return [
            re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame)
            for frame in self.written.split("\x1b[H")[1:]
        ]

    async def until(self, condition: Callable[[str], bool]) -> str:
        """Wait for a frame, the newest one; return it."""
        async with asyncio.timeout(PATIENCE):
            while not (self.frames() and condition(self.frames()[-1])):
                await asyncio.sleep(0.01)
        return self.frames()[-1]

    def resize(self, rows: int, columns: int) -> None:
        """Have another size."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@asynccontextmanager
async def watching(
    place: str, **variables: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Terminal]]:
    """Run ``pagi top`` in a terminal of 24 by 200."""
    master, slave = os.openpty()
    terminal = Terminal(master)
    terminal.resize(24, 200)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pagi", "top", place),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(**variables),
    )
    os.close(slave)
    try:
        yield process, terminal
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)


def is_left_as_it_was(terminal: Terminal) -> bool:
    return terminal.written.startswith("\x1b[?1049h\x1b[?25l") and terminal.written.endswith(
        "\x1b[?25h\x1b[?1049l"
    )


async def test_in_a_terminal(tmp_path: Path) -> None:
    async with started(1, tmp_path) as site:
        async with watching(str(admin_of(site))) as (process, terminal):
            await terminal.until(lambda frame: "ready 1 of 1" in frame)
            assert "\x1b[32m● ready" in terminal.written
            drawn = len(terminal.frames())
            await terminal.until(lambda _: len(terminal.frames()) > drawn + 1)  # by itself

            terminal.resize(5, 30)
            process.send_signal(signal.SIGWINCH)
            small = await terminal.until(lambda frame: frame.count("\r\n") == 4)
            assert max(map(len, small.split("\r\n"))) <= 30
            terminal.resize(24, 200)

            site.tell(signal.SIGTERM)
            await site.ended()
            gone = await terminal.until(lambda frame: "trying again: " in frame)
            assert "Connection refused" in gone
            assert "ready 1 of 1" in gone, "what was is still told"

            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
            async with asyncio.timeout(PATIENCE):
                while not is_left_as_it_was(terminal):
                    await asyncio.sleep(0.01)


async def test_it_waits_for_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    async with watching(str(path), NO_COLOR="1") as (process, terminal):
        await terminal.until(lambda frame: "does not answer: No such file or directory" in frame)
        async with started(1, tmp_path, "--admin", f"unix:{path}"):
            await terminal.until(lambda frame: "ready 1 of 1" in frame)
        assert "\x1b[32m" not in terminal.written
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 143
        async with asyncio.timeout(PATIENCE):
            while not is_left_as_it_was(terminal):
                await asyncio.sleep(0.01)
