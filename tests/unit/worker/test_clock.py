"""The tick: coarse time, the Date field, who is asked to look at its deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pagi.protocol.connection import DefaultFields
from pagi.server.connection.context import Clock
from pagi.server.worker import clock as clock_module
from pagi.server.worker.clock import Ticker, http_date


class Time:
    """Both clocks, and a loop whose timers run when they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wall: float, now: float = 100.0) -> None:
        self.wall, self.now = wall, now
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.cancelled = 0
        monkeypatch.setattr(clock_module, "time", lambda: self.wall)
        monkeypatch.setattr(clock_module, "monotonic", lambda: self.now)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        self.timers.append((delay, callback))
        return self

    def cancel(self) -> None:
        self.cancelled += 1
        self.timers.clear()

    def pass_to_the_timer(self) -> float:
        """Let the time pass that the next timer waits for, and run it."""
        ((delay, callback),) = self.timers
        self.timers.clear()
        self.wall += delay
        self.now += delay
        callback()
        return delay


class Connection:
    """Notes when it was asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def on_tick(self, now: float) -> None:
        self.asked.append(now)


def ticker(
    time: Time,
    *,
    clock: Clock | None = None,
    defaults: DefaultFields | None = None,
    date: bool = True,
    connections: Any = (),
    also: Callable[[float], None] | None = None,
) -> Ticker:
    return Ticker(
        time,  # type: ignore[arg-type]
        clock or Clock(0.0),
        defaults or DefaultFields(server=b"pagi"),
        date,
        connections,
        also,
    )


# --- the date --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (784_111_777, b"Sun, 06 Nov 1994 08:49:37 GMT"),  # the example of RFC 9110 §5.6.7
        (784_111_777.999, b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (951_782_400, b"Tue, 29 Feb 2000 00:00:00 GMT"),
        (4_102_444_799, b"Thu, 31 Dec 2099 23:59:59 GMT"),
    ],
)
def test_dates(seconds: float, text: bytes) -> None:
    assert http_date(seconds) == text


def test_names_of_days_and_months_do_not_depend_on_the_locale() -> None:
    days = {http_date(day * 86_400.0)[:3] for day in range(7)}
    months = {http_date(month * 31 * 86_400.0)[8:11] for month in range(12)}
    assert days == {b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"}
    assert months == set(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())


# --- the tick --------------------------------------------------------------------------------


def test_the_first_tick_is_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, wall=784_111_777.25, now=50.0)
    clock, defaults, connection = Clock(0.0), DefaultFields(server=b"pagi"), Connection()
    walls: list[float] = []
    ticker(
        time, clock=clock, defaults=defaults, connections={connection}, also=walls.append
    ).start()
    assert clock.now == 50.0
    assert defaults.date == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert connection.asked == [50.0]
    assert walls == [784_111_777.25]


def test_it_ticks_on_full_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, wall=784_111_777.25)
    clock, defaults = Clock(0.0), DefaultFields(server=b"pagi")
    ticker(time, clock=clock, defaults=defaults).start()
    assert time.pass_to_the_timer() == pytest.approx(0.75)
    assert defaults.date == b"Sun, 06 Nov 1994 08:49:38 GMT"
    assert clock.now == pytest.approx(100.75)
    assert time.pass_to_the_timer() == pytest.approx(1.0)
    assert defaults.date == b"Sun, 06 Nov 1994 08:49:39 GMT"


def test_a_timer_that_fires_early_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops round: a date must not stay a second behind for it."""
    time = Time(monkeypatch, wall=784_111_777.0)
    defaults = DefaultFields(server=b"pagi")
    ticker(time, defaults=defaults).start()
    time.wall -= 0.001
    time.pass_to_the_timer()
    assert defaults.date == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert time.pass_to_the_timer() == pytest.approx(0.001, abs=1e-6)
    assert defaults.date == b"Sun, 06 Nov 1994 08:49:38 GMT"


def test_a_clock_that_was_set_back_moves_the_date_only(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, wall=784_111_777.0)
    clock, defaults = Clock(0.0), DefaultFields(server=b"pagi")
    ticker(time, clock=clock, defaults=defaults).start()
    time.wall -= 3600
    time.pass_to_the_timer()
    assert defaults.date == b"Sun, 06 Nov 1994 07:49:38 GMT"
    assert clock.now == 101.0


def test_no_date_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, wall=784_111_777.0)
    defaults = DefaultFields(server=b"pagi")
    before = defaults.date
    ticker(time, defaults=defaults, date=False).start()
    time.pass_to_the_timer()
    assert defaults.date == before


def test_connections_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, wall=0.0)
    first, second = Connection(), Connection()
    connections = {first}
    ticker(time, connections=connections).start()
    connections.add(second)
    time.pass_to_the_timer()
    connections.discard(first)
    time.pass_to_the_timer()
    assert first.asked == [100.0, 101.0]
    assert second.asked == [101.0, 102.0]


def test_a_connection_may_end_others_in_its_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, wall=0.0)
    connections: set[Any] = set()

    class Ending(Connection):
        def on_tick(self, now: float) -> None:
            super().on_tick(now)
            connections.clear()

    both = [Ending(), Ending()]
    connections.update(both)
    ticker(time, connections=connections).start()
    time.pass_to_the_timer()
    assert [connection.asked for connection in both] == [[100.0], [100.0]]


def test_a_tick_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, wall=0.0)

    class Failing(Connection):
        def on_tick(self, now: float) -> None:
            super().on_tick(now)
            raise ValueError("a fault")

    failing = Failing()
    with pytest.raises(ValueError, match="a fault"):
        ticker(time, connections={failing}).start()
    with pytest.raises(ValueError, match="a fault"):
        time.pass_to_the_timer()
    assert failing.asked == [100.0, 101.0]


def test_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch, wall=0.0)
    tick = ticker(time)
    tick.stop()
    assert time.cancelled == 0
    tick.start()
    tick.stop()
    tick.stop()
    assert time.cancelled == 1
    assert time.timers == []


async def test_on_a_loop() -> None:
    """It begins at once and its timer is the loop's."""
    ticked = asyncio.Event()
    clock = Clock(0.0)
    tick = Ticker(
        asyncio.get_running_loop(),
        clock,
        DefaultFields(server=b"pagi"),
        True,
        (),
        lambda wall: None if not clock.now else ticked.set(),
    )
    tick.start()
    first = clock.now
    ticked.clear()
    await ticked.wait()
    tick.stop()
    assert 0 < clock.now - first <= 1.5
