"""Starting, watching and ending a server: its processor time and memory, with all its children."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TICKS = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 5.0
PORTS = range(20000, 32000)
"""Below the range from which the kernel takes the ports of outgoing connections."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core the server has to itself, and which the load generator."""

    server: int
    load: int

    def busy_seconds(self) -> float:
        """Returns what both cores have worked so far, for whomever; stolen time included."""
        names = {f"cpu{self.server}", f"cpu{self.load}"}
        total = 0
        for line in Path("/proc/stat").read_text().splitlines():
            name, *ticks = line.split()
            if name in names:
                user, nice, system, _idle, _waiting, *interrupts = (int(text) for text in ticks[:8])
                total += user + nice + system + sum(interrupts)
        return total / TICKS

    @classmethod
    def choose(cls) -> Self:
        """Takes the first two cores that this process may use; the same one twice if need be."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[min(1, len(usable) - 1)])


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree has used: processor seconds so far, and KiB of memory now."""

    processor: float
    system: float
    resident: int
    peak: int


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Pins this process, so that children started meanwhile inherit the core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_descriptor_limit() -> None:
    """Raises the soft limit on open files to the hard one; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port() -> int:
    """Returns a port on which nothing listens and no ended connection lingers."""
    offset = time.monotonic_ns() % len(PORTS)
    for step in range(len(PORTS)):
        port = PORTS[(offset + step) % len(PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port on 127.0.0.1")


def _stat(pid: int) -> list[str]:
    """Returns the fields of /proc/PID/stat from the third (state) on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """Returns the process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError):
                children.setdefault(int(_stat(int(entry))[1]), []).append(int(entry))
    found = [root]
    for pid in found:  # grows while it is walked
        found += children.get(pid, [])
    return found


def _processor_seconds(pid: int) -> float:
    """User and system time of all threads, ended ones included, to the nanosecond.

    The clock id is the kernel's encoding of a process's CPU clock (clock_getcpuclockid(3)); the
    figures in /proc/PID/stat are the same sum, but in steps of 10 ms.
    """
    return time.clock_gettime(~pid << 3 | 2)


def _memory(pid: int) -> tuple[int, int]:
    """Returns resident and peak resident KiB of one process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return int(values.get("VmRSS", 0)), int(values.get("VmHWM", 0))


def usage(root: int) -> Usage:
    """Adds up a process tree; processes that ended count by what their parent reaped."""
    processor = system = 0.0
    resident = peak = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            fields = _stat(pid)
            _, own_system, reaped_user, reaped_system = (int(text) for text in fields[11:15])
            processor += _processor_seconds(pid) + (reaped_user + reaped_system) / TICKS
            system += (own_system + reaped_system) / TICKS
            now, most = _memory(pid)
            resident += now
            peak += most
    return Usage(processor, system, resident, peak)


def reset_peak(root: int) -> None:
    """Makes the peak memory of each process in the tree start again from now."""
    for pid in tree(root):
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")


class ServerProcess:
    """A server that runs on its core from entering the context to leaving it."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        core: int,
        scratch: Path,
        directory: Path,
    ) -> None:
        """Notes how to start: output goes to `scratch/output`, `directory` is the current one."""
        self._command = command
        self._environment = environment
        self._core = core
        self._output = scratch / "output"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.started = 0.0

    def __enter__(self) -> Self:
        """Starts the server; `started` is the monotonic time just before."""
        with self._output.open("wb") as output, pinned(self._core):
            self.started = time.monotonic()
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt from the terminal is ours to handle
            )
        return self

    def __exit__(self, *reason: object) -> None:
        """Ends the server politely, and after five seconds or a second interrupt by force."""
        process = self._running()
        family = tree(process.pid)
        try:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        finally:
            process.kill()
            for pid in family[1:]:
                with contextlib.suppress(OSError):
                    if os.getsid(pid) == process.pid:  # not a stranger that reuses the number
                        os.kill(pid, signal.SIGKILL)
            process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process

    @property
    def pid(self) -> int:
        """The process that was started, root of the tree."""
        return self._running().pid

    def ended(self) -> bool:
        """Tells whether the server has ended by itself."""
        return self._running().poll() is not None

    def last_words(self) -> str:
        """Returns how the server ended, and the last line that it printed."""
        status = self._running().returncode
        lines = self._output.read_text(errors="replace").strip().splitlines()
        last = lines[-1].strip()[:200] if lines else "no output"
        if status < 0:
            return f"{signal.Signals(-status).name}; {last}"
        return f"status {status}; {last}"
