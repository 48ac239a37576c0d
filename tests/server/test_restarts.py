"""Restarts, scaling, recycling and workers that hang, with real processes under ``pagi run``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest

from tests.server.attacks.wire import Wire, eventually, get
from tests.server.processes import PATIENCE, Command, command, refused
from tests.server.test_processes import (
    ALONE_OR_NOT,
    HALF_A_REQUEST,
    clients,
    ended_well,
    finish,
    started,
)

HUP, TERM, QUIT = signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT
TTIN, TTOU, USR1 = signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1

#: Says its version, and may hang in the line that says so.
VERSION = """\
from tests.server import journal_app

async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/version":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%s"})
    else:
        await journal_app.app(scope, receive, send)
"""

#: In front of a command that reads a file although it says that it does not.
WITH_CONFIG = (
    sys.executable,
    "-c",
    "import os, sys;"
    "words = [word for word in sys.argv[1:] if word != '--no-config'];"
    "os.execv(words[0], words)",
)


@asynccontextmanager
async def running(workers: str, directory: Path, *options: str) -> AsyncIterator[Command]:
    """Run the application, with a supervisor or without, and wait until it serves."""
    async with command("app", "-w", workers, *options, directory=directory) as site:
        await ready(site, int(workers))
        yield site


async def ready(site: Command, workers: int) -> None:
    """Wait until all workers are ready, and the supervisor knows it."""
    await site.journal.wait("startup", max(1, workers))
    await said(site, "is ready", workers)
    assert (await get(site.port)).status == 200  # a word over the channel is faster


async def said(site: Command, words: str, count: int = 1) -> None:
    """Wait until lines of the log have these words."""
    await eventually(lambda: sum(words in line for line in site.lines) >= count, PATIENCE)


def living(site: Command) -> set[int]:
    """Return the workers that have started and not ended, as far as they have told."""
    return set(site.journal.pids("startup")) - set(site.journal.pids("shutdown"))


async def is_generation(site: Command, count: int, others: set[int]) -> set[int]:
    """Wait until so many workers serve, none of them one of the others."""
    await eventually(lambda: len(living(site)) == count and not living(site) & others, PATIENCE)
    return living(site)


async def end(site: Command) -> None:
    """Stop it, and see that nothing was wrong."""
    site.tell(TERM)
    ended_well(site, await site.ended())


@asynccontextmanager
async def honest_clients(site: Command, count: int = 4) -> AsyncIterator[Callable[[], int]]:
    """Make requests all the time; each gets its answer."""
    served = 0
    over = False

    async def ask() -> None:
        nonlocal served
        while not over:
            assert (await get(site.port)).status == 200
            served += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(ask())
        try:
            yield lambda: served
        finally:
            over = True


# --- restarts --------------------------------------------------------------------------------


async def test_a_restart_replaces_all_and_loses_nothing(tmp_path: Path) -> None:
    async with running("2", tmp_path) as site:
        before = living(site)
        async with clients(site, 20, HALF_A_REQUEST) as wires:
            async with honest_clients(site) as served:
                site.tell(HUP)
                await site.journal.wait("startup", 4)
                await said(site, "is replaced (restart)", 2)
                already = served()
                await eventually(lambda: served() > already + 20)
            begun = set(site.journal.pids("begun"))
            assert begun <= living(site) & before, "they finish what they have begun"
            await finish(wires)
        await is_generation(site, 2, before)
        await end(site)


async def test_restarts_in_a_row_are_generations(tmp_path: Path) -> None:
    async with running("2", tmp_path) as site:
        seen = living(site)
        for _ in range(3):
            site.tell(HUP)
            seen |= await is_generation(site, 2, seen)
            assert (await get(site.port)).status == 200
        assert len(seen) == 8
        await end(site)


async def test_many_restarts_at_once_end_well(tmp_path: Path) -> None:
    async with running("2", tmp_path) as site:
        before = living(site)
        for _ in range(5):
            site.tell(HUP)
        async with honest_clients(site):
            await is_generation(site, 2, before)
        site.tell(TERM)
        assert await site.ended() == 0
        assert not site.faults(), site.lines


@asynccontextmanager
async def versions(directory: Path, *options: str) -> AsyncIterator[tuple[Command, Path]]:
    """Run an application from a file that the test changes."""
    path = directory / "versioned_app.py"
    path.write_text(VERSION % "one")
    options = ("--app-dir", str(directory), "-w", "2", *options)
    async with command("versioned_app:app", *options, directory=directory) as site:
        await ready(site, 2)
        assert (await get(site.port, b"/version")).body == b"one"
        yield site, path


async def test_a_restart_loads_the_new_code(tmp_path: Path) -> None:
    async with versions(tmp_path) as (site, path):
        before = living(site)
        path.write_text(VERSION % "number two")
        site.tell(HUP)
        await is_generation(site, 2, before)
        assert {(await get(site.port, b"/version")).body for _ in range(10)} == {b"number two"}
        await end(site)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise ValueError('a broken version')", "a broken version"),
        ("def app(:", "SyntaxError"),
        ("from tests.server.journal_app import refuses as app", "no database"),
        ("import os; os._exit(3)", "status 3"),
    ],
    ids=["import", "syntax", "startup", "exit"],
)
async def test_a_broken_version_leaves_the_old_workers(text: str, why: str, tmp_path: Path) -> None:
    async with versions(tmp_path) as (site, path):
        before = living(site)
        path.write_text(text)
        async with honest_clients(site):
            site.tell(HUP)
            await said(site, "the older one goes on (restart called off)")
        assert any(why in line for line in site.lines)
        assert living(site) == before
        assert {(await get(site.port, b"/version")).body for _ in range(10)} == {b"one"}
        path.write_text(VERSION % "mended")
        site.tell(HUP)
        await is_generation(site, 2, before)
        assert (await get(site.port, b"/version")).body == b"mended"
        site.tell(TERM)
        assert await site.ended() == 0


async def test_a_restart_reads_the_configuration_again(tmp_path: Path) -> None:
    """A value that is impossible stops nothing."""
    file = tmp_path / "pagi.toml"
    file.write_text("server_header = 'one'\n")
    options = ("-w", "1", "--config", str(file))
    async with command("app", *options, directory=tmp_path, in_front=WITH_CONFIG) as site:
        await ready(site, 1)
        before = living(site)
        assert (await get(site.port)).fields[b"server"] == b"one"
        file.write_text("server_header = 7.5\nworkers = 'many'\n")
        site.tell(HUP)
        await said(site, "not restarting:")
        assert living(site) == before
        file.write_text("server_header = 'two'\n")
        site.tell(HUP)
        await is_generation(site, 1, before)
        assert (await get(site.port)).fields[b"server"] == b"two"
        site.tell(TERM)
        assert await site.ended() == 0


@pytest.mark.parametrize("number", [HUP, TTIN, TTOU])
async def test_without_a_supervisor_it_only_warns(number: signal.Signals, tmp_path: Path) -> None:
    async with running("0", tmp_path) as site:
        site.tell(number)
        await said(site, "WARNING restarting and scaling take a supervisor")
        assert int((await get(site.port)).body) == site.pid
        await end(site)


@ALONE_OR_NOT
async def test_nohup_outlives_the_terminal(workers: str, tmp_path: Path) -> None:
    options = ("-w", workers)
    async with command("app", *options, directory=tmp_path, in_front=("nohup",)) as site:
        await ready(site, int(workers))
        pids = site.journal.pids("startup")
        site.tell_group(HUP)
        assert int((await get(site.port)).body) in pids
        await end(site)
        assert sorted(site.journal.pids("startup")) == sorted(pids)
        assert not any("restart" in line for line in site.lines)


# --- other numbers ---------------------------------------------------------------------------


async def test_one_worker_more_and_one_fewer(tmp_path: Path) -> None:
    async with running("2", tmp_path) as site:
        first = living(site)
        async with honest_clients(site):
            site.tell(TTIN)
            await said(site, "3 workers instead of 2")
            await site.journal.wait("startup", 3)
            assert living(site) > first
            await said(site, "is ready", 3)
            site.tell(TTOU)
            await said(site, "2 workers instead of 3")
            await site.journal.wait("shutdown", 1)
        assert living(site) == first
        await end(site)


async def test_the_last_worker_stays(tmp_path: Path) -> None:
    async with running("1", tmp_path) as site:
        before = living(site)
        for _ in range(3):
            site.tell(TTOU)
        site.tell(HUP)  # signals are taken in order
        await is_generation(site, 1, before)
        assert not any("workers instead of" in line for line in site.lines)
        await end(site)


# --- logs ------------------------------------------------------------------------------------


@ALONE_OR_NOT
async def test_logs_that_were_renamed_are_opened_again(workers: str, tmp_path: Path) -> None:
    log, old = tmp_path / "access.log", tmp_path / "access.log.1"
    async with running(workers, tmp_path, "--access-log", str(log)) as site:
        await get(site.port, b"/before")
        await eventually(lambda: "/before" in log.read_text())
        log.rename(old)
        site.tell(USR1)
        await eventually(log.exists)
        await get(site.port, b"/after")
        await eventually(lambda: "/after" in log.read_text() + old.read_text())

        def opened(pid: int) -> set[str]:
            links = Path(f"/proc/{pid}/fd").iterdir()
            return {os.readlink(link) for link in links}

        for pid in living(site):
            await eventually(lambda pid=pid: str(log) in opened(pid))  # type: ignore[misc]
            assert str(old) not in opened(pid)
        await get(site.port, b"/later")
        await eventually(lambda: "/later" in log.read_text())
        assert "/later" not in old.read_text()
        await end(site)


# --- workers that hang -----------------------------------------------------------------------


@pytest.mark.parametrize(("workers", "path"), [("1", b"/sleep"), ("2", b"/sleep-later")])
async def test_a_worker_that_hangs_is_replaced_and_the_log_names_the_line(
    workers: str, path: bytes, tmp_path: Path
) -> None:
    heartbeat = 2.0
    async with running(workers, tmp_path, "--heartbeat-timeout", str(heartbeat)) as site:
        async with await Wire.open(site.port) as wire:
            await wire.send(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path)
            (hanging,) = await site.journal.wait("sleeping")
            begun = monotonic()
            pids = await site.journal.wait("startup", int(workers) + 1)
            assert monotonic() - begun <= heartbeat + 1.0
            assert heartbeat - 1.0 < monotonic() - begun, "it had its time"
            assert int((await get(site.port)).body) != hanging
            assert await wire.rest() == b""
        await said(site, "journal_app.py:")
        at = next(line for line in site.lines if "journal_app.py:" in line)
        assert "WARNING worker" in at
        assert "in app: time.sleep(600)" in at
        await said(site, f"(pid {hanging}) ended with signal 9")
        if path == b"/sleep-later":
            assert any(" of 127.0.0.1" in line for line in site.lines)
        site.tell(TERM)
        assert await site.ended() == 0
        assert sorted(site.journal.pids("shutdown")) == sorted(set(pids) - {hanging})


# --- recycling -------------------------------------------------------------------------------


async def recycled(site: Command, why: str) -> None:
    """Wait for a replacement; no request fails meanwhile."""
    before = living(site)
    async with honest_clients(site):
        await said(site, f"is replaced ({why}")
        await eventually(lambda: bool(living(site) - before))
    site.tell(TERM)
    ended_well(site, await site.ended())


@pytest.mark.parametrize("workers", ["0", "2"])
async def test_requests_wear_a_worker_out(workers: str, tmp_path: Path) -> None:
    """It takes a supervisor, so it has one also if none was asked for."""
    async with running(workers, tmp_path, "--max-requests", "50") as site:
        async with honest_clients(site):
            await eventually(lambda: any("requests)" in line for line in site.lines), 10)
        await end(site)


async def test_a_worker_that_is_old_is_replaced(tmp_path: Path) -> None:
    async with running("1", tmp_path, "--max-age", "1") as site:
        await recycled(site, "1 seconds of age)")


async def test_a_worker_that_has_grown_is_replaced(tmp_path: Path) -> None:
    async with running("1", tmp_path, "--max-memory", "150MiB") as site:
        assert len(living(site)) == 1
        assert (await get(site.port, b"/grow")).status == 200
        (grown,) = site.journal.pids("grown")
        async with honest_clients(site):
            await said(site, "MiB of memory)")
            await site.journal.wait("shutdown")
        assert site.journal.pids("shutdown") == [grown]
        await end(site)


async def test_a_worker_that_has_grown_far_too_much_is_killed(tmp_path: Path) -> None:
    async with running("1", tmp_path, "--max-memory-hard", "150MiB") as site:
        assert (await get(site.port, b"/grow")).status == 200
        (grown,) = site.journal.pids("grown")
        await said(site, f"(pid {grown}) is killed: ")
        await site.journal.wait("startup", 2)
        assert int((await get(site.port)).body) != grown
        site.tell(TERM)
        assert await site.ended() == 0
        assert grown not in site.journal.pids("shutdown")


# --- other stops -----------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["0", "1", "2"])
async def test_sigquit_waits_for_no_request(workers: str, tmp_path: Path) -> None:
    async with running(workers, tmp_path, "--shutdown-timeout", "300") as site:
        async with clients(site, 3, b"GET /stuck HTTP/1.1\r\nHost: h\r\n\r\n") as wires:
            site.tell(QUIT)
            for wire in wires:
                assert await wire.rest() == b""
        ended_well(site, await site.ended())
        assert len(site.journal.pids("cancelled")) == 3


@ALONE_OR_NOT
async def test_a_delay_before_the_stop_keeps_serving(workers: str, tmp_path: Path) -> None:
    """And a second signal ends it, without haste for what was begun."""
    async with running(workers, tmp_path, "--drain-delay", "300") as site:
        site.tell(TERM)
        await said(site, "stopping in 300 s (drain_delay); still serving")
        assert (await get(site.port)).status == 200
        async with clients(site, 3, HALF_A_REQUEST) as wires:
            site.tell(TERM)
            await refused(site.port)
            await finish(wires)
        ended_well(site, await site.ended())


@ALONE_OR_NOT
async def test_a_delay_before_the_stop_ends_by_itself(workers: str, tmp_path: Path) -> None:
    async with running(workers, tmp_path, "--drain-delay", "0.3") as site:
        begun = monotonic()
        site.tell(TERM)
        await said(site, "still serving")
        assert (await get(site.port)).status == 200
        ended_well(site, await site.ended())
        assert monotonic() - begun >= 0.3


async def test_a_death_in_the_delay_is_answered_as_ever(tmp_path: Path) -> None:
    async with started("2", tmp_path, "--drain-delay", "300") as site:
        site.tell(TERM)
        await said(site, "still serving")
        os.kill(site.journal.pids("startup")[0], signal.SIGKILL)
        await site.journal.wait("startup", 3)
        assert (await get(site.port)).status == 200
        site.tell(QUIT)
        assert await site.ended() == 0


# --- slowness --------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["0", "1"])
async def test_slow_requests_and_turns_are_told_with_their_place(
    workers: str, tmp_path: Path
) -> None:
    options = ("--slow-request", "0.3", "--slow-turn", "0.3")
    async with running(workers, tmp_path, *options) as site:
        async with await site.open() as waiting:
            await waiting.send(b"GET /stuck HTTP/1.1\r\nHost: h\r\n\r\n")
            await said(site, "/stuck of 127.0.0.1, ")
            (line,) = [line for line in site.lines if "/stuck of" in line]
            assert "and still waits at" in line
            assert "journal_app.py" in line
        async with await site.open() as blocked:
            await blocked.send(b"GET /nap HTTP/1.1\r\nHost: h\r\n\r\n")
            await said(site, "the loop did not turn for")
        site.tell(signal.SIGQUIT)
        assert await site.ended() == 0
