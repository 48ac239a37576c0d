"""One run of the suite's client against one server."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Progress", "SuiteFailure", "Task", "fuzz"]

#: No case takes this long, in seconds.
PATIENCE = 300.0

_CASES = re.compile(r"Cases = (\[.*\])")
_CASE = re.compile(r"Running test case ID (\S+)")
#: Lines of the suite's output that are shown if it fails.
_TAIL = 15


class SuiteFailure(Exception):
    """The suite itself did not come to its end."""


@dataclass(frozen=True)
class Task:
    """What is to be run.

    Attributes:
        agent: name of the server in the reports.
        url: where it serves.
        cases, exclude: names of cases, with ``*`` for any characters.
        folder: where the reports go.
    """

    agent: str
    url: str
    cases: Sequence[str]
    exclude: Sequence[str]
    folder: Path

    def specification(self) -> dict[str, object]:
        """Return it as the suite wants to read it."""
        return {
            "outdir": str(self.folder),
            "servers": [{"agent": self.agent, "url": self.url}],
            "cases": list(self.cases),
            "exclude-cases": list(self.exclude),
            "exclude-agent-cases": {},
        }


@dataclass
class Progress:
    """How far it is.

    Attributes:
        cases: those that are to be run.
        begun: how many of them have begun.
        current: the one that runs.
    """

    cases: list[str]
    begun: int = 0
    current: str = ""


async def fuzz(
    wstest: Path, task: Task, show: Callable[[Progress], None], patience: float = PATIENCE
) -> list[str]:
    """Run the cases and return their names; the reports are in the folder of ``task`` then.

    Args:
        wstest: the suite's program.
        task: what to run.
        show: called whenever a case begins.
        patience: seconds that a case may take.

    Raises:
        SuiteFailure: the suite broke down, or hung.

    Cancelled, it ends the suite.
    """
    task.folder.mkdir(parents=True, exist_ok=True)
    specification = task.folder / "specification.json"
    specification.write_text(json.dumps(task.specification()), "utf-8")
    process = await asyncio.create_subprocess_exec(
        wstest, "-m", "fuzzingclient", "-s", specification,
        cwd=task.folder, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        return await _follow(process, show, patience)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _follow(
    process: asyncio.subprocess.Process, show: Callable[[Progress], None], patience: float
) -> list[str]:
    assert process.stdout is not None
    progress, lines = Progress([]), [""]
    while True:
        try:
            async with asyncio.timeout(patience):
                line = (await process.stdout.readline()).decode("utf-8", "replace")
        except TimeoutError:
            raise SuiteFailure(f"case {progress.current} does not end") from None
        if not line:
            break
        lines.append(line.rstrip())
        if match := _CASES.match(line):
            progress.cases = ast.literal_eval(match[1])
            if not progress.cases:  # then it would wait for ever
                raise SuiteFailure("it has no such cases")
        elif match := _CASE.match(line):
            progress.begun += 1
            progress.current = match[1]
            show(progress)
    status = await process.wait()
    if status or not progress.cases:
        tail = "\n".join(lines[-_TAIL:])
        raise SuiteFailure(f"the suite ended with status {status}:{tail}")
    return progress.cases
