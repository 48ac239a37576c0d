"""The circumstances of a run, as far as a reader needs them to judge the figures."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.measure import Effort
    from benchmarks.processes import Cores


def _field(path: str, name: str) -> str:
    """Returns the first value of a `name : value` line of a file in /proc."""
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def describe(cores: Cores, effort: Effort, rounds: int) -> dict[str, str]:
    """Returns date, machine, interpreter and settings, ready to print."""
    memory = int(_field("/proc/meminfo", "MemTotal").split()[0]) // 1024**2
    separate = "" if cores.server != cores.load else " (the same: figures are of little use)"
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{_field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores, "
        f"{memory} GiB, Linux {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "method": f"{rounds} interleaved rounds of {effort.duration:g} s after "
        f"{effort.warm_up:g} s of warm-up, medians; server on core {cores.server}, "
        f"load generator on core {cores.load}{separate}",
    }
