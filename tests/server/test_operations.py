"""``pagi run`` as a service: what systemd, a pid file, another user and the background take."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.network import has_ipv6
from tests.server.attacks.site import launch
from tests.server.attacks.wire import eventually, get
from tests.server.processes import PATIENCE, Command, Journal, command

APP = "tests.server.system_app:app"
ALONE_OR_TWO = pytest.mark.parametrize("workers", ["0", "2"])
NOBODY = 65534


async def who(address: int | str) -> dict[str, Any]:
    """Ask the application what its process is."""
    answer = await get(address, b"/who")
    assert answer.status == 200
    return dict(json.loads(answer.body))


# --- a service manager is told ---------------------------------------------------------------


class Manager:
    """The socket of a service manager.

    Attributes:
        address: what stands in the variable.
    """

    def __init__(self, name: str) -> None:
        self.address = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind("\0" + name[1:] if name.startswith("@") else name)

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    async def next(self, seconds: float = PATIENCE) -> dict[str, str]:
        """Return what it is told next."""
        async with asyncio.timeout(seconds):
            text = await asyncio.get_running_loop().sock_recv(self._socket, 4096)
        return dict(line.split("=", 1) for line in text.decode().split("\n"))

    async def until(self, name: str) -> dict[str, str]:
        """Return the next one that says ``name``; what comes before are signs of life."""
        while True:
            told = await self.next()
            if name in told:
                return told
            assert told == {"WATCHDOG": "1"}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.close()


@ALONE_OR_TWO
async def test_a_service_manager_hears_of_start_and_stop(
    workers: str, manager: Manager, tmp_path: Path
) -> None:
    front = ("env", f"NOTIFY_SOCKET={manager.address}")
    async with command(APP, "-w", workers, directory=tmp_path, in_front=front) as site:
        told = await manager.next()
        assert told["READY"] == "1"
        assert told["MAINPID"] == str(site.pid)
        assert f"http://127.0.0.1:{site.port}" in told["STATUS"]
        assert len(site.journal.pids("startup")) == max(1, int(workers)), "it was told too early"
        assert (await who(site.port))["variables"] == []
        site.tell(signal.SIGTERM)
        assert (await manager.next())["STOPPING"] == "1"
        assert await site.ended() == 0


async def test_a_service_manager_hears_of_a_restart(manager: Manager, tmp_path: Path) -> None:
    front = ("env", f"NOTIFY_SOCKET={manager.address}")
    async with command(APP, "-w", "2", directory=tmp_path, in_front=front) as site:
        await manager.until("READY")
        site.tell(signal.SIGHUP)
        told = await manager.next()
        assert told["RELOADING"] == "1"
        assert int(told["MONOTONIC_USEC"]) > 0
        assert (await manager.next())["READY"] == "1"
        assert len(site.journal.pids("startup")) == 4
        site.tell(signal.SIGTERM)
        assert (await manager.next())["STOPPING"] == "1"
        assert await site.ended() == 0


async def test_an_abstract_socket(tmp_path: Path) -> None:
    manager = Manager(f"@pagi-test-{os.getpid()}")
    try:
        front = ("env", f"NOTIFY_SOCKET={manager.address}")
        async with command(APP, directory=tmp_path, in_front=front):
            await manager.until("READY")
    finally:
        manager.close()


async def test_a_failing_start_is_told(manager: Manager, tmp_path: Path) -> None:
    front = ("env", f"NOTIFY_SOCKET={manager.address}")
    target = "tests.server.system_app:refuses"
    async with command(target, directory=tmp_path, in_front=front, listens=False) as site:
        assert "no database" in (await manager.next())["STATUS"]
        assert await site.ended() == 6


@ALONE_OR_TWO
async def test_signs_of_life(workers: str, manager: Manager, tmp_path: Path) -> None:
    front = ("env", f"NOTIFY_SOCKET={manager.address}", "WATCHDOG_USEC=200000")
    async with command(APP, "-w", workers, directory=tmp_path, in_front=front) as site:
        await manager.until("READY")
        for _ in range(5):
            assert await manager.next(0.2) == {"WATCHDOG": "1"}
        site.tell(signal.SIGTERM)
        await manager.until("STOPPING")
        assert await site.ended() == 0


async def test_a_loop_that_hangs_is_silent(manager: Manager, tmp_path: Path) -> None:
    front = ("env", f"NOTIFY_SOCKET={manager.address}", "WATCHDOG_USEC=200000")
    async with command(APP, directory=tmp_path, in_front=front) as site:
        await manager.until("READY")
        async with await site.open() as wire:
            await wire.send(b"GET /hang HTTP/1.1\r\nHost: h\r\n\r\n")
            with pytest.raises(TimeoutError):
                for _ in range(1000):
                    await manager.next(0.5)


async def test_signs_of_life_are_of_one_process(manager: Manager, tmp_path: Path) -> None:
    """Another process was meant: perhaps our parent, in whose name we must not speak."""
    front = ("env", f"NOTIFY_SOCKET={manager.address}", "WATCHDOG_USEC=20000", "WATCHDOG_PID=1")
    async with command(APP, directory=tmp_path, in_front=front) as site:
        await manager.until("READY")
        site.tell(signal.SIGTERM)
        assert "STOPPING" in await manager.next()


# --- sockets of a service manager ------------------------------------------------------------


#: Passes descriptors as systemd does: from 3 on, in the name of the process that it becomes.
_PASS = """
import os, sys
count, pid, *rest = sys.argv[1:]
numbers, command = rest[:int(count)], rest[int(count):]
for place, number in enumerate(numbers, 3):
    os.dup2(int(number), place)
os.environ.update(
    LISTEN_FDS=count, LISTEN_PID=pid or str(os.getpid()), LISTEN_FDNAMES="first:second"
)
os.execvp(command[0], command)
"""


def passing(sockets: Sequence[socket.socket], pid: str) -> tuple[str, ...]:
    """Return the words in front of a command that gets ``sockets``."""
    numbers = [str(sock.fileno()) for sock in sockets]
    return (sys.executable, "-ISc", _PASS, str(len(numbers)), pid, *numbers)


@asynccontextmanager
async def activated(
    sockets: Sequence[socket.socket],
    *options: str,
    directory: Path,
    pid: str = "",
    listens: bool = True,
) -> AsyncIterator[Command]:
    """Run the application with sockets that were opened before."""
    # Above the numbers that they get there.
    spare = [os.open(os.devnull, os.O_RDONLY) for _ in range(6)]
    copies = [sock.dup() for sock in sockets]
    for descriptor in spare:
        os.close(descriptor)
    try:
        async with command(
            APP,
            *options,
            directory=directory,
            descriptors=[copy.fileno() for copy in copies],
            in_front=passing(copies, pid),
            place=False,
            listens=listens,
        ) as site:
            yield site
    finally:
        for copy in copies:
            copy.close()


@ALONE_OR_TWO
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::"])
async def test_sockets_of_a_service_manager(workers: str, address: str, tmp_path: Path) -> None:
    if ":" in address and not has_ipv6():
        pytest.skip("no IPv6 here")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    dual = address == "::"
    with socket.create_server((address, 0), family=family, dualstack_ipv6=dual) as passed:
        port = passed.getsockname()[1]
        async with activated([passed], "-w", workers, directory=tmp_path) as site:
            shown = f"[{address}]" if ":" in address else address
            assert site.addresses() == [f"http://{shown}:{port}"]
            if address != "::1":
                assert (await who(port))["variables"] == []
            else:
                reader, writer = await asyncio.open_connection(address, port)
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
                writer.close()
            site.tell(signal.SIGTERM)
            assert await site.ended() == 0
            assert not site.faults(), site.lines


@ALONE_OR_TWO
async def test_a_unix_socket_of_a_service_manager_stays(workers: str, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(str(path))
        passed.listen()
        options = ("--socket", str(path), "-w", workers)
        for given in (options, ("-w", workers)):
            async with activated([passed], *given, directory=tmp_path) as site:
                await eventually(lambda: site.addresses() == [f"unix:{path}"], PATIENCE)
                assert (await get(str(path))).status == 200
                site.tell(signal.SIGTERM)
                assert await site.ended() == 0
            assert path.exists()
            assert not site.faults(), site.lines


@ALONE_OR_TWO
async def test_only_sockets_that_are_configured_are_taken(workers: str, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as wanted,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        port, left = wanted.getsockname()[1], other.getsockname()[1]
        options = ("--port", str(port), "--workers", workers)
        async with activated([other, wanted], *options, directory=tmp_path) as site:
            assert site.addresses() == [f"http://127.0.0.1:{port}"]
            assert (await get(port)).status == 200
            (warning,) = [line for line in site.lines if "WARNING" in line]
            assert f"3 (first, 127.0.0.1:{left}) is none of the listeners" in warning


async def test_a_dual_socket_is_also_that_of_ipv4(tmp_path: Path) -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    family = socket.AF_INET6
    with socket.create_server(("::", 0), family=family, dualstack_ipv6=True) as passed:
        port = passed.getsockname()[1]
        options = ("--listen", f"0.0.0.0:{port}")
        async with activated([passed], *options, directory=tmp_path):
            assert (await get(port)).status == 200


async def test_sockets_for_another_process_are_left_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        options = ("--port", "0")
        async with activated([passed], *options, directory=tmp_path, pid="1") as site:
            assert site.port != passed.getsockname()[1]
            assert (await who(site.port))["variables"] == []
            assert not any("WARNING" in line for line in site.lines)


async def test_what_does_not_listen_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as passed:
        passed.bind(("127.0.0.1", 0))
        async with activated([passed], directory=tmp_path, listens=False) as site:
            assert await site.ended() == 5
            await eventually(lambda: any("not a stream socket" in line for line in site.lines))


# --- another user ----------------------------------------------------------------------------


def can_be_nobody() -> bool:
    """Tell whether nobody can run this interpreter and these tests."""
    if os.geteuid() != 0:
        return False
    code = "import json, asyncio, tests.server.system_app, pagi"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], user=NOBODY, group=NOBODY, extra_groups=[], check=False
        )
    except OSError:
        return False
    return done.returncode == 0


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that everybody can write into."""
    if not can_be_nobody():
        pytest.skip("only root can become another user, and that user must see the code")
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)


@ALONE_OR_TWO
async def test_another_user(workers: str, open_directory: Path) -> None:
    path = open_directory / "app.sock"
    options = ("-w", workers, "--user", "nobody", "--listen", "127.0.0.1:0")
    options += ("--listen", f"unix:{path}", "--access-log", str(open_directory / "log"))
    async with command(APP, *options, directory=open_directory) as site:
        for address in (site.port, str(path)):
            found = await who(address)
            assert found["uid"] == found["gid"] == [NOBODY] * 3
            assert found["groups"] == [NOBODY]
            assert found["home"] == os.environ.get("HOME")
        found_socket = path.stat()
        assert (found_socket.st_uid, found_socket.st_gid) == (NOBODY, NOBODY)
        assert stat.S_IMODE(found_socket.st_mode) == 0o600
        status = Path(f"/proc/{site.pid}/status").read_text()
        assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}" in status
        site.tell(signal.SIGTERM)
        assert await site.ended() == 0
        assert not path.exists()
        assert (open_directory / "log").stat().st_uid == NOBODY


async def test_another_group_by_number(open_directory: Path) -> None:
    async with command(APP, "--group", "12345", directory=open_directory) as site:
        found = await who(site.port)
        assert found["uid"] == [0] * 3
        assert found["gid"] == [12345] * 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--user", "no-such-user"), "there is no user 'no-such-user'"),
        (("--group", "no-such-group"), "there is no group 'no-such-group'"),
        (("--user", "4000000"), "name its group as well"),
    ],
)
@ALONE_OR_TWO
async def test_a_user_that_is_unknown(
    options: tuple[str, ...], words: str, workers: str, tmp_path: Path
) -> None:
    options = ("-w", workers, *options)
    async with command(APP, *options, directory=tmp_path, listens=False) as site:
        assert await site.ended() == 3
        await eventually(lambda: any(words in line for line in site.lines))


async def test_only_root_can_become_another_user(open_directory: Path) -> None:
    front = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    options = {"directory": open_directory, "in_front": front}
    async with command(APP, "--user", "root", listens=False, **options) as site:
        assert await site.ended() == 3
        await eventually(lambda: any("only root can become" in line for line in site.lines))
    async with command(APP, "--user", "nobody", **options) as site:
        assert (await who(site.port))["uid"] == [NOBODY] * 3


@ALONE_OR_TWO
async def test_the_umask(workers: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = ("-w", workers, "--umask", "0077", "--access-log", str(log))
    async with command(APP, *options, directory=tmp_path) as site:
        assert (await who(site.port))["umask"] == 0o077
        assert stat.S_IMODE(log.stat().st_mode) == 0o600


# --- pid file --------------------------------------------------------------------------------


@ALONE_OR_TWO
async def test_the_pid_file(workers: str, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    ended = await asyncio.create_subprocess_exec("true")
    await ended.wait()
    path.write_text(str(ended.pid))  # somebody who was killed
    options = ("-w", workers, "--pid-file", str(path))
    async with command(APP, *options, directory=tmp_path) as site:
        await site.journal.wait("startup", max(1, int(workers)))
        assert path.read_text() == f"{site.pid}\n"
        async with command(APP, *options, directory=tmp_path, listens=False) as second:
            assert await second.ended() == 3
            words = f"process {site.pid} serves"
            await eventually(lambda: any(words in line for line in second.lines))
        assert path.read_text() == f"{site.pid}\n"
        site.tell(signal.SIGTERM)
        assert await site.ended() == 0
        assert not path.exists()
        assert not [name for name in os.listdir(tmp_path) if name.startswith("pid")]


async def test_a_pid_file_of_another_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    async with command(APP, "--pid-file", str(path), directory=tmp_path) as site:
        await site.journal.wait("startup")
        path.write_text("1\n")
        site.tell(signal.SIGTERM)
        assert await site.ended() == 0
    assert path.read_text() == "1\n"


async def test_a_pid_file_that_cannot_be_written(tmp_path: Path) -> None:
    path = str(tmp_path / "none" / "pid")
    async with command(APP, "--pid-file", path, directory=tmp_path, listens=False) as site:
        assert await site.ended() == 3
        await eventually(lambda: any("none/pid" in line for line in site.lines))


async def test_the_pid_file_goes_when_the_start_fails(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    target = "tests.server.system_app:refuses"
    options = ("--pid-file", str(path))
    async with command(target, *options, directory=tmp_path, listens=False) as site:
        assert await site.ended() == 6
    assert not path.exists()


# --- the server log in a file ----------------------------------------------------------------


@ALONE_OR_TWO
async def test_the_server_log_in_a_file(workers: str, tmp_path: Path) -> None:
    log, old = tmp_path / "server.log", tmp_path / "server.log.1"
    options = ("-w", workers, "--log-file", str(log))
    async with command(APP, *options, directory=tmp_path, listens=False) as site:
        await site.journal.wait("startup", max(1, int(workers)))
        assert stat.S_IMODE(log.stat().st_mode) == 0o640
        log.rename(old)
        site.tell(signal.SIGUSR1)
        await eventually(log.exists)
        site.tell(signal.SIGHUP)
        words = "restarting the workers" if workers == "2" else "take a supervisor"
        await eventually(lambda: words in log.read_text())
        assert words not in old.read_text()
        site.tell(signal.SIGTERM)
        assert await site.ended() == 0
        assert site.lines == []


async def test_a_server_log_that_cannot_be_opened(tmp_path: Path) -> None:
    path = str(tmp_path / "none" / "log")
    async with command(APP, "--log-file", path, directory=tmp_path, listens=False) as site:
        assert await site.ended() == 3
        await eventually(lambda: any("none/log" in line for line in site.lines))


# --- in the background -----------------------------------------------------------------------


def lives(pid: int) -> bool:
    """Tell whether a process is there and has not ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


class Daemon:
    """A server in the background, by its files.

    Attributes:
        journal: what its application wrote down.
        log: its server log.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = Journal(directory / "journal")
        self.log = directory / "server.log"
        self._pid_file = directory / "pid"

    @property
    def pid(self) -> int:
        """The process, as the pid file names it."""
        return int(self._pid_file.read_text())

    async def start(self, target: str, *options: str) -> tuple[int, str]:
        """Return the exit status of the command and what it printed."""
        files = ("--pid-file", str(self._pid_file), "--log-file", str(self.log), "--no-access-log")
        printed = self.directory / "printed"
        with open(printed, "wb") as output:
            running = await launch(
                target,
                *("--daemon", *files, *options),
                env={**os.environ, "JOURNAL": str(self.journal.path)},
                stderr=output,
                start_new_session=True,
            )
        async with asyncio.timeout(PATIENCE):
            status = await running.wait()
        return status, printed.read_text()

    async def stop(self) -> None:
        """Stop it as scripts do, and wait for its end."""
        pid = self.pid
        os.kill(pid, signal.SIGTERM)
        await eventually(lambda: not lives(pid), PATIENCE)
        assert not self._pid_file.exists()

    def kill(self) -> None:
        """Leave nothing behind."""
        for pid in [*self.journal.pids("startup"), *self.journal.pids("starting")]:
            if lives(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.kill()


@ALONE_OR_TWO
async def test_a_daemon_from_start_to_stop(workers: str, daemon: Daemon) -> None:
    path = daemon.directory / "app.sock"
    status, printed = await daemon.start(APP, "-w", workers, "--socket", str(path))
    assert (status, printed) == (0, "")
    # Already now: it was ready before the command ended.
    assert len(daemon.journal.pids("startup")) == max(1, int(workers))
    found = await who(str(path))
    assert found["terminal"] == [os.devnull] * 3
    assert found["session"] not in (os.getsid(0), daemon.pid)
    assert f"unix:{path}" in daemon.log.read_text()
    assert lives(daemon.pid)
    await daemon.stop()
    assert sorted(daemon.journal.pids("shutdown")) == sorted(daemon.journal.pids("startup"))
    assert not path.exists()


@ALONE_OR_TWO
@pytest.mark.parametrize(
    ("status", "target", "options", "words"),
    [
        (6, "tests.server.system_app:refuses", ("--port", "0"), "no database"),
        (4, "no.such.module:app", ("--port", "0"), "no module"),
        (5, APP, ("--port", "0", "--host", "192.0.2.1"), "192.0.2.1"),
        (3, APP, ("--port", "0", "--user", "no-such-user"), "no-such-user"),
    ],
)
async def test_a_daemon_that_fails_says_so(
    status: int, target: str, options: tuple[str, ...], words: str, workers: str, daemon: Daemon
) -> None:
    found, printed = await daemon.start(target, "-w", workers, *options)
    assert found == status, printed
    assert words in printed
    assert "Traceback" not in printed
    assert not (daemon.directory / "pid").exists()


async def test_a_daemon_needs_a_file_for_its_log(tmp_path: Path) -> None:
    async with command(APP, "--daemon", directory=tmp_path, listens=False) as site:
        assert await site.ended() == 3
        await eventually(lambda: any("set log_file" in line for line in site.lines))


async def test_a_daemon_that_is_stopped_while_it_starts(daemon: Daemon) -> None:
    target = "tests.server.system_app:never_ready"
    starting = asyncio.ensure_future(daemon.start(target, "--port", "0"))
    (pid,) = await daemon.journal.wait("starting")
    os.kill(pid, signal.SIGTERM)
    status, printed = await starting
    assert status == 1
    assert "stopped before it was ready" in printed


async def test_a_daemon_that_dies_while_it_starts(daemon: Daemon) -> None:
    target = "tests.server.system_app:never_ready"
    starting = asyncio.ensure_future(daemon.start(target, "--port", "0"))
    (pid,) = await daemon.journal.wait("starting")
    os.kill(pid, signal.SIGKILL)
    status, printed = await starting
    assert status == 1
    assert "ended before it was ready" in printed
