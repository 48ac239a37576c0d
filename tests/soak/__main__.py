"""``python -m tests.soak [--seconds 300] [--workers 2] [--pure] [--loop asyncio] …``."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import sys
import tempfile
from pathlib import Path

from tests.soak.clients import KINDS
from tests.soak.run import Report, soak
from tests.soak.server import Options

MIB = 1_048_576


def show(report: Report) -> None:
    """Tell how far it is: in place on a terminal, else every ten seconds."""
    sample = report.samples[-1]
    text = (
        f"{sample.second:4.0f} of {report.seconds:.0f} s   {sample.answered:,} answered   "
        f"{report.failures.total()} failed   {sample.memory / MIB:.1f} MiB"
    )
    if sys.stderr.isatty():
        print(f"\r{text}  ", end="", file=sys.stderr, flush=True)
    elif (len(report.samples) - 1) % 10 == 0:
        print(text, file=sys.stderr, flush=True)


def table(report: Report) -> str:
    """Return what came out, as text."""
    lines = [f"{'clients':24}{'visits':>10}{'answered':>12}{'failed':>8}"]
    for name in (kind.name for kind in KINDS):
        visits = report.visits[name]
        counts = f"{visits:>10,}{report.answered[name]:>12,}{report.failures[name]:>8,}"
        lines.append(f"{name:24}{counts}")
    visits, answered = report.visits.total(), report.answered.total()
    lines.append(f"{'all':24}{visits:>10,}{answered:>12,}{report.failures.total():>8,}")
    lines.append("")
    statuses = ", ".join(f"{count:,} × {status}" for status, count in report.statuses.items())
    slope, growth, bound = report.slope * 60, report.growth, report.bound
    lines += [
        f"access log   {statuses}",
        f"memory       {report.mean_memory / MIB:.1f} MiB after the warm-up, slope "
        f"{slope / 1024:+.0f} KiB/min: {growth / 1024:+.0f} KiB in all, bound {bound / 1024:,.0f}",
    ]
    for name, before in report.before.items():
        lines.append(f"{name:13}{before:,} at the beginning, {report.after[name]:,} at the end")
    lines.append(f"log          {report.warnings} warnings")
    lines.append(f"SIGTERM      ended after {report.stop_seconds:.2f} s")
    lines += [f"WRONG        {complaint}" for complaint in report.complaints]
    lines.append("" if report.complaints else "all is well")
    return "\n".join(lines)


def fastest_loop() -> asyncio.AbstractEventLoop:
    """Make a loop for the clients: the faster they are, the more the server has to do."""
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


def main() -> int:
    """Soak as the command line says; the exit status is 0 if all is well."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("-w", "--workers", type=int, default=1)
    parser.add_argument("--pure", action="store_true", help="pure Python")
    parser.add_argument("--loop", default="auto")
    parser.add_argument("--transports", default="auto")
    given = parser.parse_args()
    options = Options(given.workers, given.pure, given.loop, given.transports)
    with tempfile.TemporaryDirectory(prefix="pagi-soak-") as folder:
        with asyncio.Runner(loop_factory=fastest_loop) as runner:
            report = runner.run(soak(given.seconds, options, Path(folder), show))
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(table(report))
    return 1 if report.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
