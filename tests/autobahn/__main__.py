"""``python -m tests.autobahn [--cases "1.*,2.*"] [--exclude "12.*"] [--servers pure] …``."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.autobahn import FOLDER
from tests.autobahn.environment import EnvironmentFailure, find_python, is_python_2, make_suite
from tests.autobahn.fuzzing import Progress, SuiteFailure, Task, fuzz
from tests.autobahn.report import read_results, tell
from tests.autobahn.server import Options, running

SERVERS = ("compiled", "pure")
#: Cases between two lines of progress where it is not a terminal that shows them.
STEP = 25


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def shower(agent: str) -> Callable[[Progress], None]:
    """Return what tells how far it is: in place on a terminal, else now and then."""

    def show(progress: Progress) -> None:
        text = f"{agent}   {progress.begun} of {len(progress.cases)}   case {progress.current}"
        if sys.stderr.isatty():
            print(f"\r{text}   ", end="", file=sys.stderr, flush=True)
        elif progress.begun % STEP == 1:
            say(text)

    return show


async def judge(wstest: Path, task: Task) -> bool:
    """Run the cases against a server, print what came out, and tell whether all is well."""
    shutil.rmtree(task.folder, ignore_errors=True)
    try:
        cases = await fuzz(wstest, task, shower(task.agent))
    except SuiteFailure as failure:
        say(f"\n{task.agent}: {failure}")
        return False
    if sys.stderr.isatty():
        say("")
    results = read_results(task.folder, task.agent, cases)
    print(tell(task.agent, results))
    print(f"in detail: {task.folder / 'index.html'}\n", flush=True)
    return all(result.good for result in results)


async def judge_ours(wstest: Path, name: str, given: argparse.Namespace) -> bool:
    """Start our server, and `judge` it, its end and its log."""
    reports = FOLDER / "reports"
    reports.mkdir(parents=True, exist_ok=True)
    options = Options(name == "pure", given.loop, given.transports)
    async with running(options, reports / f"{name}.log") as server:
        if name == "compiled" and server.kind != "compiled":
            say("compiled: skipped, it is not compiled here")
            return True
        task = Task(
            f"pagi {name}", f"ws://127.0.0.1:{server.port}", given.cases, given.exclude,
            reports / name,
        )  # fmt: skip
        well = await judge(wstest, task)
    for complaint in server.complaints:
        print(f"WRONG  {complaint}")
    return well and not server.complaints


async def run(wstest: Path, given: argparse.Namespace) -> bool:
    if given.url:
        folder = FOLDER / "reports" / "other"
        return await judge(wstest, Task("other", given.url, given.cases, given.exclude, folder))
    well = [await judge_ours(wstest, name, given) for name in given.servers]
    return all(well)


def patterns(text: str) -> list[str]:
    """Return the parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def servers(text: str) -> list[str]:
    names = patterns(text)
    if not names or not set(names) <= set(SERVERS):
        raise argparse.ArgumentTypeError(f"choose from {', '.join(SERVERS)}")
    return names


def main(arguments: list[str] | None = None) -> int:
    """Run the suite as the command line says.

    Returns:
        The exit status: 0 if all is well or the suite cannot run here, 1 if a case is not, 2 if
        the suite could not be installed.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.autobahn", description=__doc__)
    parser.add_argument("--cases", type=patterns, default=["*"], metavar='"1.*,2.*"')
    parser.add_argument("--exclude", type=patterns, default=[], metavar='"9.*"')
    parser.add_argument("--servers", type=servers, default=list(SERVERS), metavar="compiled,pure")
    parser.add_argument("--url", help="a server that runs already, instead of ours")
    parser.add_argument("--python", type=Path, help="the Python 2.7 to take")
    parser.add_argument("--loop", default="auto")
    parser.add_argument("--transports", default="auto")
    given = parser.parse_args(arguments)
    if given.python is not None and not is_python_2(given.python):
        parser.error(f"{given.python} is no CPython 2.7 with ssl")
    python = given.python or find_python()
    if python is None:
        print("skipped: the suite needs a CPython 2.7, and there is none; name one by --python")
        return 0
    try:
        wstest = make_suite(python, FOLDER, say)
    except EnvironmentFailure as failure:
        say(f"the suite could not be installed: {failure}")
        return 2
    return 0 if asyncio.run(run(wstest, given)) else 1


if __name__ == "__main__":
    sys.exit(main())
