"""`Scoreboard`: numbers of every worker, in memory that all processes of the server share.

A worker writes into its own slot, which costs it a store and no message. Whoever inherited the
scoreboard reads all slots: the supervisor to see whether the workers are well, the admin listener
to add them up. So what a worker that hangs has done, and since when it hangs, is known without its
help.

Every cell is a signed integer of 64 bits, which processors store whole. Times are microseconds of
the monotonic clock, which is the same in all processes.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator
from operator import add
from time import monotonic, sleep
from typing import Any, Final, NamedTuple

__all__ = ["BOOTING", "DRAINING", "FREE", "READY", "Reading", "Scoreboard", "Slot", "micros"]

#: States of a slot: nobody's; its worker loads the application; it serves; it stops.
FREE: Final = 0
BOOTING: Final = 1
READY: Final = 2
DRAINING: Final = 3

_CELL: Final = 8
#: Cells of a slot; those behind `_HEADER` are the counters of exchanges.
SLOT_CELLS: Final = 4096
_HEADER: Final = 64

_STATE: Final = 0
_PID: Final = 1
_NUMBER: Final = 2
_GENERATION: Final = 3
_BORN: Final = 4
_BEAT: Final = 5
_LAG: Final = 6
_MAX_LAG: Final = 7
_CONNECTIONS: Final = 8
_MEMORY: Final = 9
_REQUESTS: Final = 10
_OPEN_HTTP: Final = 11
_OPEN_SSE: Final = 12
_OPEN_WEBSOCKETS: Final = 13
_DEATHS: Final = 14
_HANGS: Final = 15
_WANTED: Final = 16
_RELEASES: Final = 17

#: How often and with what pauses (seconds) a reader tries to find no slot being given away.
_TRIES: Final = 100
_PAUSE: Final = 0.0005


def micros(seconds: float) -> int:
    """Return seconds as whole microseconds."""
    return int(seconds * 1_000_000)


def _cell(index: int, help: str) -> Any:
    """Make an attribute of `Slot` that lives in one of its cells."""

    def read(slot: Slot) -> int:
        return int(slot.cells[index])

    def write(slot: Slot, value: int) -> None:
        slot.cells[index] = value

    return property(read, write, doc=help)


def _time(index: int, help: str) -> Any:
    """The same for a time in seconds."""

    def read(slot: Slot) -> float:
        return int(slot.cells[index]) / 1_000_000

    def write(slot: Slot, seconds: float) -> None:
        slot.cells[index] = micros(seconds)

    return property(read, write, doc=help)


class Slot:
    """What one worker says of itself.

    Attributes:
        cells: all of its numbers.
        counters: those of exchanges, see `pagi.server.worker.tallies`.
        request_cell: the one behind `requests`.
    """

    def __init__(self, cells: memoryview) -> None:
        self.cells = cells
        self.counters = cells[_HEADER:]
        self.request_cell = cells[_REQUESTS : _REQUESTS + 1]

    state: int = _cell(_STATE, "One of the states above.")
    pid: int = _cell(_PID, "Process.")
    number: int = _cell(_NUMBER, "Which worker it is: 1, 2, …; 0 for a process without others.")
    generation: int = _cell(_GENERATION, "How many restarts came before it.")
    born: float = _time(_BORN, "When it was forked, in monotonic seconds.")
    beat: float = _time(_BEAT, "When its loop turned last, in monotonic seconds.")
    lag: float = _time(_LAG, "How late one of the loop's last ticks was at most, in seconds.")
    max_lag: float = _time(_MAX_LAG, "How late a tick was at most.")
    connections: int = _cell(_CONNECTIONS, "Open connections.")
    requests: int = _cell(_REQUESTS, "Exchanges of all kinds that have ended.")
    open_http: int = _cell(_OPEN_HTTP, "Requests whose application waits for something.")
    open_sse: int = _cell(_OPEN_SSE, "Open event streams.")
    open_websockets: int = _cell(_OPEN_WEBSOCKETS, "Open WebSockets.")
    deaths: int = _cell(_DEATHS, "Of the site: workers that ended without being told to.")
    hangs: int = _cell(_HANGS, "Of the site: workers whose loop did not turn.")
    wanted: int = _cell(_WANTED, "Of the site: how many workers there should be.")
    memory: int = _cell(_MEMORY, "Resident memory in bytes; 0 where it is not known.")

    def head(self) -> Slot:
        """Return a copy that stands still, without the counters."""
        return Slot(memoryview(array("q", self.cells[:_HEADER].tolist())))

    def take(self, pid: int, number: int, generation: int) -> None:
        """Begin the life of a worker."""
        self.clear()
        self.pid, self.number, self.generation = pid, number, generation
        self.born = self.beat = monotonic()
        self.state = BOOTING

    def clear(self) -> None:
        """Set everything to zero: the slot is nobody's."""
        self.cells[:] = memoryview(bytes(len(self.cells) * _CELL)).cast("q")


class Reading(NamedTuple):
    """All that the scoreboard says at one moment.

    Attributes:
        site: of the server.
        workers: those there are, those that stop included; the process itself if it has none.
        counters: of all workers there are and ever were, added up.
    """

    site: Slot
    workers: list[Slot]
    counters: list[int]


class Scoreboard:
    """Slots of all workers, and one for what is true of the whole server.

    Args:
        size: how many workers there may be at a time, those that stop included.

    Attributes:
        site: the slot of the server: its state, its supervisor, and the counters of the workers
            that have ended. A process without a supervisor has no other.
    """

    def __init__(self, size: int) -> None:
        self._memory = mmap.mmap(-1, (size + 1) * SLOT_CELLS * _CELL)
        cells = memoryview(self._memory).cast("q")
        slots = [
            Slot(cells[begin : begin + SLOT_CELLS])
            for begin in range(0, (size + 1) * SLOT_CELLS, SLOT_CELLS)
        ]
        self.site, *self._slots = slots

    def free(self) -> Slot | None:
        """Return a slot that is nobody's, or ``None``."""
        return next((slot for slot in self._slots if slot.state == FREE), None)

    def taken(self) -> Iterator[Slot]:
        """Yield the slots of workers, those that stop included."""
        return (slot for slot in self._slots if slot.state != FREE)

    def release(self, slot: Slot) -> None:
        """Keep the counters of a worker that has ended, and give its slot away."""
        total = self.site.counters
        summed = array("q", map(add, total.tolist(), slot.counters.tolist()))
        # Odd in between: whoever reads now would count them twice, or not at all.
        self.site.cells[_RELEASES] += 1
        total[:] = memoryview(summed)
        slot.clear()
        self.site.cells[_RELEASES] += 1

    def read(self) -> Reading:
        """Read everything. What is counted never gets less from one reading to the next."""
        releases = self.site.cells
        for _ in range(_TRIES):
            before = releases[_RELEASES]
            reading = self._read()
            if before % 2 == 0 and before == releases[_RELEASES]:
                return reading
            sleep(_PAUSE)
        return self._read()  # whoever gave a slot away was killed in the middle of it

    def _read(self) -> Reading:
        site = self.site
        if not self._slots:
            return Reading(site.head(), [site.head()], site.counters.tolist())
        workers = [slot for slot in self.taken() if slot.number]
        counters = site.counters.tolist()
        for slot in workers:
            counters = list(map(add, counters, slot.counters))
        return Reading(site.head(), [slot.head() for slot in workers], counters)
