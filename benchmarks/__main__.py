"""The command line: `python -m benchmarks` from the root of the project."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from benchmarks import report
from benchmarks.bars import judge
from benchmarks.chart import draw
from benchmarks.machine import describe
from benchmarks.measure import Bench, Effort
from benchmarks.processes import Cores, raise_descriptor_limit
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.schedule import run, turns
from benchmarks.servers import SERVERS, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Named = TypeVar("Named", Scenario, Server)

FULL = Effort(duration=3.0, warm_up=0.5, idle_connections=5000, starts=5)
QUICK = Effort(duration=0.25, warm_up=0.1, idle_connections=500, starts=1)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the server against its peers, in CPU time per request or message.",
    )
    parser.add_argument("--quick", action="store_true", help="one short round, a smoke test")
    parser.add_argument("--scenarios", metavar="A,B", help="only these scenarios")
    parser.add_argument("--servers", metavar="A,B", help="only these servers")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds (3; quick: 1)")
    parser.add_argument("--duration", type=float, metavar="S", help="seconds of load (3)")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where to write the results (a complete run: benchmarks/; any other: nowhere)",
    )
    parser.add_argument("--list", action="store_true", help="list scenarios and servers")
    return parser.parse_args(arguments)


def choose(everything: Sequence[Named], names: str | None, what: str) -> list[Named]:
    """Returns the named ones, in the order of their declaration.

    Raises:
        SystemExit: A name is unknown.
    """
    if names is None:
        return list(everything)
    wanted = names.split(",")
    known = [one.name for one in everything]
    if unknown := [name for name in wanted if name not in known]:
        raise SystemExit(f"unknown {what} {', '.join(unknown)}; known: {', '.join(known)}")
    return [one for one in everything if one.name in wanted]


def show(scenarios: Iterable[Scenario], servers: Iterable[Server]) -> None:
    """Prints what could be measured here."""
    print("Scenarios")
    for scenario in scenarios:
        print(f"  {scenario.name:22} {scenario.title} [{scenario.unit}]")
    print("Servers")
    for server in servers:
        missing = server.missing()
        state = f"not installed: {missing}" if missing else server.version()
        print(f"  {server.name:22} {state}")


def effort(options: argparse.Namespace) -> Effort:
    """Returns how much to measure."""
    basis = QUICK if options.quick else FULL
    duration = basis.duration if options.duration is None else options.duration
    return Effort(duration, basis.warm_up, basis.idle_connections, basis.starts)


def directory(options: argparse.Namespace) -> Path | None:
    """Returns where the results go; a partial run must not replace the published ones."""
    if options.out is not None:
        return Path(options.out)
    partial = options.quick or options.scenarios or options.servers
    return None if partial else Path(__file__).parent


def write(results: Results, scenarios: Sequence[Scenario], target: Path | None) -> None:
    """Prints the report and writes the files."""
    verdicts = judge(results)
    text = report.render(results, scenarios, verdicts)
    print("\n" + text)
    if target is None:
        return
    target.mkdir(parents=True, exist_ok=True)
    results.write(target / "results.json")
    (target / "RESULTS.md").write_text(text)
    (target / "results.svg").write_text(draw(results, scenarios))
    print(f"Written to {target}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks; returns the exit status."""
    options = parse(arguments)
    scenarios = choose(SCENARIOS, options.scenarios, "scenario")
    servers = choose(SERVERS, options.servers, "server")
    if options.list:
        show(scenarios, servers)
        return 0
    # A plain `kill` has to end the servers too: take the way of Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    raise_descriptor_limit()
    cores = Cores.choose()
    amount = effort(options)
    rounds = options.rounds or (1 if options.quick else 3)
    installed = [server for server in servers if not server.missing()]
    results = Results(
        facts=describe(cores, amount, rounds),
        versions={server.name: server.version() for server in installed},
        absent={server.name: server.missing() for server in servers if server.missing()},
        omitted={},
    )
    for name, missing in results.absent.items():
        print(f"{name} is left out: {missing} not installed")
    plan = list(turns(scenarios, installed, rounds, results.omitted))
    with tempfile.TemporaryDirectory(prefix="pagi-bench-") as scratch:
        run(Bench(cores, Path(scratch), amount), plan, rounds, results)
    write(results, scenarios, directory(options))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; all servers ended")
