"""Run the tests on every twin, event loop and transport, and say how many ran on which.

``python -m tests.matrix`` runs everything on the two outer combinations (all compiled and fast;
all pure Python on plain asyncio). On the ones between it runs the tests of the server over sockets:
what they can find is in the loop and in the transports.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic

#: What runs in processes of its own and says nothing of transports: on the outer combinations only.
_OF_PROCESSES = ("admin", "dev", "hot_restart", "operations", "restarts", "telemetry", "top")
SERVER_TESTS = (
    "tests/server",
    "tests/suite",
    "--ignore=tests/server/conformance",
    *(f"--ignore=tests/server/test_{name}.py" for name in _OF_PROCESSES),
)
_COUNTS = re.compile(r"(\d+) (passed|failed|skipped|errors?|xfailed|xpassed|deselected)")


@dataclass(frozen=True)
class Combination:
    """One way to run the server."""

    pure: bool
    loop: str
    transports: str
    paths: tuple[str, ...] = ("tests",)

    @property
    def name(self) -> str:
        twin = "pure Python" if self.pure else "compiled"
        return f"{twin}, {self.loop}, {self.transports} transports"

    @property
    def runs_all(self) -> bool:
        """Whether all tests run on it."""
        return self.paths == ("tests",)

    def environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        environment["PAGI_PURE_PYTHON"] = "1" if self.pure else "0"
        environment["TEST_LOOP"] = self.loop
        environment["TEST_TRANSPORTS"] = self.transports
        environment.pop("PAGI_ENV", None)
        return environment


COMBINATIONS = (
    Combination(False, "uvloop", "pagi"),
    Combination(True, "asyncio", "pagi"),
    Combination(False, "uvloop", "aiofastnet", SERVER_TESTS),
    Combination(False, "asyncio", "asyncio", SERVER_TESTS),
    Combination(True, "uvloop", "asyncio", SERVER_TESTS),
    Combination(True, "asyncio", "aiofastnet", SERVER_TESTS),
)


def missing(combination: Combination) -> str | None:
    """Say what a combination needs and this installation lacks."""
    if not combination.pure and not _has_twin():
        return "the compiled twin is not built (no C compiler?)"
    for module in (combination.loop, combination.transports):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed"
    return None


def _has_twin() -> bool:
    return importlib.util.find_spec("pagi.protocol.http1._connection_c") is not None


@dataclass
class Outcome:
    """What came of one combination."""

    combination: Combination
    told: str
    failed: bool = False
    passed: int = 0


def run(combination: Combination, extra: list[str]) -> Outcome:
    """Run pytest once, and print what it says when it is done."""
    lack = missing(combination)
    if lack is not None:
        print(f"\n── {combination.name} ──\nleft out: {lack}", flush=True)
        return Outcome(combination, f"left out: {lack}")
    begin = monotonic()
    process = subprocess.run(
        [sys.executable, "-m", "pytest", *combination.paths, *extra],
        env=combination.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(f"\n── {combination.name} ──\n{process.stdout}", end="", flush=True)
    last = next((t for t in reversed(process.stdout.splitlines()) if _COUNTS.search(t)), "")
    counts = {what.rstrip("s"): int(number) for number, what in _COUNTS.findall(last)}
    told = ", ".join(f"{number} {what}" for what, number in counts.items()) or "no tests"
    return Outcome(
        combination,
        f"{told} in {monotonic() - begin:.0f} s",
        process.returncode != 0,
        counts.get("passed", 0),
    )


def main() -> int:
    """Run the combinations; the exit status is 0 if all passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the first combination only")
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(os.cpu_count() or 1, 2),
        help="combinations at a time; most of a run is waiting",
    )
    options, extra = parser.parse_known_args()
    chosen = COMBINATIONS[: 1 if options.quick else None]
    print(f"{len(chosen)} combinations, {options.jobs} at a time; a few minutes each", flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(lambda combination: run(combination, extra), chosen))
    failed = any(outcome.failed for outcome in outcomes)
    passed = sum(outcome.passed for outcome in outcomes)
    print(f"\nPython {sys.version.split()[0]}")
    for outcome in outcomes:
        print(f"  {outcome.combination.name:46} {outcome.told}")
    print(f"{passed} passed, {'some' if failed else 0} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
