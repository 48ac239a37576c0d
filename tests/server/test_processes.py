"""``pagi run`` as operators meet it: signals, workers that die, exit statuses, listeners."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.network import has_ipv6
from tests.server.attacks.wire import Wire, eventually, get
from tests.server.processes import PATIENCE, Command, command, refused

#: As many as the issue promises not to lose.
CLIENTS = 200
#: In one process, or with a supervisor.
ALONE_OR_NOT = pytest.mark.parametrize("workers", ["0", "2"])

HALF_A_REQUEST = b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\nhello,"


@asynccontextmanager
async def clients(site: Command, count: int, begin: bytes) -> AsyncIterator[list[Wire]]:
    """Open ``count`` connections and wait until the application has a request of each."""
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(await site.open()) for _ in range(count)]
        for wire in wires:
            await wire.send(begin)
        await site.journal.wait("begun", count)
        yield wires


@asynccontextmanager
async def started(workers: str, directory: Path, *options: str) -> AsyncIterator[Command]:
    """Run the application and wait until each of its workers is ready."""
    async with command("app", "-w", workers, *options, directory=directory) as site:
        await site.journal.wait("startup", max(1, int(workers)))
        yield site


async def finish(wires: list[Wire]) -> None:
    """Send the rest of the requests; each gets its response, whole, and a proper end."""
    for number, wire in enumerate(wires):
        assert await wire.send(b" %05d" % number)
    for number, wire in enumerate(wires):
        answer = await wire.refusal()
        assert (answer.status, answer.body) == (200, b"hello, %05d" % number)


def ended_well(site: Command, status: int) -> None:
    """Check what every stop that was asked for leaves behind."""
    assert status == 0, site.lines
    assert not site.faults(), site.lines
    assert site.journal.pids("startup"), "it has not started"
    assert sorted(site.journal.pids("shutdown")) == sorted(site.journal.pids("startup"))


# --- graceful stops --------------------------------------------------------------------------


@pytest.mark.spec("CORE-38", "CORE-39", "LIFE-12")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@ALONE_OR_NOT
async def test_a_stop_amid_slow_requests_loses_none(
    workers: str, number: signal.Signals, tmp_path: Path
) -> None:
    async with started(workers, tmp_path) as site:
        async with clients(site, CLIENTS, HALF_A_REQUEST) as wires:
            site.tell(number)
            await refused(site.port)
            await finish(wires)
        ended_well(site, await site.ended())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@ALONE_OR_NOT
async def test_a_signal_to_the_whole_group_is_one_stop(
    workers: str, number: signal.Signals, tmp_path: Path
) -> None:
    """A terminal's Ctrl-C and a service manager's SIGTERM reach the workers, too."""
    async with started(workers, tmp_path) as site:
        async with clients(site, 20, HALF_A_REQUEST) as wires:
            site.tell_group(number)
            await refused(site.port)
            await finish(wires)
        ended_well(site, await site.ended())


@ALONE_OR_NOT
async def test_idle_connections_end_at_once(workers: str, tmp_path: Path) -> None:
    async with started(workers, tmp_path) as site:
        async with await site.open() as used:
            await used.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            answer = await used.answer()
            assert not answer.closes
            async with clients(site, 1, HALF_A_REQUEST) as wires:
                site.tell(signal.SIGTERM)
                assert await used.rest() == b""
                assert not used.was_reset
                await refused(site.port)
                assert site.journal.pids("begun")[0] not in site.journal.pids("shutdown")
                await finish(wires)
        ended_well(site, await site.ended())


@ALONE_OR_NOT
async def test_a_second_signal_ends_the_waiting(workers: str, tmp_path: Path) -> None:
    async with started(workers, tmp_path, "--shutdown-timeout", "300") as site:
        async with clients(site, 3, b"GET /stuck HTTP/1.1\r\nHost: h\r\n\r\n") as wires:
            site.tell(signal.SIGTERM)
            await refused(site.port)
            assert site.journal.pids("cancelled") == []
            site.tell(signal.SIGTERM)
            for wire in wires:
                assert await wire.rest() == b""
        ended_well(site, await site.ended())
        assert len(site.journal.pids("cancelled")) == 3
        assert any("aborted" in line for line in site.lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@ALONE_OR_NOT
async def test_signals_till_the_end_change_nothing(
    workers: str, number: signal.Signals, tmp_path: Path
) -> None:
    """Somebody is impatient, or several send one: also the last moments are a clean stop."""
    async with started(workers, tmp_path) as site:
        ending = asyncio.ensure_future(site.ended())
        try:
            while True:
                site.tell(number)
                await asyncio.sleep(0.0005)
        except ProcessLookupError:
            """It has ended."""
        ended_well(site, await ending)


@ALONE_OR_NOT
async def test_the_grace_ends(workers: str, tmp_path: Path) -> None:
    async with started(workers, tmp_path, "--shutdown-timeout", "0.3") as site:
        async with clients(site, 3, b"GET /stuck HTTP/1.1\r\nHost: h\r\n\r\n") as wires:
            site.tell(signal.SIGTERM)
            for wire in wires:
                assert await wire.rest() == b""
        ended_well(site, await site.ended())
        assert len(site.journal.pids("cancelled")) == 3


@ALONE_OR_NOT
async def test_a_stop_while_the_application_starts(workers: str, tmp_path: Path) -> None:
    async with command("never_ready", "-w", workers, directory=tmp_path, listens=False) as site:
        pids = await site.journal.wait("starting", max(1, int(workers)))
        site.tell(signal.SIGTERM)
        assert await site.ended() == 0
        assert not site.faults(), site.lines
        assert sorted(site.journal.pids("cancelled")) == sorted(pids)


# --- workers ---------------------------------------------------------------------------------


async def test_a_worker_that_was_killed_is_replaced(tmp_path: Path) -> None:
    async with command("app", "-w", "2", directory=tmp_path) as site:
        killed, other = await site.journal.wait("startup", 2)
        os.kill(killed, signal.SIGKILL)
        _, _, fresh = await site.journal.wait("startup", 3)
        assert fresh not in (killed, other)
        for _ in range(10):
            assert int((await get(site.port)).body) in (other, fresh)
        site.tell(signal.SIGTERM)
        assert await site.ended() == 0
        assert sorted(site.journal.pids("shutdown")) == sorted([other, fresh])
        assert [line for line in site.faults() if "signal 9" not in line] == []
        assert len(site.faults()) == 1, site.lines


async def test_a_request_that_kills_its_worker_does_not_end_the_site(tmp_path: Path) -> None:
    async with started("2", tmp_path) as site:
        async with await site.open() as wire:
            await wire.send(b"GET /kill HTTP/1.1\r\nHost: h\r\n\r\n")
            assert await wire.rest() == b""
        await site.journal.wait("startup", 3)
        assert (await get(site.port)).status == 200
        site.tell(signal.SIGTERM)
        assert await site.ended() == 0


async def test_a_worker_that_is_told_to_stop_finishes_and_is_replaced(tmp_path: Path) -> None:
    async with started("2", tmp_path) as site:
        async with clients(site, 1, HALF_A_REQUEST) as wires:
            (told,) = site.journal.pids("begun")
            os.kill(told, signal.SIGTERM)
            await site.journal.wait("notice")
            await finish(wires)
        await site.journal.wait("startup", 3)
        assert site.journal.pids("shutdown") == [told]
        assert (await get(site.port)).status == 200
        site.tell(signal.SIGTERM)
        assert await site.ended() == 0


async def test_a_crash_loop_slows_down_and_can_be_stopped(tmp_path: Path) -> None:
    async with command("dies", "-w", "2", directory=tmp_path, listens=False) as site:
        await site.journal.wait("dying", 4)
        await eventually(lambda: any("0.5 s" in line for line in site.lines))
        site.tell(signal.SIGTERM)
        assert await site.ended() == 0
        assert all("status 9" in line for line in site.faults())
        assert not any("Traceback" in line for line in site.lines)


async def test_a_parent_that_ignores_its_children_does_not_matter(tmp_path: Path) -> None:
    """Ignored signals stay ignored over exec, and nobody would tell us of a death."""
    code = (
        "import os, signal, sys;"
        "[signal.signal(number, signal.SIG_IGN) for number in (signal.SIGCHLD, signal.SIGINT)];"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    parent = (sys.executable, "-c", code)
    async with command("app", "-w", "2", directory=tmp_path, in_front=parent) as site:
        killed, _ = await site.journal.wait("startup", 2)
        os.kill(killed, signal.SIGKILL)
        await site.journal.wait("startup", 3)
        site.tell(signal.SIGINT)
        assert await site.ended() == 0
        assert not any("Traceback" in line for line in site.lines)


# --- exit statuses ---------------------------------------------------------------------------


async def fails(site: Command, status: int, *words: str) -> None:
    """Check the exit status, and that one line without a traceback says why."""
    assert await site.ended() == status, site.lines
    await eventually(lambda: any(all(word in line for word in words) for line in site.lines))
    assert not any("Traceback" in line for line in site.lines), site.lines


@ALONE_OR_NOT
@pytest.mark.parametrize(
    ("status", "target", "options", "words"),
    [
        (2, "app", ("--prot", "0"), ("pagi:", "--prot")),
        (3, "app", ("--max-head-size", "much"), ("pagi:", "max-head-size")),
        (4, "no.such.module:app", (), ("no module",)),
        (4, "tests.server.journal_app:no_app", (), ("no_app",)),
        (5, "app", ("--host", "192.0.2.1"), ("pagi:", "192.0.2.1")),
        (6, "refuses", (), ("no database",)),
        (6, "never_ready", ("--lifespan-startup-timeout", "0.1"), ("timed out",)),
    ],
    ids=["usage", "configuration", "module", "attribute", "listening", "refuses", "late"],
)
async def test_exit_statuses(
    status: int,
    target: str,
    options: tuple[str, ...],
    words: tuple[str, ...],
    workers: str,
    tmp_path: Path,
) -> None:
    options = ("-w", workers, *options)
    async with command(target, *options, directory=tmp_path, listens=False) as site:
        await fails(site, status, *words)
        assert site.journal.pids("startup") == []


@ALONE_OR_NOT
@pytest.mark.parametrize("text", ["raise ValueError('at import')", "import sys; sys.exit(7)"])
async def test_an_application_whose_import_fails(text: str, workers: str, tmp_path: Path) -> None:
    (tmp_path / "broken_app.py").write_text(text)
    options = ("--app-dir", str(tmp_path), "-w", workers)
    async with command("broken_app:app", *options, directory=tmp_path, listens=False) as site:
        await fails(site, 4, "broken_app")


@ALONE_OR_NOT
async def test_a_port_in_use(workers: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ("--port", port, "-w", workers)
        async with command("app", *options, directory=tmp_path, listens=False) as site:
            await fails(site, 5, "pagi:", port, "in use")
            assert site.journal.events() == []


@ALONE_OR_NOT
async def test_an_access_log_that_cannot_be_opened(workers: str, tmp_path: Path) -> None:
    """It is the worker that opens it, and no worker will succeed where the first did not."""
    options = ("--access-log", str(tmp_path / "none" / "log"), "-w", workers)
    async with command("app", *options, directory=tmp_path, listens=False) as site:
        await fails(site, 3, "none/log")
        assert site.journal.events() == []


# --- listeners -------------------------------------------------------------------------------


@ALONE_OR_NOT
@pytest.mark.spec("HTTP-8")
async def test_a_unix_socket_has_its_mode_and_is_removed(workers: str, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    options = ("--socket", str(path), "--socket-mode", "0660", "-w", workers)
    async with command("app", *options, directory=tmp_path) as site:
        assert site.addresses() == [f"unix:{path}"]
        pids = await site.journal.wait("startup", max(1, int(workers)))
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert int((await get(str(path))).body) in pids
        if workers == "2":  # the death of one leaves it to the others
            os.kill(pids[0], signal.SIGTERM)
            await site.journal.wait("startup", 3)
            assert (await get(str(path))).status == 200
        site.tell(signal.SIGTERM)
        assert await site.ended() == 0
        assert not path.exists()


async def test_a_socket_file_of_a_killed_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    options = ("--socket", str(path))
    async with command("app", *options, directory=tmp_path) as site:
        site.tell(signal.SIGKILL)
        await site.ended()
    assert path.exists()
    async with command("app", *options, directory=tmp_path) as site:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (await get(str(path))).status == 200


async def test_reuseport_gives_each_worker_a_listener(tmp_path: Path) -> None:
    """And what waits in that of a worker which died is served by its replacement."""
    path = tmp_path / "app.sock"
    options = ("--reuseport", "--listen", "127.0.0.1:0", "--listen", f"unix:{path}")
    async with started("2", tmp_path, *options) as site:
        assert len(site.addresses()) == 2
        sockets = {pid: listening(pid, site.port) for pid in site.journal.pids("startup")}
        first, second = sockets.values()
        assert len(first) == len(second) == 1
        assert first != second
        pids = {int((await get(site.port)).body) for _ in range(50)}
        assert pids == set(sockets)  # one of 2 ** 49 runs fails here
        killed = site.journal.pids("startup")[0]
        os.kill(killed, signal.SIGKILL)
        answers = [await get(site.port) for _ in range(20)]
        assert {answer.status for answer in answers} == {200}
        site.tell(signal.SIGTERM)
        assert await site.ended() == 0
        assert not path.exists()


def listening(pid: int, port: int) -> set[str]:
    """Return the inodes of the sockets with which a process listens on a port of 127.0.0.1."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    listeners = {f[9] for f in fields if f[1] == f"0100007F:{port:04X}" and f[3] == "0A"}
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return {inode for inode in listeners if f"socket:[{inode}]" in links}


@ALONE_OR_NOT
async def test_several_listeners_at_once(workers: str, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        descriptor = inherited.fileno()
        places = ["127.0.0.1:0", f"unix:{path}", f"fd:{descriptor}"]
        places += ["[::1]:0"] if has_ipv6() else []
        options = [word for place in places for word in ("--listen", place)]
        async with command(
            "app", *options, "-w", workers, directory=tmp_path, descriptors=[descriptor]
        ) as site:
            port = inherited.getsockname()[1]
            inherited.close()  # so that a stop can close the last copy
            pids = await site.journal.wait("startup", max(1, int(workers)))
            shown = site.addresses()
            assert len(shown) == len(places)
            assert shown[1:3] == [f"unix:{path}", f"http://127.0.0.1:{port}"]
            for address in (site.port, str(path), port):
                assert int((await get(address)).body) in pids
            if has_ipv6():
                reader, writer = await asyncio.open_connection(
                    "::1", int(shown[3].rpartition(":")[2])
                )
                writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                async with asyncio.timeout(PATIENCE):
                    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
                writer.close()
                await writer.wait_closed()
            async with clients(site, 1, HALF_A_REQUEST) as wires:
                site.tell(signal.SIGTERM)
                for address in (site.port, str(path), port):
                    await refused(address)
                await finish(wires)
            ended_well(site, await site.ended())
        assert not path.exists()
