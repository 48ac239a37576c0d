"""The slice `Process`: processes, the event loop, what the server is towards the system."""

# The call that a dataclass must not have as a default is here one to `dataclasses.field`, inside
# `option`; ruff cannot see that.
# ruff: noqa: RUF009

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pagi.server.config.kinds import Choice, FileOrOff, Kind, Seconds, Size, Switch, Whole, Workers
from pagi.server.config.option import option
from pagi.server.config.process_kinds import Account, Umask

__all__ = ["LoopName", "Process", "TransportsName"]

LoopName: TypeAlias = Literal["auto", "asyncio", "uvloop"]
TransportsName: TypeAlias = Literal["auto", "pagi", "aiofastnet", "asyncio"]

_LOOP: Kind[LoopName] = Choice("auto", "asyncio", "uvloop")
_TRANSPORTS: Kind[TransportsName] = Choice("auto", "pagi", "aiofastnet", "asyncio")
_SECONDS = Seconds()


@dataclass(frozen=True, slots=True)
class Process:
    """Processes, event loop and how they stop."""

    workers: int = option(
        0,
        Workers(),
        "Worker processes under a supervisor, auto one for each core; 0 serves in this process.",
        short="w",
    )
    preload: bool = option(
        False,
        Switch(),
        "Load the application once, before the workers are made, and not in each.",
    )
    loop: LoopName = option(
        "auto", _LOOP, "Event loop; auto takes uvloop where it is installed.", short="l"
    )
    transports: TransportsName = option(
        "auto",
        _TRANSPORTS,
        "Transports of connections; auto takes pagi's where the loop can watch descriptors.",
    )
    shutdown_timeout: float | None = option(
        30.0, _SECONDS, "How long requests may go on after a stop was asked for."
    )
    shutdown_grace: float | None = option(
        5.0,
        _SECONDS,
        "How long WebSockets and event streams may go on after a stop was asked for.",
    )
    drain_delay: float | None = option(
        None,
        _SECONDS,
        "How long to go on serving after a stop was asked for, while readiness says no.",
    )
    heartbeat_timeout: float | None = option(
        30.0,
        Seconds(at_least=2),  # a loop that turns says so once a second
        "How long the loop of a worker may not turn before the worker is replaced.",
    )
    max_requests: int = option(
        0, Whole(0), "Requests after which a worker is replaced; 0 means no limit."
    )
    max_age: float | None = option(None, _SECONDS, "Age at which a worker is replaced.")
    max_memory: int = option(
        0, Size(), "Resident memory above which a worker is replaced; 0 means no limit."
    )
    max_memory_hard: int = option(
        0,
        Size(),
        "Resident memory above which a worker is killed at once; 0 means no limit.",
    )
    recycle_jitter: int = option(
        10,
        Whole(0, 100),
        "Per cent of max_requests and max_age by which the limits of workers differ at most.",
    )

    user: str | None = option(
        None,
        Account(),
        "User, by name or number, to serve as once the listeners are open; needs root.",
        short="u",
    )
    group: str | None = option(
        None,
        Account(),
        "Group, by name or number, to serve as; by default that of the user.",
        short="g",
    )
    umask: int | None = option(
        None, Umask(), "Permission bits that files made by this process never have."
    )
    pid_file: str | None = option(
        None,
        FileOrOff(),
        "File that holds the number of the process while it serves.",
        aliases=("pid",),
    )
    daemon: bool = option(
        False,
        Switch(),
        "Serve in the background; the command ends when the server is ready or has failed.",
        aliases=("daemonize",),
        short="D",
    )

    @property
    def supervised(self) -> bool:
        """Whether something is wanted that takes a supervisor."""
        recycled = self.max_requests or self.max_age or self.max_memory or self.max_memory_hard
        return bool(self.workers or recycled)

    @property
    def count(self) -> int:
        """How many workers a supervisor has."""
        return max(1, self.workers)
