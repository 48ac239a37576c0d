"""``python -m tests.restarts [--requests 1000000] [--kills 10] [-- more options of pagi run]``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.restarts.run import Plan, Report, run
from tests.soak.__main__ import fastest_loop


def show(report: Report) -> None:
    """Tell how far it is, in place on a terminal."""
    tally = report.tally
    text = (
        f"{tally.answered:,} of {tally.wanted:,} answered   {len(tally.failures)} failed   "
        f"{len(report.done)} restarts and kills   {report.seconds:.0f} s"
    )
    if sys.stderr.isatty():
        print(f"\r{text}  ", end="", file=sys.stderr, flush=True)


def table(report: Report) -> str:
    """Return what came out, as text."""
    tally = report.tally
    kinds = ", ".join(f"{report.done.count(kind)} × {kind}" for kind in dict.fromkeys(report.done))
    lines = [
        f"requests     {tally.answered:,} answered, {len(tally.failures)} failed, "
        f"in {report.seconds:.0f} s ({tally.answered / max(report.seconds, 0.1):,.0f}/s)",
        f"done         {kinds}",
        f"workers      {len(tally.workers)} processes have answered",
        f"slowest      {tally.longest * 1000:.0f} ms",
    ]
    if report.killed:
        explained = len(tally.failures) - len(report.unexplained)
        lines.append(f"explained    {explained} failures on connections of killed workers")
    lines += [f"WRONG        {complaint}" for complaint in report.complaints]
    lines.append("" if report.complaints else "not one request was lost")
    return "\n".join(lines)


def main() -> int:
    """Run as the command line says; the exit status is 0 if nothing was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.restarts", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--hot-restarts", type=int, default=3)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("-w", "--workers", type=int, default=2)
    parser.add_argument("options", nargs="*")
    given = parser.parse_args()
    plan = Plan(
        given.requests,
        given.restarts,
        given.hot_restarts,
        given.kills,
        given.workers,
        options=tuple(given.options),
    )
    with tempfile.TemporaryDirectory(prefix="pagi-restarts-") as folder:
        with asyncio.Runner(loop_factory=fastest_loop) as runner:
            report = runner.run(run(plan, Path(folder), show))
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(table(report))
    return 1 if report.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
