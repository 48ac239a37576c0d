"""One run: load, and meanwhile restarts, hot restarts and perhaps workers that are killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.restarts.clients import Failure, Tally, ask_on

__all__ = ["Plan", "Report", "run"]

ROOT = Path(__file__).resolve().parents[2]
#: How long a restart may take, in seconds.
PATIENCE = 60.0


@dataclass(frozen=True)
class Plan:
    """What is to happen.

    Attributes:
        requests: how many, in all.
        restarts: by SIGHUP.
        hot_restarts: by SIGUSR2.
        kills: workers killed by SIGKILL.
        workers: of the server.
        kept: clients that keep their connections.
        fresh: clients that make a new one for each request.
        options: more of ``pagi run``.
    """

    requests: int = 1_000_000
    restarts: int = 20
    hot_restarts: int = 3
    kills: int = 0
    workers: int = 2
    kept: int = 40
    fresh: int = 2
    options: tuple[str, ...] = ()


@dataclass
class Report:
    """What came out."""

    plan: Plan
    tally: Tally
    done: list[str] = field(default_factory=list)
    killed: set[int] = field(default_factory=set)
    seconds: float = 0.0
    log: str = ""

    @property
    def unexplained(self) -> list[Failure]:
        """Failures that are not of the connections of a worker that was killed.

        A connection that had no answer yet may have been anybody's.
        """
        if not self.killed:
            return self.tally.failures
        return [
            each for each in self.tally.failures if each.worker and each.worker not in self.killed
        ]

    @property
    def complaints(self) -> list[str]:
        """What is wrong; empty if nothing is."""
        found = [f"{each.what} (worker {each.worker})" for each in self.unexplained[:10]]
        wanted = self.plan.restarts + self.plan.hot_restarts + self.plan.kills
        if len(self.done) < wanted:
            found.append(f"only {len(self.done)} of {wanted} restarts and kills were done in time")
        if "Traceback" in self.log:
            found.append("there is a traceback in the log")
        return found


class _Site:
    """The server: one process, and after hot restarts another."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "log"
        self.pid = 0
        self.port = 0

    @property
    def log(self) -> str:
        return self.path.read_text("utf-8", "replace")

    async def said(self, words: str, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.log.count(words) < count:
                await asyncio.sleep(0.02)

    def children(self) -> list[int]:
        return [
            int(pid)
            for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        ]


async def run(plan: Plan, folder: Path, show: Callable[[Report], None] | None = None) -> Report:
    """Run the plan.

    Args:
        plan: what is to happen.
        folder: for the log.
        show: called twice a second.
    """
    report = Report(plan, Tally(plan.requests))
    site = _Site(folder)
    with site.path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pagi", "run", "tests.restarts.app:app", "--port", "0"),
            *("--workers", str(plan.workers), "--no-access-log", *plan.options),
            cwd=ROOT,
            stderr=log,
            start_new_session=True,
        )
        site.pid = process.pid
        try:
            await site.said("is ready", plan.workers)
            site.port = int(site.log.partition("listening on http://127.0.0.1:")[2].split(";")[0])
            await _load(plan, site, report, show)
        finally:
            os.kill(site.pid, signal.SIGTERM)
            await process.wait()
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    report.log = site.log
    return report


async def _load(
    plan: Plan, site: _Site, report: Report, show: Callable[[Report], None] | None
) -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with asyncio.TaskGroup() as group:
        for _ in range(plan.kept):
            group.create_task(ask_on(site.port, report.tally, True, 0.0))
        for _ in range(plan.fresh):
            group.create_task(ask_on(site.port, report.tally, False, 0.001))
        disturbing = group.create_task(_disturb(plan, site, report))
        while not report.tally.is_complete:
            await asyncio.sleep(0.5)
            report.seconds = loop.time() - begin
            if show is not None:
                show(report)
        async with asyncio.timeout(PATIENCE):
            await disturbing


async def _disturb(plan: Plan, site: _Site, report: Report) -> None:
    """Do what is planned, spread over the requests."""
    tasks = ["restart"] * plan.restarts + ["hot"] * plan.hot_restarts + ["kill"] * plan.kills
    random.shuffle(tasks)
    for number, task in enumerate(tasks, 1):
        due = plan.requests * number // (len(tasks) + 1)
        while report.tally.answered < due:
            if report.tally.is_complete:
                return
            await asyncio.sleep(0.01)
        if task == "restart":
            await _restart(plan, site)
        elif task == "hot":
            await _hot_restart(plan, site)
        else:
            report.killed.add(await _kill(site))
        report.done.append(task)


async def _restart(plan: Plan, site: _Site) -> None:
    before = site.log.count("is replaced (restart)")
    os.kill(site.pid, signal.SIGHUP)
    await site.said("is replaced (restart)", before + plan.workers)


async def _hot_restart(plan: Plan, site: _Site) -> None:
    before = site.log.count("has taken over")
    os.kill(site.pid, signal.SIGUSR2)
    await site.said("has taken over", before + 1)
    line = site.log.split(" has taken over")[before]
    site.pid = int(line.rsplit("process ", 1)[1])


async def _kill(site: _Site) -> int:
    before = site.log.count("is ready")
    victim = random.choice(site.children())
    os.kill(victim, signal.SIGKILL)
    await site.said("is ready", before + 1)
    return victim
