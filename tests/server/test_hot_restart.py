"""SIGUSR2: the program is started again and takes the sockets; nobody notices but the operator."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.attacks.wire import Wire, eventually, get
from tests.server.processes import PATIENCE, Command, command, refused
from tests.server.test_restarts import honest_clients, living, ready, said

TERM, USR2 = signal.SIGTERM, signal.SIGUSR2

APPLICATION = """
from tests.server.journal_app import app as app
VERSION = {version!r}
{more}
"""


async def taken_over(site: Command, count: int = 1) -> int:
    """Wait until a successor serves; return its process."""
    await said(site, "has taken over; stopping", count)
    lines = [line for line in site.lines if "has taken over" in line]
    return int(lines[count - 1].split("process ")[1].split()[0])


async def ended(pid: int) -> None:
    """Wait until a process that is not our child has ended."""

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
        except FileNotFoundError:
            return True

    await eventually(gone, PATIENCE)


async def stop(site: Command, pid: int) -> None:
    """Stop the successor, and see that nothing is left."""
    os.kill(pid, TERM)
    await refused(site.port)
    await ended(pid)
    await eventually(lambda: not living(site), PATIENCE)
    assert not site.faults(), site.lines


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")


@needs_proc
@pytest.mark.parametrize("options", [(), ("--reuseport",), ("--preload",)], ids=" ".join)
async def test_nobody_notices(options: tuple[str, ...], tmp_path: Path) -> None:
    async with command("app", "-w", "2", *options, directory=tmp_path) as site:
        await ready(site, 2)
        before = living(site)
        async with await site.open() as wire, honest_clients(site) as served:
            await wire.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nhe")
            await site.journal.wait("begun")
            # What is loaded before the workers are made is not renewed without this process.
            site.tell(signal.SIGHUP if "--preload" in options else USR2)
            first = await taken_over(site)
            assert not before & (living(site) - before)
            already = served()
            await eventually(lambda: served() > already + 20, PATIENCE)
            await wire.send(b"ll")
            answer = await wire.answer()
            assert (answer.status, answer.body) == (200, b"hell")
            assert await site.ended() == 0
            os.kill(first, USR2)
            second = await taken_over(site, 2)
            await ended(first)
            already = served()
            await eventually(lambda: served() > already + 20, PATIENCE)
        await stop(site, second)


@needs_proc
async def test_the_file_of_a_socket_stays_until_the_last_end(tmp_path: Path) -> None:
    path, pid_file = tmp_path / "app.sock", tmp_path / "pid"
    options = ("--socket", str(path), "--pid-file", str(pid_file))
    async with command("app", "-w", "1", *options, directory=tmp_path) as site:
        await site.journal.wait("startup")
        await said(site, "is ready")
        inode = path.stat().st_ino
        site.tell(USR2)
        successor = await taken_over(site)
        assert await site.ended() == 0
        assert path.stat().st_ino == inode
        assert pid_file.read_text() == f"{successor}\n"
        async with await Wire.open(str(path)) as wire:
            await wire.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert (await wire.answer()).status == 200
        os.kill(successor, TERM)
        await ended(successor)
        assert not path.exists()
        assert not pid_file.exists()


@pytest.mark.parametrize("broken", ["import nothing_of_this_name", "raise SystemExit(1)", "("])
async def test_a_version_that_does_not_start_changes_nothing(broken: str, tmp_path: Path) -> None:
    file = tmp_path / "site.py"
    file.write_text(APPLICATION.format(version=1, more=""))
    options = ("-w", "2", "--app-dir", os.getcwd())
    async with command(f"{file}:app", *options, directory=tmp_path) as site:
        await ready(site, 2)
        before = living(site)
        file.write_text(APPLICATION.format(version=2, more=broken))
        async with honest_clients(site):
            site.tell(USR2)
            await said(site, "does not take over; going on")
        file.write_text(APPLICATION.format(version=3, more=""))
        assert living(site) == before
        site.tell(USR2)
        successor = await taken_over(site)
        assert await site.ended() == 0
        os.kill(successor, TERM)
        await refused(site.port)


async def test_one_at_a_time(tmp_path: Path) -> None:
    async with command("app", "-w", "1", directory=tmp_path) as site:
        await ready(site, 1)
        for _ in range(5):
            site.tell(USR2)
        successor = await taken_over(site)
        assert await site.ended() == 0
        assert sum("is to take over" in line for line in site.lines) == 1
        os.kill(successor, TERM)
        await refused(site.port)


async def test_a_stop_meanwhile_stops_both(tmp_path: Path) -> None:
    async with command("app", "-w", "1", directory=tmp_path) as site:
        await ready(site, 1)
        site.tell(USR2)
        await said(site, "is to take over")
        site.tell(TERM)
        assert await site.ended() == 0
        await refused(site.port)
        await eventually(lambda: not living(site), PATIENCE)


async def test_without_a_supervisor_it_tells_what_it_does(tmp_path: Path) -> None:
    async with command("app", directory=tmp_path) as site:
        await ready(site, 0)
        site.tell(USR2)
        await said(site, "this process is at ")
        assert (await get(site.port)).status == 200
        site.tell(TERM)
        assert await site.ended() == 0


def can_be_process_1() -> bool:
    """Tell whether processes can be given numbers of their own, as in a container."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False)
    return tried.returncode == 0


ORPHANS = """
import os, time
from tests.server.journal_app import app as app
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(0.3)
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(not can_be_process_1(), reason="unshare --pid is not possible here")
async def test_process_1_stays_and_reaps_orphans(tmp_path: Path) -> None:
    file = tmp_path / "site.py"
    file.write_text(ORPHANS)
    in_front = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    options = ("--app-dir", os.getcwd())
    async with command(f"{file}:app", *options, directory=tmp_path, in_front=in_front) as site:
        await ready(site, 1)  # process 1 is a supervisor even if nobody asks for one
        top = site.pid
        one = int(Path(f"/proc/{top}/task/{top}/children").read_text())

        def children() -> list[str]:
            return Path(f"/proc/{one}/task/{one}/children").read_text().split()

        await eventually(lambda: len(children()) == 1, PATIENCE)
        for count in (1, 2):
            os.kill(one, USR2)
            await said(site, "has taken over; stopping", count)
            await eventually(lambda: len(living(site)) == 1, PATIENCE)
            assert (await get(site.port)).status == 200
        await eventually(lambda: len(children()) == 1, PATIENCE)
        os.kill(one, TERM)
        assert await site.ended() == 0
        await refused(site.port)
    assert sys.platform == "linux"
