"""How every fuzzer is driven: its command line, by coverage or by mutation, and what it keeps."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Fuzzer", "corpus_of"]

_CORPUS = Path(__file__).parents[1] / "tests" / "corpus"


def corpus_of(name: str, ending: str, max_size: int) -> Callable[[list[str]], list[bytes]]:
    """Return what reads the seeds of a corpus, or of other folders.

    Args:
        name: of the folder of the corpus.
        ending: of its files.
        max_size: larger ones are left out, in bytes.
    """

    def seeds(paths: list[str]) -> list[bytes]:
        folders = [Path(path) for path in paths] or [_CORPUS / name]
        files = [file for folder in folders for file in sorted(folder.glob(f"*{ending}"))]
        return [data for file in files if len(data := file.read_bytes()) < max_size]

    return seeds


@dataclass(frozen=True)
class Fuzzer:
    """One fuzzer.

    Attributes:
        module: its name in this package.
        check: takes one input; raises if a rule is broken.
        mutated: makes an input of seeds.
        seeds: reads those that were named, or its own if none were.
        max_size: of inputs found by coverage, in bytes.
        about: what its help says.
        ways: implementations that each input runs through, as text; empty if there is one.
        begin: makes the folders that fuzzing by coverage begins with, of the first, which also
            takes what is found, and of the paths; by default those, or the corpus.
    """

    module: str
    check: Callable[[bytes], None]
    mutated: Callable[[random.Random, list[bytes]], bytes]
    seeds: Callable[[list[str]], list[bytes]]
    max_size: int
    about: str | None
    ways: str = ""
    begin: Callable[[Path, list[str]], list[str]] | None = None

    @property
    def _label(self) -> str:
        return self.module.replace("_", "-")

    def _by_mutation(self, seconds: float, seed: int, paths: list[str]) -> int:
        """Fuzz without atheris and return the number of inputs."""
        source = random.Random(seed)
        seeds = self.seeds(paths)
        stop = time.monotonic() + seconds
        count = 0
        while time.monotonic() < stop:
            data = self.mutated(source, seeds)
            try:
                self.check(data)
            except Exception:
                kept = Path(f"crash-{self._label}")
                kept.write_bytes(data)
                print(f"input {count} of seed {seed}, kept in {kept}: {data!r}", file=sys.stderr)
                raise
            count += 1
        return count

    def _by_coverage(self, seconds: float, seed: int, paths: list[str]) -> None:
        """Fuzz with atheris, which ends the process itself."""
        import atheris

        atheris.instrument_all()
        arguments = [f"-max_total_time={int(seconds)}", f"-seed={seed}"]
        arguments.append(f"-max_len={self.max_size}")
        # what is found goes into the first folder: not into the corpus
        found = Path(tempfile.mkdtemp(prefix=f"fuzz-{self._label}-"))
        if self.begin is not None:
            others = self.begin(found, paths)
        else:
            others = paths or [str(_CORPUS / self.module)]
        name = f"fuzz.{self.module}"
        atheris.Setup([name, *arguments, str(found), *others], self.check)
        atheris.Fuzz()

    def main(self) -> None:
        """Read the arguments and fuzz."""
        program = f"python -m fuzz.{self.module}"
        parser = argparse.ArgumentParser(prog=program, description=self.about)
        parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
        parser.add_argument("--seed", type=int, default=None, help="of the random numbers")
        parser.add_argument("--plain", action="store_true", help="leave atheris aside")
        parser.add_argument("seeds", nargs="*", help="seeds to begin with, instead of its own")
        options = parser.parse_args()
        seed = int(time.time()) if options.seed is None else options.seed
        if not options.plain:
            try:
                self._by_coverage(options.seconds, seed, options.seeds)
            except ImportError:
                print("atheris is not installed: inputs are found by mutation", file=sys.stderr)
        count = self._by_mutation(options.seconds, seed, options.seeds)
        ways = f" on {self.ways}" if self.ways else ""
        print(f"{count} inputs{ways}, seed {seed}: no fault")
